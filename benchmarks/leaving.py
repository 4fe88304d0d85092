"""What every benchmark does at its end: print its numbers, and leave a record of them with protocol and provenance."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from validation.record import Record, aligned, provenance

RESULTS = Path(__file__).parent / "results"


def leave(
    name: str,
    protocol: str | None,
    *,
    settings: Any,
    numbers: Mapping[str, Any],
    dtype: str = "float64",
    quiet: bool = False,
) -> None:
    """Print the numbers and write benchmarks/results/NAME.json.

    Args:
        name: of the script.
        protocol: its docstring; the first paragraph says what is measured.
        settings: a dataclass or a mapping.
        numbers: everything that was measured.
        dtype: what the record says of the precision.
        quiet: print nothing.
    """
    text, chosen = protocol or "", settings if isinstance(settings, Mapping) else dataclasses.asdict(settings)
    claim, origin = " ".join(text.split("\n\n")[0].split()), provenance(dtype=dtype)
    Record(name, claim, text, chosen, numbers, provenance=origin).write(RESULTS)
    if not quiet:
        print("\n".join(aligned(numbers)))
