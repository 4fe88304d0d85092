"""Missing and infinite entries: refused with their places, imputed, or left out with their rows, as a person asks."""

from __future__ import annotations

import numpy as np

from dyntheory.shell.tables.raw_columns import RawColumns, listed, quoted
from dyntheory.shell.tables.reading import Reading

SHOWN_ROWS = 3


def without_missing(raw: RawColumns, target: str, reading: Reading) -> RawColumns:
    """Return columns and labels in which every entry is there and finite.

    Imputation looks at the columns alone, never at labels; rows are left out after it.

    Args:
        raw: of a file.
        target: the name of the labels.
        reading: with `impute` and `drop_rows`.

    Raises:
        ValueError: something is missing and neither was asked for, labels to impute, a column without any entry.
    """
    raw = raw._replace(numbers=np.where(np.isfinite(raw.numbers), raw.numbers, np.nan))
    raw = _imputed(raw) if reading.impute else raw
    bad = _places(raw, target)
    if not bad:
        return raw
    if not reading.drop_rows:
        raise ValueError(_refusal(bad, target, reading))
    kept = ~np.any(list(bad.values()), axis=0)
    if not kept.any():
        raise ValueError(
            f"Every row misses an entry ({_shown(bad)}): leave columns out with --drop, or fill them with --impute."
        )
    note = f"{int((~kept).sum())} of {len(kept)} rows with missing or infinite entries were left out"
    return raw.of_rows(kept)._replace(notes=(*raw.notes, note))


def is_missing(column: np.ndarray) -> np.ndarray:
    """Return where numbers are not finite, or words are None."""
    if column.dtype.kind == "O":
        return np.array([entry is None for entry in column], dtype=bool)
    return ~np.isfinite(column) if column.dtype.kind in "fc" else np.zeros(len(column), dtype=bool)


def _places(raw: RawColumns, target: str) -> dict[str, np.ndarray]:
    """Return by column at which rows an entry is missing, for those columns where one is."""
    holes = np.isnan(raw.numbers)
    numbers = {raw.names[index]: holes[:, index] for index in np.flatnonzero(holes.any(axis=0))}
    others = {name: is_missing(column) for name, column in {**raw.words, target: raw.labels}.items()}
    return {**numbers, **{name: where for name, where in others.items() if where.any()}}


def _imputed(raw: RawColumns) -> RawColumns:
    numbers, words = raw.numbers.copy(), dict(raw.words)
    filled: list[str] = []
    for index in np.flatnonzero(np.isnan(numbers).any(axis=0)):
        holes, name = np.isnan(numbers[:, index]), raw.names[index]
        if holes.all():
            raise ValueError(f"Column {name!r} has no finite entry to impute from: leave it out with --drop.")
        numbers[holes, index] = np.median(numbers[~holes, index])
        filled.append(f"{name} ({int(holes.sum())} rows)")
    for name, column in raw.words.items():
        holes = is_missing(column)
        if not holes.any():
            continue
        if holes.all():
            raise ValueError(f"Column {name!r} has no entry to impute from: leave it out with --drop.")
        found, counts = np.unique(column[~holes].astype(str), return_counts=True)
        words[name] = np.where(holes, found[counts.argmax()], column)
        filled.append(f"{name} ({int(holes.sum())} rows)")
    note = [f"missing entries became the median or the most frequent word of their column: {listed(filled)}"]
    return raw._replace(numbers=numbers, words=words, notes=(*raw.notes, *(note if filled else [])))


def _refusal(bad: dict[str, np.ndarray], target: str, reading: Reading) -> str:
    if reading.impute:
        return f"Labels are not imputed: {_shown(bad)} missing or infinite. --drop-rows leaves those rows out."
    columns = [name for name in bad if name != target]
    ways = ["--drop-rows leaves these rows out"]
    if columns:
        ways.append("--impute puts the column's median, or its most frequent word, in their place")
        ways.append(f"--drop {quoted(columns, most=3)} leaves the columns out")
    return f"There are missing or infinite entries: {_shown(bad)}. {'; '.join(ways)}."


def _shown(bad: dict[str, np.ndarray]) -> str:
    return listed([f"{name} ({_rows(where)})" for name, where in bad.items()])


def _rows(where: np.ndarray) -> str:
    """Return where, in rows counted from one without the header."""
    first = ", ".join(str(row + 1) for row in np.flatnonzero(where)[:SHOWN_ROWS])
    count = int(where.sum())
    return f"row{'s' * (count > 1)} {first}" if count <= SHOWN_ROWS else f"{count} rows: {first}, …"
