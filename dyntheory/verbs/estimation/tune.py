"""The verb `tune`: learning rate, width and stopping time by the estimate, with what choosing the best costs taken off.

The smallest of many estimates is too small: it was chosen for its luck as well. The size of that is measured by
choosing again on resampled rows and looking at the rows that were left out.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from dyntheory.ground.arrays import ArrayLike, Key, Progress
from dyntheory.ground.checks import check_count
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import double_precision
from dyntheory.ground.storage.saved import Saved
from dyntheory.problem.laws.rows import labelled_rows
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.results.trajectory import Trajectory
from dyntheory.verbs.estimation.covariance import Covariance
from dyntheory.verbs.estimation.estimate import estimate
from dyntheory.verbs.estimation.reliable_steps import EstimateWarning
from dyntheory.verbs.estimation.training_run import row_metrics

METRICS = ("test_error", "test_loss")


class Candidate(NamedTuple):
    """One method at its best step.

    Args:
        name: of the method.
        step: where its estimate is smallest, of the steps that have one.
        value: the estimate there.
        standard_error: of it.
    """

    name: str
    step: int
    value: float
    standard_error: float


@dataclasses.dataclass(frozen=True)
class Tuned(Saved):
    """What to train, for how long, and what error to expect.

    Args:
        best: the chosen candidate; its `value` is too small by the luck of the choice.
        expected: the estimate of the chosen one without that luck.
        optimism: the luck, `expected` − `best.value`.
        candidates: every method at its best step, the best first.
        trajectories: the whole estimates by name.
        metric: "test_error" or "test_loss".
    """

    best: Candidate
    expected: float
    optimism: float
    candidates: tuple[Candidate, ...]
    trajectories: dict[str, Trajectory]
    metric: str

    def __str__(self) -> str:
        lines = [
            f"{one.name}: {one.value:.4g} ± {one.standard_error:.2g} after {one.step} steps" for one in self.candidates
        ]
        return "\n".join([*lines, f"choose {self.best.name}; expect {self.expected:.4g} on fresh rows"])


def tune(
    inputs: ArrayLike,
    labels: ArrayLike,
    methods: Mapping[str, GeneralFirstOrderMethod] | Sequence[GeneralFirstOrderMethod] | GeneralFirstOrderMethod,
    *,
    num_steps: int,
    key: Key,
    covariance: Covariance | None = None,
    metric: str = "test_error",
    num_resamples: int = 200,
    max_memory: float | None = None,
    progress: Progress | None = None,
) -> Tuned:
    """Choose among methods and stopping times by the estimated error on fresh rows; no row is held out.

    Args:
        inputs: X, (n, d), as in `dyntheory.estimate`.
        labels: y, (n,) or (n, outputs).
        methods: candidates by name, or in a row (then named by their descriptions and numbers).
        num_steps: the largest number of steps; all smaller ones are candidates too.
        key: `jax.random.key(seed)`; all candidates start from it.
        covariance: as in `dyntheory.estimate`.
        metric: "test_error" or "test_loss", what is to be small.
        num_resamples: choices made again, for the luck of the choice.
        max_memory: as in `dyntheory.estimate`.
        progress: called with (fraction done, what is being done).

    Returns:
        The choice, what error to expect of it, and all candidates. Where a candidate becomes unstable it is judged by
        the steps before, which a warning says.

    Raises:
        TypeError: no methods.
        ValueError: no candidate stayed finite, or see `dyntheory.estimate`.

    Example:
        >>> import optax, dyntheory as dt
        >>> rows = np.random.default_rng(0).normal(size=(80, 30))
        >>> rates = {f"{rate:g}": dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=rate)
        ...          for rate in (0.03, 0.3)}
        >>> dt.tune(rows, rows[:, 0], rates, num_steps=20, key=jax.random.key(0)).best.name
        '0.3'

    Reference: `tsamardinos2018bootstrapping`, bias correction by resampling rows and choosing again.
    """
    labelled_rows(inputs, labels)
    check_arguments(tune, locals())
    named = _named(methods)
    num_resamples = check_count("num_resamples", num_resamples)
    if metric not in METRICS:
        raise ValueError(f"`metric` must be one of {', '.join(METRICS)}, got {metric!r}.")
    options: dict[str, Any] = {"num_steps": num_steps, "key": key, "covariance": covariance, "max_memory": max_memory}
    found = {
        name: _estimated(inputs, labels, method, progress=_part(progress, index, len(named), name), **options)
        for index, (name, method) in enumerate(named.items())
    }
    ended = [f"{name}: {one.status}" for name, one in found.items() if not one.status.ok]
    if ended:
        told = f"{len(ended)} of {len(found)} candidates were judged by their first steps only. {'; '.join(ended)}"
        warnings.warn(told, EstimateWarning, stacklevel=2)
    rows = np.stack([_rows(named[name], one, metric) for name, one in found.items()])
    curves = np.stack([np.asarray(getattr(one, metric)) for one in found.values()])
    if not np.isfinite(curves).any():
        raise ValueError("No candidate stayed finite: lower the learning rates.")
    optimism = _optimism(rows, curves, num_resamples)
    candidates = sorted((_candidate(name, one, metric) for name, one in found.items()), key=_order)
    best = candidates[0]
    return Tuned(best, best.value + optimism, optimism, tuple(candidates), found, metric)


def _estimated(inputs: ArrayLike, labels: ArrayLike, method: GeneralFirstOrderMethod, **options: Any) -> Trajectory:
    """Return the estimate; what it warns of is in its status, and is said of all candidates together."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EstimateWarning)
        return estimate(inputs, labels, method, **options)


