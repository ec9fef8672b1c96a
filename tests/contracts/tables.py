"""Tables in the documents that are written from the rows of a test."""

from pathlib import Path


def with_table(text: str, table: str, start: str, end: str) -> str:
    """Return a document with the table between its marks."""
    before, found, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    assert found, f"no mark {start!r}"
    assert closed, f"no mark {end!r}"
    return f"{before}{start}\n{table}\n{end}{after}"


def rewrite(document: Path, table: str, start: str, end: str) -> None:
    """Write the table into a document."""
    text = document.read_text(encoding="utf-8")
    document.write_text(with_table(text, table, start, end), encoding="utf-8")
