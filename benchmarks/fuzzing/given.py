"""Damaged files that users give: data, weights, programs, lists and studies."""

from collections.abc import Callable
from pathlib import Path

from benchmarks.fuzzing import given_data, given_models
from benchmarks.fuzzing.cases import Kind
from benchmarks.fuzzing.copies import damaged_copies, without_promise
from benchmarks.fuzzing.material import Material, train_words

#: Writes files into a folder and returns those that are damaged, relative to the folder.
Write = Callable[[Material, Path], list[Path]]
#: Evaluate two images into a folder.
_FEW = ("evaluation.limit=2", "evaluation.checks=false", "-o", "out")
_GLYPHNET = "timm:rampart_glyphnet:data/weights"


def given_kinds(material: Material) -> dict[str, Kind]:
    """Return a kind for every file; nobody has given it a checksum, so damage may go unnoticed."""
    run, photos = str(material.run), str(material.photos / "test")
    train = train_words(material.photos)
    # The folder, what is in it, and the command that reads it.
    given: list[tuple[str, Write, tuple[str, ...]]] = [
        ("data", given_data.labels_csv, ("data", "data/labels.csv")),
        ("data", given_data.labels_parquet, ("data", "data/labels.parquet")),
        ("data", given_data.photos_tar, ("predict", run, "data/photos.tar")),
        ("data", given_data.shard_tar, ("evaluate", run, "data=data/test-0.tar", *_FEW)),
        ("saved", given_data.saved, ("evaluate", run, "data=saved", *_FEW)),
        ("data", given_data.ids, ("evaluate", run, "evaluation.ids=data/ids.txt", *_FEW[1:])),
        (
            "data",
            given_data.splits,
            (*train, "data.split_file=data/splits.json", "-o", "out", "--no-evaluate"),
        ),
        ("data", given_data.study, ("study", "plan", "data/study.yaml")),
        *(
            (name, write, ("predict", model, photos, "data.image_size=16"))
            for name, write, model in (
                ("data", given_models.torch_weights, f"{_GLYPHNET}.pth"),
                ("data", given_models.safetensors, f"{_GLYPHNET}.safetensors"),
                ("data", given_models.lightning, f"{_GLYPHNET}.ckpt"),
                ("data", given_models.onnx, "data/model.onnx"),
                ("timm", given_models.timm_folder, "local-dir:timm"),
                ("transformers", given_models.transformers_folder, "transformers"),
            )
        ),
    ]
    kinds: dict[str, Kind] = {}
    for number, (name, write, words) in enumerate(given):
        folder = material.root / "given" / str(number) / name
        folder.mkdir(parents=True)
        files = write(material, folder)
        kinds |= damaged_copies(folder, files, without_promise(folder, *words))
    return {name.removeprefix("data/"): kind for name, kind in kinds.items()}
