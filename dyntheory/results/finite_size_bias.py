"""What is allowed for the finite size of a simulation: O(1/d), more where the runs of a problem separate.

Where a run passes an instability, small differences between starts grow M times (`Trajectory.magnification`): the mean
over runs with d features is off by O(M²/d), and a mean extrapolated from sizes d₁ < d₂ by O(M⁴/(d₁ d₂)).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dyntheory.results.trajectory import Trajectory

FIRST_ORDER = 10.0  # times 1/d
SECOND_ORDER = 200.0  # times 1/(d₁ d₂)
SEPARATED = 0.2  # above this relative allowance a step says little
LARGE = 10.0  # of a magnification: at d = 1000 the mean is off by 10 %


class Size(NamedTuple):
    """How large what was simulated is: the letter that it is called by, and the number, None where it is unknown."""

    letter: str
    number: int | None


def size_of(run: Trajectory) -> Size:
    """Return the number of features d, or the width N of networks on given inputs."""
    width = run.provenance.get("width")
    return Size("d", run.provenance.get("num_features")) if width is None else Size("N", width)


def bias_allowance(sizes: Sequence[int]) -> float:
    """Return the relative bias that is allowed of a simulation with d features, or of one extrapolated from several."""
    if len(sizes) == 1:
        return FIRST_ORDER / sizes[0]
    return SECOND_ORDER / (min(sizes) * max(sizes))


def bias_of_separation(theory: Trajectory, sizes: Sequence[int], metrics: Sequence[str]) -> dict[str, np.ndarray]:
    """Return by metric (T+1,) the relative bias to expect from the growth of small differences; no entry if unknown."""
    found = {}
    for name in metrics:
        growth = (theory.magnification or {}).get(name.replace("loss", "error"))
        if growth is not None:
            first = np.square(growth)
            found[name] = first / sizes[0] if len(sizes) == 1 else 2 * first**2 / (min(sizes) * max(sizes))
    return found


def separation_notes(
    theory: Trajectory, sizes: Sequence[int], bias: dict[str, np.ndarray], steps: np.ndarray
) -> tuple[str, ...]:
    """Return at which steps little can be said because runs separate, if there are any.

    Args:
        theory: a prediction.
        sizes: numbers of features of the simulations.
        bias: from `bias_of_separation`, at `steps`.
        steps: what is compared.
    """
    wide = steps[np.max([*bias.values(), np.zeros(len(steps))], axis=0) > SEPARATED]
    if not len(wide):
        return ()
    return (
        f"{largest_magnification(theory)}: {len(wide)} of {len(steps)} steps, {wide[0]} to {wide[-1]}, "
        f"say little at d = {max(sizes)}; simulate larger sizes",
    )


def largest_magnification(theory: Trajectory) -> str:
    """Return where and how much the small differences between starts grow, for people."""
    found = theory.magnification or {}
    name = max(found, key=lambda metric: found[metric].max())
    step = int(np.argmax(found[name]))
    return (
        f"differences of size 1/√d between runs are magnified {found[name][step]:.2g} times, "
        f"most in the {name.replace('_', ' ')} at step {theory.steps[step]}"
    )


def large_magnification(result: Trajectory) -> tuple[str, ...]:
    """Return what to know of a prediction whose limit is reached at large sizes only; nothing of others."""
    largest = max((float(values.max()) for values in (result.magnification or {}).values()), default=0.0)
    if largest <= LARGE:
        return ()
    return (f"{largest_magnification(result)}: means over runs are off by some {largest**2:.2g}/d there",)
