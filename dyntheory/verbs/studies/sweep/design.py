"""The verb `design`: numbers of a training run chosen by the theory, before anything is trained."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from dyntheory.ground.arrays import Key, Progress, PyTree
from dyntheory.ground.checks import check_count, check_finite, check_key, check_scalar, shown
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.names import check_name
from dyntheory.ground.precision import double_precision
from dyntheory.ground.randomness import seed, stream
from dyntheory.ground.resources import silent
from dyntheory.ground.status import quiet
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.verbs.prediction.predict import predict
from dyntheory.verbs.simulation.simulate import simulate
from dyntheory.verbs.studies.sweep.designed import Choice, Design
from dyntheory.verbs.studies.sweep.points import Points, Question
from dyntheory.verbs.studies.sweep.sweep import sweep

if TYPE_CHECKING:
    import xarray

SURE = 2.0  # standard errors by which a choice must be better: a search finds what nodes get wrong
SPREAD = 1e-3  # of the quantity in a population, relative, at which a search ends
REFINEMENTS = 4  # of the constant choice, each four times finer

Bounds = dict[str, tuple[float, float]]


def design(
    law: TeacherStudent | Callable[..., TeacherStudent],
    method: GeneralFirstOrderMethod | Callable[..., GeneralFirstOrderMethod],
    *,
    over: Mapping[str, Sequence[float]],
    num_steps: int,
    key: Key,
    tied: Sequence[str] = (),
    head: PyTree = None,
    num_nodes: int | None = None,
    population: int | None = None,
    max_sweeps: int = 60,
    confirm: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Design:
    """Choose numbers of a training run by the predicted test error at its last step; nothing is trained.

    The search is differential evolution (SciPy), each generation one sweep, right for kinked maps as for smooth ones.
    It begins with the best constant choice, and minimises the test error plus two standard errors, so that it does not
    find where nodes are wrong. What is reported is predicted on other nodes than those of the search, with the same
    head.

    Args:
        law: see `sweep`.
        method: see `sweep`; with `piecewise_sgd` a whole schedule is designed.
        over: names as in `sweep`, with the bounds of each.
        num_steps: T, the budget.
        key: `jax.random.key(seed)`; decides head, nodes and search.
        tied: names that are equal in the constant choice, with which the best is compared.
        head: the initial head; default one draw from `key`.
        num_nodes: N, see `predict`; some 2^12 are enough to search.
        population: points of a sweep; default 12 for each name, 24 at least.
        max_sweeps: budget of the search.
        confirm: keywords of `simulate` (num_features, num_runs, …): trains both choices.
        progress: called with (fraction done, what is being done).

    Returns:
        Best and constant choice with predicted errors, and simulated ones where asked for.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: see `sweep`; bounds that are none, or tied names that are not designed.

    Example:
        >>> import jax, optax, dyntheory as dt
        >>> method = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.3)
        >>> law, options = dt.TeacherStudent(2.0, noise_std=0.5), {"num_steps": 1, "num_nodes": 2**10}
        >>> found = dt.design(law, method, over={"learning_rate": (0.0, 2.0)}, key=jax.random.key(0), **options)
        >>> round(found.best.values["learning_rate"], 2)  # 2/(2 + (2 + σ²)/α)
        0.64

    Reference: `storn1997differential` for the search.
    """
    check_arguments(design, locals())
    check_key(key)
    bounds = _bounds(over)
    _check_tied(tied, bounds)
    _check_confirm(confirm)
    max_sweeps = check_count("max_sweeps", max_sweeps)
    size = max(24, 12 * len(bounds)) if population is None else check_count("population", population, minimum=5)
    search = _Search(law, method, bounds, tuple(tied), num_steps, key, head, num_nodes, progress or silent)
    constant, best = search.run(size, max_sweeps)
    choices = [None if one is None else search.choice(one, confirm) for one in (constant, best)]
    assert choices[1] is not None
    search.report(1.0, "done")
    return Design(choices[1], choices[0], tuple(search.history))


def _bounds(over: Mapping[str, Sequence[float]]) -> Bounds:
    found: Bounds = {}
    for name, ends in over.items():
        if isinstance(ends, str) or not hasattr(ends, "__len__") or len(ends) != 2:
            raise TypeError(f"`over[{name!r}]` must be two bounds, got {shown(ends)}.")
        for end in ends:
            check_scalar(f"over[{name!r}]", end)
            check_finite(f"over[{name!r}]", end)
        low, high = map(float, ends)
        if low >= high:
            raise ValueError(f"`over[{name!r}]` must be a lower and a higher bound, got {ends!r}.")
        found[name] = (low, high)
    if not found:
        raise ValueError("`over` names nothing to design.")
    return found


def _check_tied(tied: Any, bounds: Bounds) -> None:
    if not isinstance(tied, tuple | list):
        raise TypeError(f"`tied` must be a tuple of names, got {shown(tied)}.")
    unknown = [name for name in tied if name not in bounds]
    if unknown:
        raise ValueError(f"`tied` names {unknown[0]!r}, which is not designed: it must be one of {', '.join(bounds)}.")


def _check_confirm(confirm: Mapping[str, Any] | None) -> None:
    """Refuse now what `simulate` would refuse after a long search."""
    if confirm is None:
        return
    own = ("law", "method", "num_steps", "key", "head")
    parameters = {name: one for name, one in inspect.signature(simulate).parameters.items() if name not in own}
    for name in confirm:
        check_name("keyword in `confirm`", name, parameters)
    missing = [n for n, one in parameters.items() if one.default is inspect.Parameter.empty and n not in confirm]
    if missing:
        raise ValueError(f"`confirm` needs {', '.join(missing)}: it has the keywords of `simulate`.")


class _Search:
    """One search: populations of a fixed size, each a sweep on the same nodes."""

    def __init__(
        self,
        law: Any,
        method: Any,
        bounds: Bounds,
        tied: tuple[str, ...],
        num_steps: int,
        key: Key,
        head: PyTree,
        num_nodes: int | None,
        report: Progress,
    ) -> None:
        self.law, self.method, self.bounds, self.tied = law, method, bounds, tied
        self.num_steps, self.key, self.num_nodes, self.report = num_steps, key, num_nodes, report
        self.history: list[float] = []
        self.points = Points(Question({"law": law, "method": method, "first_layer": None}, head, num_steps))
        self.head = head

    def run(self, population: int, max_sweeps: int) -> tuple[np.ndarray | None, np.ndarray]:
        """Return the best constant choice, if names are tied, and the best one."""
        from scipy.optimize import differential_evolution

        lows, highs = (np.asarray(ends) for ends in zip(*self.bounds.values(), strict=True))
        random = np.random.default_rng(seed(self.key, "design"))
        start = lows + (highs - lows) * random.random((population, len(lows)))
        for ends in (lows, highs):
            self.points.problem(self._named(ends))
        constant = self._constant(lows, highs, start) if self.tied else None
        if constant is not None:
            start[0] = constant
        first = self._values(start, population)  # here errors are told as they are

        def values(x: np.ndarray) -> np.ndarray:
            rows = np.atleast_2d(x.T)
            found = first if np.array_equal(rows, start) else self._values(rows, population)
            self.report(min(0.9, 0.9 * len(self.history) / max_sweeps), f"sweep {len(self.history)}, {min(found):.4g}")
            return found if x.ndim > 1 else found[0]

        initial: Any = start
        found = differential_evolution(
            values,
            list(self.bounds.values()),
            init=initial,
            maxiter=max(max_sweeps - 1, 0),
            tol=SPREAD,
            polish=False,
            vectorized=True,
            updating="deferred",
            rng=random,
        )
        return constant, np.asarray(found.x)

    def _constant(self, lows: np.ndarray, highs: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Return the best of choices whose tied numbers are equal."""
        is_tied = np.asarray([name in self.tied for name in self.bounds])
        low, high = lows[is_tied].max(), highs[is_tied].min()
        if low >= high:
            raise ValueError(f"`tied` numbers have no value in common: their bounds are {low:g} and {high:g}.")
        tried = start.copy()
        tried[:, is_tied] = np.linspace(low, high, len(start))[:, None]
        best = tried[0]
        for _ in range(REFINEMENTS):
            best = tried[self._values(tried, len(start)).argmin()]
            tried = best + (tried - best) / 4  # among them the best itself
        return best

    def _values(self, rows: np.ndarray, population: int) -> np.ndarray:
        filled = rows[np.minimum(np.arange(max(population, len(rows))), len(rows) - 1)]
        points = [self._named(row) for row in filled]
        found = self._swept(points).isel(step=-1)
        sure = (found.test_error + SURE * found.test_error_standard_error).values[: len(rows)]
        values = np.where(np.isfinite(sure), sure, np.inf)
        self.history.append(min([*self.history[-1:], float(values.min())]))
        return values

    def _named(self, row: np.ndarray) -> dict[str, float]:
        return dict(zip(self.bounds, map(float, row), strict=True))

    def _swept(self, points: list[dict[str, float]]) -> xarray.Dataset:
        given: dict[str, Any] = {"num_steps": self.num_steps, "key": self.key, "head": self.head}
        with quiet():  # choices that end badly are not chosen
            return sweep(self.law, self.method, over=points, num_nodes=self.num_nodes, **given)

    def choice(self, row: np.ndarray, confirm: Mapping[str, Any] | None) -> Choice:
        """Return a choice, predicted on nodes of its own, and trained if asked for."""
        values = self._named(row)
        point = self.points.problem(values)
        with double_precision():  # other digits would be another draw
            head = point.method.init_head(stream(self.key, "head")) if self.head is None else self.head
        fresh = jax.random.fold_in(self.key, 1)
        given: dict[str, Any] = {"num_steps": self.num_steps, "key": fresh, "head": head}
        theory = predict(point.law, point.method, num_nodes=self.num_nodes, keep_preactivations=False, **given)
        trained = (None, None)
        if confirm is not None:
            trained = _last(simulate(point.law, point.method, **given, **confirm))
        return Choice(values, *_last(theory), *trained)


def _last(result: Any) -> tuple[float, float]:
    return float(result.test_error[-1]), float(result.standard_error.test_error[-1])
