"""The search of a design: populations that are swept, or gradients through the prediction from the best of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from dyntheory.dynamics.differentiation import kinks
from dyntheory.ground.arrays import Key, Progress, PyTree
from dyntheory.ground.checks import check_finite, check_scalar, shown
from dyntheory.ground.precision import double_precision
from dyntheory.ground.randomness import seed, stream
from dyntheory.ground.status import Outcome, quiet
from dyntheory.verbs.prediction.predict import predict
from dyntheory.verbs.simulation.simulate import simulate
from dyntheory.verbs.studies.sweep.descent import Descent, NoGradient
from dyntheory.verbs.studies.sweep.designed import Choice
from dyntheory.verbs.studies.sweep.points import STEPS, Points
from dyntheory.verbs.studies.sweep.sweep import sweep

if TYPE_CHECKING:
    import xarray

SURE = 2.0  # standard errors by which a choice must be better: a search finds what nodes get wrong
DOUBTFUL = 10.0  # times the value: behind all choices whose every step is resolved
SPREAD = 1e-3  # of the quantity in a population, relative, at which a search ends
REFINEMENTS = 4  # of the constant choice, each four times finer
STARTS = 4  # of descents: the constant choice and the best of the others
FEW = 8  # numbers; up to so many a population finds better places than descents do (measured)
SEARCHES = ("auto", "gradient", "evolution")

Bounds = dict[str, tuple[float, float]]


def bounds_of(over: Mapping[str, Sequence[float]]) -> Bounds:
    """Return lower and upper bounds by name.

    Raises:
        TypeError: no pair of numbers.
        ValueError: not in order, or nothing to design.
    """
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
    if STEPS in found:
        raise ValueError(f"`over` names {STEPS!r}, a whole number: sweep over it, or design with early_stopping=True.")
    return found


class Wanted(NamedTuple):
    """What is designed; see the arguments of `design`."""

    law: Any
    method: Any
    points: Points
    bounds: Bounds
    tied: tuple[str, ...]
    key: Key
    head: PyTree
    first_layer: Any
    num_nodes: int | None
    early_stopping: bool

    def named(self, row: np.ndarray) -> dict[str, float]:
        """Return the numbers of a row by name."""
        return dict(zip(self.bounds, map(float, row), strict=True))

    def best_step(self, sure: Any) -> Any:
        """Return the step of which the error counts, given errors along the last axis."""
        if self.early_stopping:
            return np.where(np.isnan(sure), np.inf, sure).argmin(axis=-1)
        return np.full(sure.shape[:-1], sure.shape[-1] - 1)


class Search:
    """One search: populations of a fixed size, each a sweep on the same nodes."""

    def __init__(self, wanted: Wanted, population: int, max_sweeps: int, report: Progress) -> None:
        self.wanted, self.population, self.max_sweeps, self.report = wanted, population, max_sweeps, report
        self.history: list[float] = []
        self.lows, self.highs = (np.asarray(ends) for ends in zip(*wanted.bounds.values(), strict=True))
        self.random = np.random.default_rng(seed(wanted.key, "design"))

    def run(self, kind: str) -> tuple[np.ndarray | None, np.ndarray]:
        """Return the best constant choice, if names are tied, and the best one.

        Raises:
            ValueError: a value outside its range at a bound, or gradients where there are none.
        """
        spread = self.highs - self.lows
        start = self.lows + spread * self.random.random((self.population, len(self.lows)))
        for ends in (self.lows, self.highs):
            self.wanted.points.problem(self.wanted.named(ends))
        descent = self._descent(kind)
        constant = self._constant(start) if self.wanted.tied else None
        if constant is not None:
            start[0] = constant
        first = self._values(start)  # here errors are told as they are
        return constant, self._evolved(start, first) if descent is None else self._descended(descent, start, first)

    def _descent(self, kind: str) -> Descent | None:
        if kind == "evolution" or (kind == "auto" and len(self.lows) <= FEW):
            return None
        wanted = self.wanted
        try:
            point = wanted.points.problem(wanted.named(0.5 * (self.lows + self.highs)))
            jumping = [name for names in kinks(point.law, point.method) for name in names]
            if jumping:
                raise NoGradient(f"{' and '.join(jumping)} jumps, or nobody said that it does not")
            with double_precision():
                return Descent(wanted.points, wanted.bounds, wanted.key, wanted.num_nodes, SURE, wanted.early_stopping)
        except NoGradient as error:
            if kind == "gradient":
                raise ValueError(f"There is no gradient to search by: {error}. Use search='evolution'.") from error
            return None

    def _descended(self, descent: Descent, start: np.ndarray, first: np.ndarray) -> np.ndarray:
        """Return the best end of descents from the best starts."""
        from scipy.optimize import minimize

        spread = self.highs - self.lows

        def value(unit: np.ndarray) -> tuple[float, np.ndarray]:
            found, slope = descent(self.lows + spread * unit)
            self._count(float(np.exp(found)))
            return found, slope * spread

        order = np.argsort(first)
        places = [0, *(place for place in order if place)] if self.wanted.tied else list(order)
        ends: list[np.ndarray] = []
        for place in places[:STARTS]:
            found = minimize(
                value,
                (start[place] - self.lows) / spread,
                jac=True,
                method="L-BFGS-B",
                bounds=[(0.0, 1.0)] * len(spread),
                options={"maxfun": self.max_sweeps, "ftol": SPREAD / 100},
            )
            ends.append(self.lows + spread * np.clip(found.x, 0.0, 1.0))
        found = np.stack([*ends, *(start[place] for place in places[:STARTS])])
        return found[self._values(found).argmin()]

    def _evolved(self, start: np.ndarray, first: np.ndarray) -> np.ndarray:
        """Return the best of generations of differential evolution, from a population whose values are known."""
        return self._evolution(self._values, start, self.lows, self.highs, first)

    def _evolution(
        self,
        value: Callable[[np.ndarray], np.ndarray],
        start: np.ndarray,
        lows: np.ndarray,
        highs: np.ndarray,
        first: np.ndarray,
    ) -> np.ndarray:
        from scipy.optimize import differential_evolution

        def values(x: np.ndarray) -> np.ndarray:
            rows = np.clip(np.atleast_2d(x.T), lows, highs)
            found = first if np.array_equal(rows, start) else value(rows)
            return found if x.ndim > 1 else found[0]

        initial: Any = start
        found = differential_evolution(
            values,
            list(zip(lows, highs, strict=True)),
            init=initial,
            maxiter=max(self.max_sweeps - 1, 0),
            tol=SPREAD,
            polish=False,
            vectorized=True,
            updating="deferred",
            rng=self.random,
        )
        return np.clip(found.x, lows, highs)

    def _constant(self, start: np.ndarray) -> np.ndarray:
        """Return the best of choices whose tied numbers are equal; the others are searched as for the best one."""
        is_tied = np.asarray([name in self.wanted.tied for name in self.wanted.bounds])
        low, high = self.lows[is_tied].max(), self.highs[is_tied].min()
        if low >= high:
            raise ValueError(f"`tied` numbers have no value in common: their bounds are {low:g} and {high:g}.")

        def whole(rows: np.ndarray) -> np.ndarray:
            found = np.empty((len(rows), len(is_tied)))
            found[:, is_tied], found[:, ~is_tied] = rows[:, :1], rows[:, 1:]
            return found

        common = np.linspace(low, high, len(start))
        rows = np.column_stack([common, start[:, ~is_tied]])
        if not is_tied.all():
            lows, highs = np.append(low, self.lows[~is_tied]), np.append(high, self.highs[~is_tied])
            value = self._constant_values(whole)
            return whole(self._evolution(value, rows, lows, highs, value(rows))[None])[0]
        best = rows[0]
        for _ in range(REFINEMENTS):
            best = rows[self._values(whole(rows)).argmin()]
            rows = best + (rows - best) / 4  # among them the best itself
        return whole(best[None])[0]

    def _constant_values(self, whole: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
        return lambda rows: self._values(whole(rows))

    def _values(self, rows: np.ndarray) -> np.ndarray:
        filled = rows[np.minimum(np.arange(max(self.population, len(rows))), len(rows) - 1)]
        found = self._swept([self.wanted.named(row) for row in filled])
        sure = (found.test_error + SURE * found.test_error_standard_error).values[: len(rows)]
        chosen = sure[np.arange(len(sure)), self.wanted.best_step(sure)]
        doubtful = found.status.isin([Outcome.UNRESOLVED, Outcome.DIVERGED]).values[: len(rows)]
        values = np.where(np.isfinite(chosen), np.where(doubtful, DOUBTFUL * chosen, chosen), np.inf)
        self._count(float(values.min()))
        return values

    def _count(self, value: float) -> None:
        self.history.append(min([*self.history[-1:], value]))
        self.report(min(0.9, 0.9 * len(self.history) / self.max_sweeps), f"{len(self.history)}, {self.history[-1]:.4g}")

    def _swept(self, points: list[dict[str, float]]) -> xarray.Dataset:
        wanted = self.wanted
        given: dict[str, Any] = {"num_steps": wanted.points.question.num_steps, "key": wanted.key, "head": wanted.head}
        given |= {"first_layer": wanted.first_layer, "num_nodes": wanted.num_nodes}
        with quiet():  # choices that end badly are not chosen
            return sweep(wanted.law, wanted.method, over=points, **given)


def choice_of(wanted: Wanted, row: np.ndarray, confirm: Mapping[str, Any] | None) -> Choice:
    """Return a choice, predicted on nodes of its own, and trained if asked for."""
    values = wanted.named(row)
    point = wanted.points.problem(values)
    with double_precision():  # other digits would be another draw
        head = point.method.init_head(stream(wanted.key, "head")) if wanted.head is None else wanted.head
    fresh = jax.random.fold_in(wanted.key, 1)
    given: dict[str, Any] = {"num_steps": point.num_steps, "key": fresh, "head": head}
    given["first_layer"] = point.first_layer
    with quiet():  # the choice says it
        theory = predict(point.law, point.method, num_nodes=wanted.num_nodes, keep_preactivations=False, **given)
    assert theory.test_error is not None and theory.standard_error is not None
    step = int(wanted.best_step(theory.test_error + SURE * theory.standard_error.test_error))
    trained, ended = (None, None), None
    if confirm is not None:
        simulation = simulate(point.law, point.method, **given, **confirm)
        trained, ended = _at(simulation, step), simulation.status
    growth = (theory.magnification or {}).get("test_error")
    magnification = None if growth is None else float(np.max(growth[: step + 1]))
    return Choice(values, step, *_at(theory, step), *trained, theory.status, magnification, ended)


def _at(result: Any, step: int) -> tuple[float, float]:
    return float(result.test_error[step]), float(result.standard_error.test_error[step])
