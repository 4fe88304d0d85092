"""What the command line prints: a table of numbers, how it ended, what it rests on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import dyntheory as dt

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console

MOST_ROWS = 12
NEGLIGIBLE = 1e-5
HUGE = 1e5
NOTATION = "0.137(13) stands for 0.137 ± 0.013, one standard error"
ENVIRONMENT = ("dyntheory", "python", "jax", "jaxlib", "numpy", "device", "dtype")
METRICS = (("train_error", "train"), ("test_error", "test"))


def print_report(results: Mapping[str, dt.Trajectory], agreement: dt.Agreement | None = None) -> None:
    """Print the train and test errors at about a dozen steps, and the lines below them.

    Args:
        results: what was computed, "theory" or "simulation" or both.
        agreement: the verdict, when there are both.
    """
    from dyntheory.results.finite_size_bias import large_magnification

    first, *_ = results.values()
    headings, rows = ["step"], [[str(step)] for step in shown_steps(first.steps)]
    for metric, label in METRICS:
        headings += [f"{label} error,\n{name}" for name in results] + ["z"] * (agreement is not None)
        for row in rows:
            row += [_cell(trajectory, metric, int(row[0])) for trajectory in results.values()]
            row += [] if agreement is None else [_z(agreement, metric, int(row[0]))]
    print_table(headings, rows)
    has_errors = any(trajectory.standard_error is not None for trajectory in results.values())
    print_lines(
        *([NOTATION] if has_errors else []),
        *(_summary(name, trajectory) for name, trajectory in results.items()),
        *(note for trajectory in results.values() for note in large_magnification(trajectory)),
        _environment(first),
        *([] if agreement is None else str(agreement).splitlines()),
    )


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns that end on the right and are never wrapped."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    _console().print(table)


def print_lines(*lines: str) -> None:
    """Print lines as they are."""
    console = _console()
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def shown_steps(steps: np.ndarray) -> list[int]:
    """Return about a dozen of the steps: multiples of 1, 2 or 5 times a power of ten, and the last."""
    last = int(steps[-1])
    exponents = range(len(str(max(last, 1))) + 1)
    strides = (factor * 10**exponent for exponent in exponents for factor in (1, 2, 5))
    stride = next(stride for stride in strides if last / stride < MOST_ROWS)
    return sorted({int(step) for step in steps if step % stride == 0 or step == last})


def with_error(value: float, error: float | None) -> str:
    """Return a number with the last digits of its standard error in parentheses.

    Example:
        >>> with_error(0.183274, 0.00412), with_error(12.34, 2.5), with_error(0.183274, None)
        ('0.1833(41)', '12.3(2.5)', '0.18327')
    """
    if error is None or not math.isfinite(value) or not math.isfinite(error):
        return f"{value:.5g}"
    if abs(value) >= HUGE:
        return f"{value:.3g} ± {error:.2g}"
    if error <= NEGLIGIBLE * abs(value):
        return f"{value:.6g}"
    digits = max(1 - math.floor(math.log10(error)), 0)
    shown = f"{error:.{digits}f}" if error >= 1 else f"{error * 10**digits:.0f}"
    return f"{value:.{digits}f}({shown})"


def _cell(trajectory: dt.Trajectory, metric: str, step: int) -> str:
    if step not in trajectory.steps:
        return "-"
    row = trajectory.at(step)
    return with_error(row[metric], row.get(f"{metric}_standard_error")) if metric in row else "-"


def _z(agreement: dt.Agreement, metric: str, step: int) -> str:
    (found,) = (agreement.steps == step).nonzero()
    return f"{agreement.z[metric][found[0]]:+.1f}" if found.size and metric in agreement.z else "-"


def _console() -> Console:
    from rich.console import Console

    return Console()


def _summary(name: str, trajectory: dt.Trajectory) -> str:
    """Return one line: how it ended, what it rests on, at which sizes."""
    parts = [f"{name}: {trajectory.status}"]
    if trajectory.num_diverged:
        parts.append(f"{trajectory.num_diverged} runs diverged")
    if trajectory.assumptions is not None:
        parts.append(f"{trajectory.assumptions.level} ({trajectory.assumptions.reason})")
    sizes = {key: value for key, value in trajectory.provenance.items() if key not in (*ENVIRONMENT, "kind")}
    parts.append(", ".join(f"{key} {value}" for key, value in sizes.items() if isinstance(value, str | int)))
    return "; ".join(part for part in parts if part)


def _environment(trajectory: dt.Trajectory) -> str:
    """Return one line: versions, device and precision."""
    return ", ".join(f"{key} {trajectory.provenance[key]}" for key in ENVIRONMENT if key in trajectory.provenance)
