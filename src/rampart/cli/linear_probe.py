"""`rampart linear-probe`."""

from typing import TYPE_CHECKING

import typer

from rampart.cli.json_output import Json, print_json
from rampart.cli.overrides import HELP
from rampart.cli.subject import load_for_data

if TYPE_CHECKING:
    from rampart.evaluation.linear_probe import LinearProbeResult


def linear_probe(
    settings: list[str] = typer.Argument(
        None, metavar="[MODEL | CONFIG.yaml] [KEY=VALUE]...", help=HELP, show_default=False
    ),
    as_json: bool = Json,
) -> None:
    """Measure how robust a backbone is before training.

    The answer says where the ramp of eps may start. The command takes the settings of `rampart
    train`. It fits a linear head to frozen features, and writes no files.
    """
    from rampart.cli.console import console, quiet_libraries, show_progress
    from rampart.cli.overrides import config_and_overrides

    quiet_libraries()
    with show_progress():
        # Before slow imports, so that a wrong configuration is answered at once.
        config = load_for_data(*config_and_overrides(with_model(settings or [])))
        from rampart.recipes.probe_backbone import linear_probe_config

        found = linear_probe_config(config)
    if as_json:
        print_json({**vars(found), "start": found.start, "verdict": found.verdict})
        return
    for line in _lines(found):
        console.say(line)


def with_model(settings: list[str]) -> list[str]:
    """Read a first argument that is neither a YAML file nor KEY=VALUE as the model's name."""
    if settings and "=" not in settings[0] and not settings[0].endswith((".yaml", ".yml")):
        return [f"model.name={settings[0]}", *settings[1:]]
    return settings


def _lines(found: "LinearProbeResult") -> list[str]:
    from rampart.units import format_eps

    lines = [f"{'eps':>8}  accuracy  retained accuracy beyond chance ({found.chance:.1%})"]
    for fraction, accuracy, retained in zip(
        found.fractions, found.accuracy, found.retained, strict=True
    ):
        lines.append(
            f"{format_eps(fraction * found.eps, found.eps):>8}  {accuracy:8.1%}  {retained:8.1%}"
        )
    cost = f"{found.forwards:,} forwards and {found.backwards:,} backwards"
    return [*lines, f"{found.images} validation images, {cost}", found.verdict]
