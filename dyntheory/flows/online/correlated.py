"""One-pass least squares with correlated features: the mean errors as d → ∞, or exactly at finite d; and runs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from dyntheory.flows.online.correlated_runs import train_linear
from dyntheory.flows.online.modes import (
    Means,
    Modes,
    Numbers,
    finite_means,
    limit_means,
    scheduled_means,
    stepwise_means,
)
from dyntheory.flows.online.prepared import Rates, check_grid, check_rates, keys_of_runs
from dyntheory.flows.online.results import OnlineTrajectory
from dyntheory.flows.online.units import LINEAR, family_of
from dyntheory.ground.arrays import ArrayLike, Key, Progress
from dyntheory.ground.checks import check_count, check_positive, check_scalar
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import as_double, double_precision
from dyntheory.ground.resources import Resources
from dyntheory.ground.status import Assumptions, DyntheoryWarning, Outcome, Status
from dyntheory.problem.laws.first_layer import FirstLayer, joint_second_moment
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.laws.links import resolve_link
from dyntheory.problem.laws.spectra import Spectrum
from dyntheory.problem.prepared import environment
from dyntheory.results.judgement import has_diverged

ROUNDING = 1e-11
WHY = {
    False: "SGD of any batch follows the homogenised flow as d → ∞ with eigenvalues that stay O(1)",
    True: "the mean over runs is exact at this d for Gaussian inputs",
}


class _Linear(NamedTuple):
    """A checked problem: law, spectrum, moments of (w*, w), grid, rates."""

    law: TeacherStudent
    spectrum: Spectrum
    joint: np.ndarray
    times: np.ndarray
    rates: Rates

    @property
    def numbers(self) -> Numbers:
        """Numbers of the recursion."""
        rate = 0.0 if callable(self.rates.learning_rate) else self.rates.learning_rate
        return Numbers(rate, self.rates.momentum, float(self.rates.batch_size), float(self.law.noise_std) ** 2)

    def modes(self, d: int | None) -> Modes:
        """Return the modes with their shares, or those of d features one by one."""
        values, powers, shares = (np.asarray(one, float) for one in _columns(self.spectrum))
        if d is not None:
            places = np.asarray(self.spectrum.modes_of(d))
            values, powers, shares = values[places], powers[places], np.full(d, 1.0 / d)
        (power, overlap), (_, own) = self.joint
        slope = overlap / power if power > 0 else 0.0
        teacher = powers * power
        distance = (slope - 1.0) ** 2 * teacher + (own - slope * overlap)
        return Modes(values, shares, distance, (slope - 1.0) * teacher, teacher)


def _columns(spectrum: Spectrum) -> tuple[Any, Any, Any]:
    return spectrum.values, spectrum.powers, spectrum.weights


def least_squares(
    law: TeacherStudent,
    *,
    learning_rate: float | Callable[[Any], Any],
    time: ArrayLike,
    num_features: int | None = None,
    momentum: float = 0.0,
    batch_size: int = 1,
    first_layer: FirstLayer | None = None,
    rtol: float = 1e-8,
) -> OnlineTrajectory:
    """Predict one-pass SGD of a linear unit on correlated features: y = x·W*/√d + σ ξ, F = x·W/√d.

    Along an eigenvalue λ, v = E(w − w*)² obeys dv/dα = −2ηλ v + (η²/B) λ (P + σ²), P = E[λ v] the excess error: the
    homogenised flow. With `num_features` the mean over runs is computed exactly at that d instead.

    Scaling:
        As in `predict`. Stable for η E λ < 2B as d → ∞. A power law's largest eigenvalue grows with the number of
        modes: take `num_features` equal to it. With λ_j ∝ j^{−a}, λ_j w*_j² ∝ j^{−b} and no noise P falls as
        α^{−min((b − 1)/a, 2 − 1/a)} until the last mode is learned.

    Args:
        law: linear link, one teacher direction; `features` is the spectrum, default all eigenvalues one.
        learning_rate: η, or a JAX function of α, as in `predict`.
        time: the grid of α = steps/d, or its last value.
        num_features: d of exact means; default the limit.
        momentum: β; in the limit a rate of η/(1 − β).
        batch_size: B.
        first_layer: moments of w at the start; default E w² = 1.
        rtol: of the solver, where a rate changes with time in the limit.

    Returns:
        Errors; `weight_overlap` and `teacher_overlap` are means of λ w w and λ w w*.

    Raises:
        ValueError: another link, several directions, a given draw, numbers outside their ranges.

    Example:
        >>> import numpy as np, dyntheory as dt
        >>> law = dt.TeacherStudent(1.0, noise_std=0.5, features=dt.spectra.two_level(0.5, 4.0))
        >>> dt.online.least_squares(law, learning_rate=0.5, time=[0.0, 4.0]).test_error.round(6).tolist()
        [2.25, 0.467189]

    Reference: `paquette2021sgd`.
    """
    given = locals()
    check_arguments(least_squares, given)
    check_scalar("rtol", rtol)
    check_positive("rtol", rtol)
    if not 1e-12 <= rtol <= 0.1:
        raise ValueError(f"`rtol` must be from 1e-12 to 0.1, got {rtol!r}.")
    d = None if num_features is None else check_count("num_features", num_features)
    with double_precision():
        one = checked(given)
        means, error, status = _means_of(one, d, rtol)
        result = _reported(one, means, error, d, status)
    if not result.status.ok:
        warnings.warn(str(result.status), DyntheoryWarning, stacklevel=2)
    return result


def simulate_least_squares(
    law: TeacherStudent,
    *,
    num_features: int,
    learning_rate: float | Callable[[Any], Any],
    time: ArrayLike,
    num_runs: int,
    key: Key,
    momentum: float = 0.0,
    batch_size: int = 1,
    first_layer: FirstLayer | None = None,
    max_memory: float | None = None,
    progress: Progress | None = None,
) -> OnlineTrajectory:
    """Train a linear unit by one-pass SGD on correlated Gaussian features, and report means over runs.

    Every run draws its own teacher, start, inputs and noise; the excess error is mean λ (w − w*)².

    Args:
        law: as in `least_squares`.
        num_features: d.
        learning_rate: η, or a function of α.
        time: the grid of α, or its last value.
        num_runs: R; standard errors need two or more.
        key: `jax.random.key(seed)`.
        momentum: β.
        batch_size: B.
        first_layer: moments of w at the start.
        max_memory: bytes that may be used.
        progress: called with (fraction done, what is being done).

    Returns:
        Means over runs, `standard_error`, `.per_run`, `num_diverged`, `status`.

    Raises:
        ValueError: as `least_squares`, or too little memory.

    Example:
        >>> import jax, dyntheory as dt
        >>> runs = dt.online.simulate_least_squares(dt.TeacherStudent(1.0), num_features=20, learning_rate=0.5,
        ...                                         time=[0.0, 1.0], num_runs=3, key=jax.random.key(0))
        >>> runs.per_run.test_error.shape
        (3, 2)
    """
    given = locals()
    check_arguments(simulate_least_squares, given)
    d, num_runs = check_count("num_features", num_features), check_count("num_runs", num_runs)
    resources = Resources.checked(max_memory=max_memory, progress=progress)
    if 8 * 140 * num_runs * d > resources.max_memory:
        raise ValueError(f"`num_runs` = {num_runs} at d = {d} does not fit the memory: lower one of them.")
    with double_precision():
        one = checked(given)
        places = one.spectrum.modes_of(d)
        known = (jnp.asarray(one.joint), one.law.teacher_priors, one.spectrum.amplitudes(places, 1))
        numbers = {**one.numbers._asdict(), "scales": one.spectrum.scales(places)}
        keys, steps = keys_of_runs(key, d, num_runs), np.rint(one.times * d).astype(int)
        batch, schedule = one.rates.batch_size, one.rates.schedule
        found = train_linear(known, numbers, keys, steps, (batch, schedule), resources.report)
        result = of_runs(one, found, {"num_features": d, "num_runs": num_runs, **environment(key)})
    if not result.status.ok:
        warnings.warn(str(result.status), DyntheoryWarning, stacklevel=2)
    return result


def checked(given: Mapping[str, Any]) -> _Linear:
    """Return the problem that was asked for.

    Raises:
        ValueError: one that these equations are not about.
    """
    law, layer = given["law"], given["first_layer"]
    law.__post_init__()
    family = family_of(resolve_link(law.link).function)
    if family is None or family.kind != LINEAR or law.num_teacher_units > 1 or law.separation is not None:
        raise ValueError("`law` must have a linear link and one teacher direction here: TeacherStudent(1.0, 'linear').")
    if layer is not None and layer.draw is not None:
        raise ValueError("`first_layer` must be given by its moments here, got a draw.")
    times = check_grid(given["time"])
    rates = check_rates({**given, "head_rate": 0.0}, times)
    law, layer = as_double(law), as_double(layer)
    joint = np.asarray(joint_second_moment(layer, law.teacher_moment, 1))
    spectrum = Spectrum([1.0]) if law.features is None else law.features
    return _Linear(law, spectrum, joint, times, rates)


def _means_of(one: _Linear, d: int | None, rtol: float) -> tuple[Means, np.ndarray, Status]:
    modes, schedule = one.modes(d), one.rates.schedule
    if d is None and schedule is not None:
        return scheduled_means(modes, one.numbers, one.times, schedule, rtol)
    if d is None:
        means = limit_means(modes, one.numbers, one.times)
    else:
        steps = np.rint(one.times * d).astype(int)
        is_plain = schedule is None and one.rates.momentum == 0
        known = (modes, one.numbers, d, steps)
        means = finite_means(*known) if is_plain else stepwise_means(*known, schedule)
    return means, ROUNDING * np.maximum.accumulate(np.abs(means.excess)), Status()


def _reported(one: _Linear, means: Means, error: np.ndarray, d: int | None, status: Status) -> OnlineTrajectory:
    excess, noise = means.excess, float(one.law.noise_std) ** 2
    modes = one.modes(d)
    teacher = float(np.sum(modes.shares * modes.eigenvalues * modes.teacher))
    overlap = teacher + means.along_teacher
    weight = excess + 2.0 * overlap - teacher
    bad = ~np.isfinite(excess) | has_diverged(excess + noise)
    if bad.any():
        first = int(np.argmax(bad))
        told = f"the error blew up at time {one.times[first]:.4g}: lower `learning_rate`"
        status = Status(Outcome.DIVERGED, told, first)
    exactly = d is not None
    bars = OnlineTrajectory(one.times, test_error=error, excess_error=error)
    return OnlineTrajectory(
        one.times,
        test_error=excess + noise,
        excess_error=excess,
        weight_overlap=weight[:, None, None],
        teacher_overlap=overlap[:, None, None],
        teacher_moment=np.array([[teacher]]),
        standard_error=bars,
        status=status,
        assumptions=Assumptions("theorem", WHY[exactly]),
        provenance={"kind": "prediction", "num_features": d, "averages": "modes"},
    )


def of_runs(one: _Linear, found: dict[str, np.ndarray], told: dict[str, Any]) -> OnlineTrajectory:
    """Return means over the runs that did not diverge, with their errors."""
    noise = float(one.law.noise_std) ** 2
    measured = {"test_error": found["excess_error"] + noise, **found}
    bad = np.asarray(has_diverged(measured["test_error"]).any(axis=1))
    chosen = bad if bad.all() else ~bad
    count = int(chosen.sum())
    with np.errstate(all="ignore"):
        means = {name: value[chosen].mean(axis=0) for name, value in measured.items()}
        spread = {name: value[chosen].std(axis=0, ddof=1) / np.sqrt(count) for name, value in measured.items()}
    told_bad = f"{int(bad.sum())} of {len(bad)} runs diverged: lower `learning_rate`"
    return OnlineTrajectory(
        one.times,
        **means,
        standard_error=OnlineTrajectory(one.times, **spread) if count > 1 else None,
        per_run=OnlineTrajectory(one.times, **measured),
        num_diverged=int(bad.sum()),
        status=Status(Outcome.DIVERGED, told_bad) if bad.any() else Status(),
        assumptions=Assumptions("theorem", "runs of the algorithm itself"),
        provenance={"kind": "simulation", **told},
    )
