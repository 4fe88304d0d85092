"""What the command line prints: a table of numbers, how it ended, what it rests on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from dyntheory.results.trajectory import Trajectory

if TYPE_CHECKING:
    from dyntheory.results.agreement import Agreement

MOST_ROWS = 12
NEGLIGIBLE = 1e-5
HUGE = 1e5
NOTATION = "0.137(13) stands for 0.137 ± 0.013, one standard error"
ENVIRONMENT = ("dyntheory", "python", "jax", "jaxlib", "numpy", "device", "dtype")
METRICS = (("train_error", "train"), ("test_error", "test"))


def print_report(console: Console, results: dict[str, Trajectory], agreement: Agreement | None = None) -> None:
    """Print the table and the lines below it.

    Args:
        console: where to.
        results: what was computed, "theory" or "simulation" or both.
        agreement: the verdict, when there are both.
    """
    console.print(results_table(results, agreement))
    if any(trajectory.standard_error is not None for trajectory in results.values()):
        print_line(console, NOTATION)
    for name, trajectory in results.items():
        print_line(console, _summary(name, trajectory))
    print_line(console, _environment(next(iter(results.values()))))
    for line in str(agreement).splitlines() if agreement is not None else ():
        print_line(console, line)


def results_table(results: dict[str, Trajectory], agreement: Agreement | None = None) -> Table:
    """Return the train and test errors at about a dozen steps, with z where theory and simulation meet."""
    first, *_ = results.values()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("step", justify="right", no_wrap=True)
    for _, label in METRICS:
        for name in results:
            table.add_column(f"{label} error,\n{name}", justify="right", no_wrap=True)
        if agreement is not None:
            table.add_column("z", justify="right", no_wrap=True)
    for step in shown_steps(first.steps):
        cells = [str(step)]
        for metric, _ in METRICS:
            cells += [_cell(trajectory, metric, step) for trajectory in results.values()]
            if agreement is not None:
                cells.append(_z(agreement, metric, step))
        table.add_row(*cells)
    return table


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


def _cell(trajectory: Trajectory, metric: str, step: int) -> str:
    if step not in trajectory.steps:
        return "-"
    row = trajectory.at(step)
    return with_error(row[metric], row.get(f"{metric}_standard_error")) if metric in row else "-"


def _z(agreement: Agreement, metric: str, step: int) -> str:
    found = np.flatnonzero(agreement.steps == step)
    return f"{agreement.z[metric][found[0]]:+.1f}" if found.size and metric in agreement.z else "-"


def print_line(console: Console, text: str) -> None:
    """Print a line as it is."""
    console.print(text, highlight=False, soft_wrap=True, markup=False)


def _summary(name: str, trajectory: Trajectory) -> str:
    """Return one line: how it ended, what it rests on, at which sizes."""
    parts = [f"{name}: {trajectory.status}"]
    if trajectory.num_diverged:
        parts.append(f"{trajectory.num_diverged} runs diverged")
    if trajectory.assumptions is not None:
        parts.append(f"{trajectory.assumptions.level} ({trajectory.assumptions.reason})")
    sizes = {key: value for key, value in trajectory.provenance.items() if key not in (*ENVIRONMENT, "kind")}
    parts.append(", ".join(f"{key} {value}" for key, value in sizes.items() if isinstance(value, str | int)))
    return "; ".join(part for part in parts if part)


def _environment(trajectory: Trajectory) -> str:
    """Return one line: versions, device and precision."""
    return ", ".join(f"{key} {trajectory.provenance[key]}" for key in ENVIRONMENT if key in trajectory.provenance)
