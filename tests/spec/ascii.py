"""Small tables written as people write them: a line per row, bars between cells, ``.`` for an empty cell."""

from __future__ import annotations

import pandas as pd


def rows(table: str) -> list[dict[str, str]]:
    """The rows of a table as dictionaries of text; the first line names the columns, dashes are decoration."""
    lines = [line.strip().strip("|") for line in table.strip().splitlines()]
    cells = [[cell.strip() for cell in line.split("|")] for line in lines if set(line) - set("-+| ")]
    head, *body = cells
    return [dict(zip(head, row, strict=True)) for row in body]


def frame(table: str) -> pd.DataFrame:
    """A table as text columns; ``.`` is an empty cell."""
    found = rows(table)
    return pd.DataFrame(
        {key: [None if row[key] == "." else row[key] for row in found] for key in found[0]}, dtype=object
    )


def csv(table: str) -> str:
    """A table as the text of a CSV file; ``.`` is an empty field."""
    found = rows(table)
    lines = [",".join(found[0]), *(",".join("" if cell == "." else cell for cell in row.values()) for row in found)]
    return "\n".join(lines) + "\n"
