"""Rows of a comparison as CSV."""

import csv
import io
from collections.abc import Sequence

from rampart.reports.tables import Row


def csv_text(rows: Sequence[Row]) -> str:
    """Return the rows as CSV, fractions with all digits, without curves and other nested values."""
    plain = [
        {key: value for key, value in row.items() if not isinstance(value, list | dict)}
        for row in rows
    ]
    columns = list(dict.fromkeys(key for row in plain for key in _leading_first(row)))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(plain)
    return text.getvalue()


def _leading_first(row: Row) -> list[str]:
    lead = ("run", "method", "schedule", "seed", "objective", "n", "norm", "eps")
    return [*(key for key in lead if key in row), *(key for key in row if key not in lead)]
