"""Whether runs leave a prediction behind: nearly all of them far above it, or diverged where it is finite.

Near an explosion the mean over runs has no useful standard error, but single runs tell. Curves are not negative, so a
run exceeds c times the mean with probability at most 1/c (Markov), and K of R do with at most C(R, K) c^{−K}: no
assumption about their distribution is made. With H heads, whose means differ, H/c takes the place of 1/c.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from dyntheory.results.agreement import Measured
from dyntheory.results.trajectory import Trajectory

MULTIPLES = 10.0 ** np.arange(1, 10)
OF_DIVERGED = 1e6  # a run is said to diverge when its loss grows 10¹⁰-fold; a prediction that grows less stays below
SHARE_OF_LEVEL = 1e-3  # of the level of the verdict, which so keeps it
ERRORS_ABOVE = 4.0


def escaped(theory: Measured, run: Trajectory, *, level: float) -> str | None:
    """Return how many runs left the prediction behind and where, None when too few did.

    Args:
        theory: predicted curves; what is not finite is not looked at.
        run: runs, with the curves of single ones if they were kept, else with the number that diverged.
        level: of the verdict.
    """
    heads = int(run.provenance.get("num_heads") or 1)
    allowed = float(np.log(SHARE_OF_LEVEL * level))
    return _by_curves(theory, run, heads, allowed) or _by_number(theory, run, heads, allowed)


def _by_curves(theory: Measured, run: Trajectory, heads: int, allowed: float) -> str | None:
    steps = np.intersect1d(theory.steps[: theory.finite_length()], run.steps)
    predicted, places = theory.on(steps), np.argsort(run.steps)[np.searchsorted(np.sort(run.steps), steps)]
    found: list[tuple[float, int, int, float, str, int]] = []
    for name, value in predicted.values.items():
        curves = None if run.per_run is None else getattr(run.per_run, name)
        if curves is None or not len(steps):
            continue
        single = np.asarray(curves, dtype=float)[:, places]
        ceiling = np.abs(value) + ERRORS_ABOVE * predicted.errors[name]
        with np.errstate(all="ignore"):
            above = ~(single[None] <= MULTIPLES[:, None, None] * ceiling)
        counts = above.sum(axis=1)
        chance = _log_chance(counts, len(single), heads / MULTIPLES[:, None])
        at = np.unravel_index(int(chance.argmin()), chance.shape)
        looks = np.log(chance.size * len(predicted.values))
        found.append(
            (float(chance[at] + looks), int(counts[at]), len(single), float(MULTIPLES[at[0]]), name, int(steps[at[1]]))
        )
    if not found or min(found)[0] > allowed:
        return None
    _, count, total, multiple, name, step = min(found)
    return f"{count} of {total} runs are above {multiple:.0e} times the prediction: {name} at step {step}"


def _by_number(theory: Measured, run: Trajectory, heads: int, allowed: float) -> str | None:
    """Return the same from the number of runs that diverged."""
    total, count = run.provenance.get("num_runs"), run.num_diverged or 0
    curves = np.stack([*theory.values.values()])
    stays = np.all(np.isfinite(curves)) and np.all(np.abs(curves) <= 1e3 * np.abs(curves[:, :1]))
    if not total or not count or not stays or theory.steps[-1] < np.max(run.steps):
        return None
    if _log_chance(np.asarray(count), int(total), heads / OF_DIVERGED) > allowed:
        return None
    return f"{count} of {total} runs diverged where the prediction stays finite"


def _log_chance(counts: np.ndarray, total: int, probability: float | np.ndarray) -> np.ndarray:
    """Return a bound on the logarithm of the probability of at least so many of the runs: every choice of them."""
    choices = gammaln(total + 1) - gammaln(counts + 1) - gammaln(total - counts + 1)
    return np.minimum(choices + counts * np.log(np.minimum(probability, 1.0)), 0.0)
