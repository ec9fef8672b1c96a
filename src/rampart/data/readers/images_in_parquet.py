"""Parquet files that hold the images themselves, given as a folder of images or as a table."""

import json
from pathlib import Path
from shlex import quote

#: Depth of the folders that are looked into.
_DEPTH = 3
#: The columns that the reader of `hfds/FOLDER` finds by itself.
_IMAGE, _LABEL = "image", "label"
#: Names of other columns that hold labels.
_LABELS = ("labels", "class", "target", "category", "class_name", "label_name", "fine_label")


def how_to_read(path: Path) -> str:
    """Return the settings that read the images in a parquet file, or in the files of a folder.

    They are those of the first file; "" if it holds no images.
    """
    patterns = ("*/" * depth + "*.parquet" for depth in range(_DEPTH + 1))
    files = [path] if path.is_file() else [one for each in patterns for one in path.glob(each)]
    kinds = _kinds(min(files)) if files else {}
    images = [name for name, kind in kinds.items() if kind in ("Image", "bytes")]
    if not images:
        return ""
    folder = path.parent if path.is_file() else path
    settings = [f"data=hfds/{folder if folder.name else folder.resolve()}"]
    if _IMAGE not in kinds and [kinds[name] for name in images] != ["Image"]:
        settings.append(f"data.options.input_key={images[0]}")
    classes = [name for name, kind in kinds.items() if kind == "ClassLabel"]
    labels = classes or [name for name in kinds if name.lower() in _LABELS]
    if _LABEL not in kinds and len(classes) != 1 and labels:
        settings.append(f"data.options.target_key={labels[0]}")
    return " ".join(map(quote, settings))


def _kinds(file: Path) -> dict[str, str]:
    """Return the kind of each column: of the package `datasets` if noted, "bytes", or ""."""
    from pyarrow import ArrowException, types
    from pyarrow.parquet import read_schema

    try:
        schema = read_schema(file)
        noted = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = noted.get("info", {}).get("features", {})
    except (ArrowException, OSError, ValueError, AttributeError):
        return {}
    kinds = {}
    for column in schema:
        struct = types.is_struct(column.type)
        inside = [part.name for part in column.type] if struct else []
        kinds[column.name] = "bytes" if "bytes" in inside else ""
        if isinstance(noted := features.get(column.name), dict):
            kinds[column.name] = str(noted.get("_type", kinds[column.name]))
    return kinds
