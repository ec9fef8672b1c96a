"""Columns of numbers, text and images in one Parquet file, readable with any Parquet reader.

A missing number (nan) and a missing text (None) are null in the file. Images are one fixed-size
binary column: float32, little-endian, C x H x W; null in rows without an image.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rampart.counting import counted
from rampart.errors import RunError
from rampart.files import replacing, require_file

#: (N,) integers, floats or booleans, or a list of texts and Nones.
Column = NDArray[Any] | Sequence[str | None]
#: Types of columns, as pyarrow spells them in a Parquet schema.
INTEGER, FLOAT, BOOLEAN, TEXT = "int64", "double", "bool", "string"
#: Images are written in row groups of about this size, so that few are in memory at once.
GROUP_BYTES = 64 * 2**20
PIXEL = np.dtype("<f4")


@dataclass(frozen=True, eq=False)
class Images:
    """A column of images; rows may lack one.

    Attributes:
        present: (N,) bool, the rows with an image.
        values: (M, C, H, W) float32, the images in the order of these rows.
    """

    present: NDArray[np.bool_]
    values: NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, ...]:
        """C, H, W."""
        return self.values.shape[1:]


def write_columns(
    path: Path,
    columns: Mapping[str, Column],
    images: Mapping[str, Images] | None = None,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Write a table atomically.

    Args:
        path: the file.
        columns: at least one, all of the same length N.
        images: columns of images, of length N too.
        notes: key-value metadata of the file.

    Raises:
        RunError: no space, or no permission.
    """
    # pyarrow is slow to import; previews and reports must start at once.
    import pyarrow as pa
    from pyarrow import parquet

    images = images or {}
    arrays = {name: _array(values) for name, values in columns.items()}
    widths = {name: max(1, _bytes_per_image(column.shape)) for name, column in images.items()}
    fields = [(name, array.type) for name, array in arrays.items()]
    fields += [(name, pa.binary(width)) for name, width in widths.items()]
    schema = pa.schema(fields)
    size = len(next(iter(arrays.values())))
    group = max(1, GROUP_BYTES // max(widths.values())) if images else max(size, 1)
    ends = {name: np.cumsum(column.present, dtype=np.int64) for name, column in images.items()}
    with (
        replacing(path) as scratch,
        parquet.ParquetWriter(
            scratch,
            schema,
            compression="zstd",
            use_dictionary=[name for name, array in arrays.items() if array.type == pa.string()],
            write_page_checksum=True,
            store_schema=False,
        ) as writer,
    ):
        for start in range(0, max(size, 1), group):
            rows = slice(start, start + group)
            part = [array[rows] for array in arrays.values()]
            part += [
                pa.array(_pack_images(column, ends[name], rows), pa.binary(widths[name]))
                for name, column in images.items()
            ]
            writer.write_table(pa.table(part, schema=schema))
        writer.add_key_value_metadata(dict(notes or {}))


def read_columns(
    path: Path,
    types: Mapping[str, str],
    images: Mapping[str, tuple[int, ...]] | None = None,
    rows: int | None = None,
) -> dict[str, Any]:
    """Read columns of a table and check their types.

    Args:
        path: the file.
        types: name and type of each column of numbers or text; INTEGER and BOOLEAN columns must
            not hold nulls.
        images: name and (C, H, W) of each column of images.
        rows: required number of rows; None allows any.

    Returns:
        Values by name: an array with nan for missing numbers, a list of texts and Nones, or
        `Images`.

    Raises:
        RunError: the file is missing or damaged, or its columns are not those expected.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        require_file(path)
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:
            found_rows = file.metadata.num_rows
            if rows is not None and rows != found_rows:
                raise RunError(f"{path} has {counted(found_rows, 'row')}, not {rows}.")
            _check_types(path, file.schema_arrow, types, images or {})
            found = {name: _values(file.read([name])[name], types[name]) for name in types}
            for name, shape in (images or {}).items():
                found[name] = _images(file, name, shape)
            # The footer has two counts of rows, one of the file and one of its row groups.
            if any(_length(column) != found_rows for column in found.values()):
                raise ValueError(f"some columns do not have {found_rows} rows")
    except FileNotFoundError:
        raise RunError(f"{path} is missing.") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        message = " ".join(str(error).split())
        raise RunError(f"{path} is damaged or not a Parquet file ({message}).") from error
    return found


def read_notes(path: Path) -> dict[str, str]:
    """Return the key-value metadata of a file.

    Raises:
        RunError: the file is missing or damaged.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        require_file(path)
        notes = parquet.read_metadata(path).metadata or {}
        return {key.decode(): value.decode() for key, value in notes.items()}
    except (pa.ArrowException, OSError, ValueError) as error:
        raise RunError(f"{path} is damaged or not a Parquet file ({error}).") from error


def _array(values: Column) -> Any:
    """The values as an Arrow array; nan and None become null."""
    import pyarrow as pa

    if isinstance(values, np.ndarray):
        return pa.array(values, from_pandas=True)
    return pa.array(values, pa.string())


def _bytes_per_image(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape)) * PIXEL.itemsize


def _pack_images(column: Images, ends: NDArray[np.int64], rows: slice) -> list[bytes | None]:
    """The images of a slice of rows, as bytes."""
    return [
        column.values[end - 1].astype(PIXEL, copy=False).tobytes() if present else None
        for present, end in zip(column.present[rows], ends[rows], strict=True)
    ]


def _check_types(
    path: Path, schema: Any, types: Mapping[str, str], images: Mapping[str, tuple[int, ...]]
) -> None:
    expected = dict(types)
    for name, shape in images.items():
        expected[name] = f"fixed_size_binary[{max(1, _bytes_per_image(shape))}]"
    found = {field.name: str(field.type) for field in schema}
    for name, kind in expected.items():
        if found.get(name) != kind:
            got = found.get(name, "no such column")
            raise RunError(f"{path}: column {name} should be {kind}, but is {got}.")


def _values(column: Any, kind: str) -> Any:
    if kind == TEXT:
        return column.to_pylist()
    if column.null_count and kind != FLOAT:
        raise ValueError("a null in a column of integers or booleans")
    # `to_numpy` imports pandas, and reports must start at once.
    values = [np.nan if value is None else value for value in column.to_pylist()]
    return np.array(values, {INTEGER: np.int64, FLOAT: np.float64, BOOLEAN: np.bool_}[kind])


def _length(column: Any) -> int:
    return len(column.present if isinstance(column, Images) else column)


def _images(file: Any, name: str, shape: tuple[int, ...]) -> Images:
    """The images of a column, read one row group after another."""
    present, values = [np.zeros(0, bool)], [np.zeros((0, *shape), np.float32)]
    for group in range(file.num_row_groups):
        column = file.read_row_group(group, columns=[name])[name]
        present.append(np.array(column.is_valid().to_pylist(), bool))
        packed = b"".join(column.drop_null().to_pylist())
        values.append(np.frombuffer(packed, PIXEL).reshape(-1, *shape).astype(np.float32))
    return Images(np.concatenate(present), np.concatenate(values))
