"""How a file of data is read: what a person can say of it, as options of a command."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

import tyro

from dyntheory.shell.arguments import Flag

Names = Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="COLUMN")]


@dataclasses.dataclass(frozen=True)
class Reading:
    """How a file of data is read.

    Args:
        drop: columns to leave out.
        drop_rows: leave out rows with a missing or infinite entry.
        impute: put a column's median in the place of its missing or infinite entries, and its most frequent word.
        separator: between the entries of a CSV file; default what its first lines show.
        decimal: the mark before the decimals in a CSV file, the other one groups thousands; default what its columns
            show.
        dates: what becomes of columns of dates: days since the earliest ("days"), the same where 01/02/2024 is in
            February ("day-first") or in January ("month-first"); default: they are refused.
    """

    drop: Names = ()
    drop_rows: Flag = False
    impute: Flag = False
    separator: Literal["comma", "semicolon", "tab", "bar", "space"] | None = None
    decimal: Literal["point", "comma"] | None = None
    dates: Literal["days", "day-first", "month-first"] | None = None
