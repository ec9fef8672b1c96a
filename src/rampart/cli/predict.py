"""`rampart predict`."""

import re
from pathlib import Path

import typer

from rampart.cli.interruption import explain_interruption
from rampart.cli.json_output import Json, print_json
from rampart.cli.overrides import ordered
from rampart.cli.subject import names_run, require_finished
from rampart.counting import counted
from rampart.runs.run_folder import RunFolder

#: The form of a setting; a file of such a name is an image.
_SETTING = re.compile(r"(data|model|evaluation|training|threat)(\.\w+)*=")


def predict(
    model: str = typer.Argument(
        ...,
        help="Folder of a finished run, or any classifier as for `rampart evaluate`.",
        show_default=False,
    ),
    images: list[str] = typer.Argument(
        ...,
        metavar="IMAGES... [KEY=VALUE]...",
        help="Images, or folders or .tar files of images; and settings such as "
        "data.resize=squash or, for other classifiers, data.image_size=224.",
        show_default=False,
    ),
    output: Path = typer.Option(
        None,
        "--output",
        "-o",
        help="CSV file for the predictions, in place of printing them.",
        show_default=False,
    ),
    top_k: int = typer.Option(
        None,
        "--top-k",
        "-k",
        help="Number of the likeliest classes to show; 5 by default.",
        show_default=False,
    ),
    as_json: bool = Json,
) -> None:
    """Predict the classes of images, with their probabilities.

    Images are prepared as in the evaluation.
    """
    from rampart.cli.console import console, errors, quiet_libraries, show_progress

    settings = [one for one in images if _SETTING.match(one) and not Path(one).exists()]
    overrides = tuple(ordered(settings))
    paths = [one for one in images if one not in settings]
    with explain_interruption("run the same command again"), show_progress(errors):
        from rampart.data.naming import require_images
        from rampart.recipes.prediction_settings import load_for_reference, load_for_run

        _require_output(output)
        is_run = names_run(model)
        # A wrong run, image or setting is refused before slow imports.
        if is_run:
            require_finished(Path(model))
        for path in paths:
            require_images(Path(path).expanduser())
        if is_run:
            load_for_run(RunFolder(Path(model)), overrides)
        else:
            load_for_reference(model, overrides)
        from rampart.recipes.predict import predict_model, predict_run

        quiet_libraries()
        if is_run:
            found = predict_run(Path(model), paths, overrides, top_k)
        else:
            found = predict_model(model, paths, overrides, top_k)
    if output:
        found.save(output, top_k)
        console.say(f"{counted(len(found), 'prediction')} in {output}")
    if as_json:
        rows = zip(found.ids, found.top(top_k), strict=True)
        print_json([{"image": name, "classes": [_one(*one) for one in top]} for name, top in rows])
    if output or as_json:
        return
    for line in found.lines(top_k):
        console.say(line)


def _one(name: str, probability: float) -> dict[str, str | float]:
    return {"class": name, "probability": probability}


def _require_output(output: Path | None) -> None:
    """Refuse a file that cannot be written before the work, not after it."""
    from rampart.errors import InvalidArgument
    from rampart.files import require_output_folder

    if output is None:
        return
    if output.is_dir() or output.suffix.lower() != ".csv":
        raise InvalidArgument("output", str(output), "a file that ends in .csv")
    require_output_folder(output.parent)
