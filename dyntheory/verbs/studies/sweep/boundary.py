"""The verb `boundary`: where a predicted quantity vanishes, by root-finding and not read off a grid."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dyntheory.ground.arrays import Key, Progress
from dyntheory.ground.checks import check_finite, check_positive, check_scalar, shown
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.resources import silent
from dyntheory.ground.status import Outcome, quiet
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.verbs.studies.sweep.answers import ERROR
from dyntheory.verbs.studies.sweep.axes import Axes, axes_of
from dyntheory.verbs.studies.sweep.sweep import sweep

if TYPE_CHECKING:
    import xarray

MOST_ITERATIONS = 60
SLOPE_STEP = 1e-3  # of the interval, where the slope at a root is taken
FAR = 300.0  # decades: a loss that is no number any more

REFUSED = {
    **dict.fromkeys(("checkpoint", "resume"), "what it sweeps depends on what it found"),
    **dict.fromkeys(("simulation", "theory"), "it searches predictions"),
}

Quantity = Callable[..., Any]


def growth(found: xarray.Dataset) -> Any:
    """Return log10 of the last training loss over the first, a large number where it is not finite."""
    with np.errstate(all="ignore"):
        decades = np.log10(found.train_loss.isel(step=-1) / found.train_loss.isel(step=0))
    return decades.fillna(FAR).clip(-FAR, FAR)


def boundary(
    law: TeacherStudent | Callable[..., TeacherStudent],
    method: GeneralFirstOrderMethod | Callable[..., GeneralFirstOrderMethod],
    *,
    along: str,
    between: Sequence[float],
    over: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    quantity: Callable[..., Any] = growth,
    key: Key,
    num_steps: int | None = None,
    tolerance: float = 1e-4,
    progress: Progress | None = None,
    **options: Any,
) -> xarray.Dataset:
    """Find where a predicted quantity changes its sign along one number, at every point of a grid or a list.

    All points are searched together by Chandrupatla's method, each step one sweep on the same nodes, so that the
    quantity is a smooth function where the maps are.

    Args:
        law: see `sweep`.
        method: see `sweep`.
        along: the name of the number whose critical value is sought; as in `sweep`.
        between: two values of it, at which the quantity has different signs.
        over: names with their values, or a list of points: where it is sought.
        quantity: function of a dataset of `sweep` with the dimensions `point` and `step` that returns one number for
            each point: `lambda found: found.test_error.isel(step=-1) - 0.5`. Default: the decades by which the training
            loss has grown, so that the boundary is where training diverges.
        key: `jax.random.key(seed)`.
        num_steps: T, unless it is swept.
        tolerance: of the critical value, relative to the interval.
        progress: called with (fraction done, what is being done).
        **options: of `sweep`: `num_nodes`, `head`, `first_layer`, `record`, `max_memory`, `executor`.

    Returns:
        A dataset over what was swept: the critical value by its name, `…_standard_error` (numerical error of the
        quantity over its slope, one sigma), `slope`, and `status`: "ok", or "unresolved" with NaN where the signs at
        both ends are the same.

    Raises:
        TypeError: an argument of the wrong kind, or a quantity that is not one number for each point.
        ValueError: see `sweep`; or an interval that is none.

    Example:
        >>> import jax, optax, dyntheory as dt
        >>> method = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.3)
        >>> edge = dt.boundary(
        ...     dt.TeacherStudent(1.0), method, along="learning_rate", between=(0.1, 3.0), num_nodes=2**11,
        ...     over={"samples_per_feature": [4.0]}, num_steps=30, key=jax.random.key(0),
        ... )
        >>> 0.8 < float(edge.learning_rate[0]) < 1.1  # 2/(1 + 1/√α)² as T → ∞: 0.89
        True

    Reference: `chandrupatla1997root` for the method.
    """
    check_arguments(boundary, locals())
    check_scalar("tolerance", tolerance)
    check_positive("tolerance", tolerance)
    low, high = _interval(between)
    axes = axes_of(over)
    if along in axes.names:
        raise ValueError(f"`along` is {along!r}, which `over` has as well: leave it out there.")
    report = progress or silent
    search = _Search(axes, along, (low, high), quantity, functools.partial(sweep, law, method, **_given(options)))
    search.given = {"key": key, "num_steps": num_steps}
    return search.run(tolerance, report)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    for name in sorted(set(options) & set(REFUSED)):
        raise TypeError(f"`boundary` takes no {name}: {REFUSED[name]}.")
    return options


def _interval(between: Sequence[float]) -> tuple[float, float]:
    if len(between) != 2:
        raise ValueError(f"`between` must be two values, got {shown(between)}.")
    for value in between:
        check_scalar("between", value)
        check_finite("between", value)
    low, high = map(float, between)
    if low >= high:
        raise ValueError(f"`between` must be a lower and a higher value, got {between!r}.")
    return low, high


class _Search:
    """One search: sweeps of a fixed number of points, whichever of them still move."""

    def __init__(
        self,
        axes: Axes,
        along: str,
        interval: tuple[float, float],
        quantity: Quantity,
        sweeping: Callable[..., xarray.Dataset],
    ) -> None:
        self.axes, self.along, self.interval, self.quantity, self.sweeping = axes, along, interval, quantity, sweeping
        self.given: dict[str, Any] = {}
        self.count = len(axes.points)

    def run(self, tolerance: float, report: Progress) -> xarray.Dataset:
        """Return the roots."""
        from scipy.optimize import elementwise

        low, high = self.interval
        width, done = high - low, [0]

        def values(x: np.ndarray, places: np.ndarray) -> np.ndarray:
            done[0] += 1
            report(1.0 - 0.8 ** done[0], f"sweep {done[0]}")
            return self._values(x, places.astype(int))

        places = np.arange(self.count, dtype=float)
        ends = (np.full(self.count, low), np.full(self.count, high))
        tolerances = {"xatol": tolerance * width, "xrtol": 0.0, "fatol": 0.0, "frtol": 0.0}
        found = elementwise.find_root(values, ends, args=(places,), tolerances=tolerances, maxiter=MOST_ITERATIONS)
        is_found = np.asarray(found.success) & np.isfinite(np.asarray(found.x))
        roots = np.where(is_found, found.x, np.nan)
        slope, error = self._slope_and_error(np.where(is_found, roots, 0.5 * (low + high)), SLOPE_STEP * width)
        report(1.0, "done")
        return self._dataset(roots, np.where(is_found, slope, np.nan), error, is_found)

    def _found(self, x: np.ndarray, places: np.ndarray) -> xarray.Dataset:
        """Return a sweep at x, filled up to the number of all points: one program for every step."""
        filled = np.resize(np.arange(len(x)), self.count)
        chosen = [{**self.axes.points[places[one]], self.along: float(x[one])} for one in filled]
        with quiet():  # beyond a boundary points end badly: that is what is looked for
            return self.sweeping(over=chosen, **self.given)

    def _values(self, x: np.ndarray, places: np.ndarray) -> np.ndarray:
        return self._read(self._found(x, places))[: len(x)]

    def _read(self, found: xarray.Dataset) -> np.ndarray:
        answer = np.asarray(self.quantity(found), dtype=float)
        if answer.shape != (self.count,):
            raise TypeError(
                f"`quantity` must return one number for each of {self.count} points, it returned shape {answer.shape}: "
                "choose a step, found.test_error.isel(step=-1)."
            )
        return answer

    def _slope_and_error(self, x: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the slope of the quantity, and its error where every curve moves by its own error."""
        places = np.arange(self.count)
        inside = np.clip(x, self.interval[0] + step, self.interval[1] - step)
        slope = (self._values(inside + step, places) - self._values(inside - step, places)) / (2 * step)
        found = self._found(x, places)
        value, squared = self._read(found), np.zeros(self.count)
        for name in [str(name) for name in found.data_vars if f"{name}{ERROR}" in found]:
            squared += (self._read(found.assign({name: found[name] + found[f"{name}{ERROR}"]})) - value) ** 2
        return slope, np.sqrt(squared)

    def _dataset(self, roots: np.ndarray, slope: np.ndarray, error: np.ndarray, is_found: np.ndarray) -> xarray.Dataset:
        import xarray

        dimensions, shape = tuple(self.axes.lengths), tuple(self.axes.lengths.values())
        with np.errstate(all="ignore"):
            columns = {self.along: roots, self.along + ERROR: error / np.abs(slope), "slope": slope}
        columns["status"] = np.where(is_found, str(Outcome.OK), str(Outcome.UNRESOLVED))
        variables = {name: (dimensions, column.reshape(shape)) for name, column in columns.items()}
        return xarray.Dataset(variables, self.axes.coordinates)