def _order(one: Candidate) -> float:
    return one.value if np.isfinite(one.value) else np.inf


def _named(methods: Any) -> dict[str, GeneralFirstOrderMethod]:
    if isinstance(methods, Mapping):
        named = dict(methods)
    else:
        given = [methods] if isinstance(methods, GeneralFirstOrderMethod) else list(methods)
        named = {f"{index}: {one.description} {_numbers(one)}".strip(): one for index, one in enumerate(given)}
    if not named:
        raise TypeError("`methods` must hold a method, got none.")
    return named


def _numbers(method: GeneralFirstOrderMethod) -> str:
    return ", ".join(f"{float(leaf):g}" for leaf in jax.tree.leaves(method.hyperparameters) if np.ndim(leaf) == 0)


def _part(progress: Progress | None, index: int, count: int, name: str) -> Progress | None:
    if progress is None:
        return None
    return lambda fraction, text: progress((index + fraction) / count, f"{name}: {text}")


def _rows(method: GeneralFirstOrderMethod, found: Trajectory, metric: str) -> Float[np.ndarray, "states n"]:
    """Return the metric of every row at its debiased preactivation."""
    identity = dataclasses.replace(method, head_of=lambda head: head)
    with double_precision():
        pair = jax.jit(row_metrics)(identity, found.head, found.recorded_preactivations, found.labels)
    return np.asarray(pair[METRICS[::-1].index(metric)])


def _candidate(name: str, found: Trajectory, metric: str) -> Candidate:
    curve = np.asarray(getattr(found, metric))
    if not np.isfinite(curve).any():
        return Candidate(name, 0, np.inf, np.inf)
    step = int(np.nanargmin(curve))
    return Candidate(name, step, float(curve[step]), float(getattr(found.standard_error, metric)[step]))


def _optimism(
    rows: Float[np.ndarray, "methods states n"], curves: Float[np.ndarray, "methods states"], num_resamples: int
) -> float:
    """Return by how much rows left out exceed, at the choice made without them, the rows it was made with.

    Steps without an estimate are not chosen here either.
    """
    count, judged = rows.shape[2], np.isfinite(curves) & np.isfinite(rows).all(axis=2)
    flat = rows[judged]
    shift = curves[judged] - flat.mean(axis=1)  # what the head's part added
    random, differences = np.random.default_rng(0), []
    for _ in range(num_resamples):
        weights = np.bincount(random.integers(0, count, count), minlength=count)
        inside = flat @ weights / count + shift
        chosen = int(np.argmin(inside))
        outside = weights == 0
        if outside.any():
            differences.append(flat[chosen, outside].mean() + shift[chosen] - inside[chosen])
    return float(max(np.mean(differences), 0.0)) if differences else 0.0
