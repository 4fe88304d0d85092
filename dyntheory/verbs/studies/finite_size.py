"""The verb `finite_size`: how simulations approach the limit as d grows, and whether they arrive at the prediction.

A mean over runs is limit + c/d + O(1/d²), the spread of single runs is O(1/√d). Both are fitted at every step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from dyntheory.ground.arrays import Key, Progress, PyTree
from dyntheory.ground.checks import check_count
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.resources import check_checkpoint
from dyntheory.ground.storage.marks import Axes, Coordinate
from dyntheory.ground.storage.saved import Saved
from dyntheory.problem.laws.first_layer import FirstLayer
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.results.agreement import Agreement
from dyntheory.results.compare import check_question, compare
from dyntheory.results.judgement import cure_of, first_bad_step
from dyntheory.results.trajectory import CURVES, Trajectory
from dyntheory.verbs.prediction.predict import predict
from dyntheory.verbs.simulation.simulate import check_simulation, simulate
from dyntheory.verbs.studies.size_fits import LimitFit, PowerFit, fit_limit, fit_power

LEAST_SIZES = 3
MISFIT = 1e-3
MOST_ROWS = 6


@dataclasses.dataclass(frozen=True)
class FiniteSize(Saved):
    """How simulations approach the limit.

    Args:
        sizes: (S,) numbers of features d.
        theory: the prediction.
        runs: one simulation for each size, without its single runs.
        limit: by name of a curve, the fit mean(d) = limit + slope/d.
        fluctuation: by name, the exponent of the standard deviation of one run; −1/2 is expected.
        bias: by name, the exponent of mean(d) − theory; −1 is expected, NaN where the bias is not resolved.
        spread: by name, (S, T+1) standard deviation of one run.
        agreement: of the extrapolated values with the prediction.
    """

    sizes: Annotated[np.ndarray, Coordinate("size")]
    theory: Trajectory
    runs: tuple[Trajectory, ...]
    limit: dict[str, LimitFit]
    fluctuation: dict[str, PowerFit]
    bias: dict[str, PowerFit]
    spread: dict[str, Annotated[np.ndarray, Axes("size", "step")]]
    agreement: Agreement

    @property
    def notes(self) -> tuple[str, ...]:
        """What else a reader must know: where c/d alone does not describe the means."""
        found = []
        for name, fit in self.limit.items():
            bad = np.flatnonzero(fit.p_value < MISFIT / len(fit.p_value))
            if len(bad):
                found.append(
                    f"{name}: limit + c/d does not fit at {len(bad)} of {len(fit.p_value)} steps (first {bad[0]}); the "
                    "errors of the limit are too small there, leave out the smallest sizes"
                )
        return tuple(found)

    def table(self) -> str:
        """Return a text table: prediction, extrapolated value, correction and exponents at a few steps."""
        steps = self.theory.steps
        shown = steps[np.unique(np.linspace(0, len(steps) - 1, min(len(steps), MOST_ROWS)).round().astype(int))]
        head = f"{'metric':<12}{'step':>6}{'prediction':>13}{'extrapolated':>22}{'c (+ c/d)':>20}"
        lines = [f"{head}{'bias exponent':>18}{'fluctuation':>18}"]
        for name, fit in self.limit.items():
            predicted, bias, fluctuation = getattr(self.theory, name), self.bias[name], self.fluctuation[name]
            columns = (
                (fit.limit, fit.limit_error, 22),
                (fit.slope, fit.slope_error, 20),
                (*bias, 18),
                (*fluctuation, 18),
            )
            for t in shown:
                cells = [_pair(float(value[t]), float(error[t]), width) for value, error, width in columns]
                lines.append("".join([f"{name:<12}{t:>6}{predicted[t]:>13.6g}", *cells]))
        return "\n".join([*lines, f"extrapolated against predicted: {self.agreement}", *self.notes])


def _pair(value: float, error: float, width: int) -> str:
    return f"{'-' if not np.isfinite(value) else f'{value:.4g} ± {error:.2g}':>{width}}"


def finite_size(
    law: TeacherStudent,
    method: GeneralFirstOrderMethod,
    *,
    num_steps: int,
    sizes: Sequence[int],
    num_runs: int,
    key: Key,
    head: PyTree = None,
    first_layer: FirstLayer | None = None,
    num_heads: int = 1,
    matrix: str = "auto",
    theory: Trajectory | None = None,
    metrics: Sequence[str] = ("train_error", "test_error"),
    level: float = 0.01,
    allowance: float | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> FiniteSize:
    """Simulate at several sizes, extrapolate to infinite size, and compare with the prediction.

    At every step the means are fitted by limit + c/d, weighted by their standard errors; the standard deviation of one
    run and the bias mean − prediction are fitted by powers of d.

    Scaling:
        α = n/d is fixed, so 1/d stands for 1/n as well.

    Args:
        law: what the data are.
        method: what the algorithm is.
        num_steps: T.
        sizes: three or more different numbers of features d.
        num_runs: at each size.
        key: `jax.random.key(seed)`; sizes are independent of each other.
        head: see `simulate`.
        first_layer: moments of the initial first layer; not a draw, which has one size.
        num_heads: see `simulate`.
        matrix: see `simulate`.
        theory: the prediction, where more accuracy is wanted than `predict` has by default.
        metrics: curves to fit.
        level: of the comparison, see `compare`.
        allowance: relative bias left by the extrapolation; default 200/(d_min d_max), which is what `compare` allows
            for two sizes.
        checkpoint: folder with one folder for each size.
        resume: go on from it.
        progress: called with (fraction done, what is being done).
        **options: of `simulate`.

    Returns:
        A `FiniteSize`; `.table()` is the report, `dt.plot.finite_size` the figure.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: fewer than three sizes, a given draw, one run a head, a size at which all runs diverged, nothing to
            resume from.

    Reference: `han2025precise`, whose rates in n are upper bounds for what is fitted here.
    """
    check_arguments(finite_size, locals())
    check_checkpoint(checkpoint, resume=resume, progress=progress)
    values = _check_sizes(sizes)
    names = check_question(metrics, level, allowance)
    if first_layer is not None and first_layer.draw is not None:
        raise ValueError("`first_layer` is a draw, which has one size: give its moments to compare sizes.")
    num_heads, num_runs = check_count("num_heads", num_heads), check_count("num_runs", num_runs)
    if num_runs < 2 * num_heads:
        raise ValueError(f"`num_runs` must be at least two for every head, got {num_runs}.")
    shared: dict[str, Any] = {"head": head, "first_layer": first_layer, "num_heads": num_heads, "key": key}
    given = {"num_steps": num_steps, "num_runs": num_runs, "matrix": matrix, **options, **shared, "resume": resume}
    for size in values:
        check_simulation(law, method, num_features=int(size), checkpoint=checkpoint, progress=progress, **given)
    predicted = theory or predict(law, method, num_steps=num_steps, keep_preactivations=False, **shared)
    ensembles = []
    for index, size in enumerate(values):
        saving = {} if checkpoint is None else {"checkpoint": Path(checkpoint) / f"features_{size}", "resume": resume}
        runs = simulate(
            law,
            method,
            num_steps=num_steps,
            num_features=int(size),
            num_runs=num_runs,
            matrix=matrix,
            **{"keep_runs": True, "keep_preactivations": False, **options},
            **saving,
            **shared,
            progress=_part_of(progress, index, len(values), int(size)),
        )
        ensembles.append(runs)
    return analyse_sizes(predicted, ensembles, metrics=names, level=level, allowance=allowance)


def analyse_sizes(
    theory: Trajectory,
    runs: Sequence[Trajectory],
    *,
    metrics: Sequence[str] = ("train_error", "test_error"),
    level: float = 0.01,
    allowance: float | None = None,
) -> FiniteSize:
    """Fit simulations that were made before, one for each size, as `finite_size` does.

    Raises:
        ValueError: a simulation without standard errors at every step.
    """
    sizes = np.array([run.provenance["num_features"] for run in runs])
    means, errors, spread, spread_error = ({name: [] for name in metrics} for _ in range(4))
    for run in runs:
        kept = run.provenance["num_runs"] - (run.num_diverged or 0)
        for name in metrics:
            error = None if run.standard_error is None else getattr(run.standard_error, name)
            if error is None or not np.all(np.isfinite(error)):
                diverged = f"all runs diverged there; {cure_of(run.provenance)}"
                why = "it needs two runs or more" if error is None else diverged
                raise ValueError(
                    f"The simulation at d = {run.provenance['num_features']} has no standard error at some step: {why}."
                )
            means[name].append(getattr(run, name))
            errors[name].append(error)
            spread[name].append(error * np.sqrt(kept))
            spread_error[name].append(spread[name][-1] * _relative_error_of_spread(run, name, kept))
    stacked = [{name: np.stack(rows[name]) for name in metrics} for rows in (means, errors, spread, spread_error)]
    limits = {name: fit_limit(sizes, stacked[0][name], stacked[1][name]) for name in metrics}
    bias = {}
    for name in metrics:
        own = 0.0 if theory.standard_error is None else getattr(theory.standard_error, name)
        bias[name] = fit_power(sizes, stacked[0][name] - getattr(theory, name), np.hypot(stacked[1][name], own))
    return FiniteSize(
        sizes,
        theory,
        tuple(dataclasses.replace(run, per_run=None) for run in runs),
        limits,
        {name: fit_power(sizes, stacked[2][name], stacked[3][name]) for name in metrics},
        bias,
        stacked[2],
        compare(
            theory,
            _extrapolated(theory, runs, limits),
            allowance=allowance,
            level=level,
            metrics=metrics,
        ),
    )


def _check_sizes(sizes: Sequence[int]) -> np.ndarray:
    values = sorted({check_count("sizes", size) for size in sizes})
    if len(values) < LEAST_SIZES:
        raise ValueError(
            f"`sizes` must name at least {LEAST_SIZES} different numbers of features (two leave nothing to check the "
            f"fit with), got {list(sizes)}."
        )
    return np.array(values)


def _part_of(progress: Progress | None, index: int, count: int, size: int) -> Callable[[float, str], None] | None:
    if progress is None:
        return None
    return lambda fraction, text: progress((index + fraction) / count, f"d = {size}: {text}")


def _relative_error_of_spread(run: Trajectory, name: str, num_runs: int) -> np.ndarray:
    """Return the relative standard error of a standard deviation, ½ √((κ − 1)/R), κ the kurtosis over runs.

    κ is 3, the Gaussian value, where single runs were not kept or do not differ.
    """
    kurtosis: Any = 3.0
    if run.per_run is not None:
        curves = {curve: getattr(run.per_run, curve) for curve in CURVES}
        values = curves[name][first_bad_step(curves) == len(run.steps)]
        centred = values - values.mean(axis=0)
        second = (centred**2).mean(axis=0)
        kurtosis = np.where(second > 0, (centred**4).mean(axis=0) / np.where(second > 0, second, 1.0) ** 2, 3.0)
    return 0.5 * np.sqrt(np.maximum(kurtosis - 1, 0) / num_runs)


def _extrapolated(theory: Trajectory, runs: Sequence[Trajectory], limits: dict[str, LimitFit]) -> Trajectory:
    """Return the limits as a trajectory, with the provenance that `compare` asks for."""
    fewest = min(runs, key=lambda run: run.provenance["num_runs"] - (run.num_diverged or 0))
    sizes = [run.provenance["num_features"] for run in runs]
    origin = {**fewest.provenance, "num_features": None, "extrapolated_from": sizes}
    errors: dict[str, Any] = {name: fit.limit_error for name, fit in limits.items()}
    values: dict[str, Any] = {name: fit.limit for name, fit in limits.items()}
    return Trajectory(
        theory.steps,
        **values,
        standard_error=Trajectory(theory.steps, **errors),
        provenance=origin,
        num_diverged=fewest.num_diverged,
    )
