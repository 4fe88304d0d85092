"""Curves over learning rates, predicted and trained, for `transfer`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import optax

import dyntheory as dt
from dyntheory.ground.status import DyntheoryWarning
from dyntheory.results import agreement

LEVEL, SIZE_ALLOWANCE = 0.01, 10.0
LAW = dt.TeacherStudent(2.0, link="tanh", noise_std=0.3)


class Case(NamedTuple):
    """One curve over rates: predicted, and by d the error of every run, (rates, runs).

    NaN where training diverges, and in the theory where none was asked for.
    """

    rates: np.ndarray
    theory: np.ndarray
    theory_error: np.ndarray
    runs: dict[int, np.ndarray]

    @property
    def best(self) -> int:
        """Place of the least predicted error, of the least simulated one where nothing is predicted."""
        return int(np.nanargmin(self.theory if self.is_predicted else self.means(next(iter(self.runs)))))

    @property
    def is_predicted(self) -> bool:
        """Whether there is a theory."""
        return bool(np.isfinite(self.theory).any())

    def means(self, num_features: int) -> np.ndarray:
        """Return simulated errors; infinite at rates where a run diverged."""
        means = self.runs[num_features].mean(axis=1)
        return np.where(np.isfinite(means), means, np.inf)


class Scaling(NamedTuple):
    """How a width gets its numbers, and what is trained."""

    activation: str
    initialization: str
    trains_head: bool = True

    def numbers(self, k: int, rate: float) -> dict[str, Any]:
        """Return the learning rates of W and of the head that are called `rate`."""
        if not self.trains_head:
            return {"learning_rate": rate, "head_learning_rate": 0.0}
        if self.initialization == "mean_field":
            return dt.hyperparameters_at_width(optax.sgd, from_width=1, to_width=k, learning_rate=rate)
        return {"learning_rate": rate, "head_learning_rate": rate}


MEAN_FIELD, STANDARD = "mean field", "standard"
SCALINGS = {
    MEAN_FIELD: Scaling("relu", "mean_field"),
    STANDARD: Scaling("relu", "lecun"),
    "mean field, tanh": Scaling("tanh", "mean_field"),
    "standard, tanh": Scaling("tanh", "lecun"),
    "standard, head frozen": Scaling("relu", "lecun", trains_head=False),
}


class Options(NamedTuple):
    """What all runs and predictions of a panel share."""

    num_steps: int
    key: Any


SIZED = dt.MLP((3,), "tanh")


def last_errors(method: dt.GeneralFirstOrderMethod, options: Options, num_features: int, num_runs: int) -> np.ndarray:
    """Return the test error of every run after the last step; NaN where it diverged."""
    common: dict[str, Any] = {"matrix": "auto", "num_test_nodes": 2**13, "keep_runs": True, **options._asdict()}
    common |= {"num_features": num_features, "num_runs": num_runs, "keep_preactivations": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DyntheoryWarning)  # rates that diverge are part of the curve
        runs = dt.simulate(LAW, method, **common)
    assert runs.per_run is not None
    return np.asarray(runs.per_run.test_error)[:, -1]


def predicted(method: Any, over: Any, options: Options, num_nodes: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return test errors after the last step and their standard errors, NaN where training diverges."""
    found: Any = dt.sweep(LAW, method, over=over, num_nodes=num_nodes, **options._asdict()).isel(step=-1)
    is_known = np.asarray(found.status != "diverged")
    values, errors = np.asarray(found.test_error), np.asarray(found.test_error_standard_error)
    return np.where(is_known, values, np.nan), np.where(is_known, errors, np.nan)


def at_sizes(optimizer: Any, rates: Sequence[float], options: Options, sizes: Mapping[int, int]) -> Case:
    """Predict once; train at every size."""
    methods = [dt.gradient_descent(SIZED, optimizer, learning_rate=rate) for rate in rates]
    theory = predicted(methods[0], {"learning_rate": list(rates)}, options, 2**15)
    return Case(np.asarray(rates), *theory, trained(methods, options, sizes))


def at_width(scaling: Scaling, k: int, rates: Sequence[float], options: Options, *, is_predicted: bool = True) -> Case:
    """Predict one width at all rates, or leave the theory open."""
    methods = methods_of(scaling, k, rates)
    theory = (np.full(len(rates), np.nan), np.full(len(rates), np.nan))
    if is_predicted:
        names = ("first_layer.learning_rate", "head.learning_rate")
        points = [dict(zip(names, scaling.numbers(k, rate).values(), strict=True)) for rate in rates]
        theory = predicted(methods[0], points, options)
    return Case(np.asarray(rates), *theory, {})


def methods_of(scaling: Scaling, k: int, rates: Sequence[float]) -> list[dt.GeneralFirstOrderMethod]:
    """Return gradient descent on one width at all rates."""
    network = dt.MLP((k,), scaling.activation, initialization=scaling.initialization)
    return [dt.gradient_descent(network, optax.sgd, **scaling.numbers(k, rate)) for rate in rates]


def trained(methods: Sequence[Any], options: Options, sizes: Mapping[int, int]) -> dict[int, np.ndarray]:
    """Return by d the errors of all runs, (rates, runs)."""
    return {d: np.stack([last_errors(method, options, d, count) for method in methods]) for d, count in sizes.items()}


def agreement_of(case: Case, num_features: int, places: Sequence[int] | None = None) -> dt.Agreement:
    """Compare the curves over rates of theory and runs, at all rates or some; no rate may have lost runs."""
    chosen = list(range(len(case.rates)) if places is None else places)
    runs = case.runs[num_features][chosen]
    spread = runs.std(axis=1, ddof=1) / np.sqrt(runs.shape[1])
    sides = [(case.theory[chosen], case.theory_error[chosen]), (runs.mean(axis=1), spread)]
    theory, simulation = (
        agreement.Measured(np.asarray(chosen), {"test_error": value}, {"test_error": error}) for value, error in sides
    )
    threshold = agreement.corrected_threshold(LEVEL, len(chosen), runs.shape[1] - 1)
    allowance = SIZE_ALLOWANCE / num_features
    return agreement.judge(theory, simulation, threshold=threshold, level=LEVEL, allowance=allowance)
