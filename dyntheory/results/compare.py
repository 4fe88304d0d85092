"""Say whether a simulation agrees with a prediction, at a stated level.

The rule is in `dyntheory.results.agreement`. What it allows for is the finite size: the theory is the limit
d → ∞, a simulation at d deviates from it by O(1/d). Two sizes d and 2d remove that term:
2 m(2d) − m(d) is compared, whose bias is O(1/d²). Where runs separate the terms are larger
(`dyntheory.results.finite_size_bias`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np

from dyntheory.ground.checks import check_nonnegative, check_positive
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.names import check_name
from dyntheory.results.agreement import DIFFERENT, Agreement, Measured, corrected_threshold, judge
from dyntheory.results.escape import escaped
from dyntheory.results.finite_size_bias import bias_allowance, bias_of_separation, separation_notes, size_of
from dyntheory.results.trajectory import CURVES, Trajectory

ROUNDING = 1e-9  # default allowance between two predictions
ONE_SIDED = "one side diverged and the other did not: the rest of the curve is unresolved"


def compare(
    theory: Trajectory,
    *runs: Trajectory,
    allowance: float | None = None,
    level: float = 0.01,
    metrics: Sequence[str] = ("train_error", "test_error"),
) -> Agreement:
    """Compare a prediction with a simulation, or with two of sizes d and 2d extrapolated.

    **Level.** When both sides have the same mean, "disagree" has probability at most `level`,
    whatever the number of points. The quantile is Student's with R − H degrees of freedom for R
    runs that did not diverge with H heads (the smaller of two sizes), the normal one when R is
    unknown; the error of a prediction carries such a factor already. Runs that diverge, nearly all of
    them, where the prediction does not are a disagreement too, whatever the error of their mean.

    **Scaling.** A simulation at finite d is off by O(1/d); from two sizes 2 m(2d) − m(d), with
    standard error √(4 s(2d)² + s(d)²), is off by O(1/d²).

    Args:
        theory: a prediction with its numerical standard error.
        *runs: one simulation, or two whose numbers of features are in the ratio 2, in any order;
            a second prediction is accepted too.
        allowance: relative bias to allow. Default 10/d, for two sizes 100/d² of the smaller d, at
            every step; with M(t) = `theory.magnification` M²/d and M⁴/d² where that is more. For
            a prediction 1e-9 (rounding). A number given is taken at every step.
        level: probability of a false alarm over all points, between 0 and 1.
        metrics: the curves to compare: any of train_loss, test_loss, train_error, test_error.

    Returns:
        An `Agreement`: its `verdict` is the answer, its text the report.

    Raises:
        TypeError: an argument is not a Trajectory, or `metrics` is not a sequence of names.
        ValueError: swapped arguments, a curve or standard error that is missing, no common steps,
            sizes that are not in the ratio 2, an unknown size and no `allowance`.

    Example:
        >>> error = Trajectory(np.arange(3), train_error=np.full(3, 0.01))
        >>> curve = np.array([2.0, 1.0, 0.5])
        >>> theory = Trajectory(np.arange(3), train_error=curve, standard_error=error)
        >>> compare(theory, theory, allowance=0.0, metrics=("train_error",)).verdict
        'agree'
    """
    check_arguments(compare, locals())
    names = check_question(metrics, level, allowance)
    _check_sides(theory, runs)
    runs = _by_size(runs)
    is_default = allowance is None
    sizes = _sizes(runs)
    separation = bias_of_separation(theory, sizes, names) if is_default and sizes else {}
    allowance = _allowance(allowance, runs, sizes)
    predicted = _measured("theory", theory, names)
    mean = _with_bias(predicted, theory, separation)
    left = [note for run in runs if (note := escaped(mean, run, level=level))]
    simulated = [_measured("runs", run, names) for run in runs]
    simulation = simulated[0] if len(simulated) == 1 else _extrapolate(*simulated)
    predicted, simulation, notes = _common_part(predicted, simulation)
    num_points = len(names) * len(predicted.steps)
    threshold = corrected_threshold(level, num_points, _degrees_of_freedom(runs))
    index = np.searchsorted(theory.steps, predicted.steps)
    separation = {name: bias[index] for name, bias in separation.items()}
    report = judge(predicted, simulation, threshold=threshold, level=level, allowance=allowance, separation=separation)
    if left:
        return dataclasses.replace(report, verdict="disagree", notes=(*left, *_facts(theory, runs, is_default), *notes))
    notes += separation_notes(theory, sizes, separation, predicted.steps)
    return dataclasses.replace(
        report,
        verdict="unresolved" if ONE_SIDED in notes and report.agrees else report.verdict,
        notes=(*_facts(theory, runs, is_default), *notes, *report.notes),
    )


def check_question(metrics: Sequence[str], level: float, allowance: float | None) -> tuple[str, ...]:
    """Check what is to be compared, and return the names of the curves.

    Raises:
        TypeError: a string in place of names.
        ValueError: an unknown curve, or none; a level outside (0, 1); a negative allowance.
    """
    check_positive("level", level)
    if level >= 1:
        raise ValueError(f"`level` must be a probability below 1, got {level!r}.")
    if allowance is not None:
        check_nonnegative("allowance", allowance, "a relative bias")
    if isinstance(metrics, str):
        raise TypeError(f"`metrics` must be a sequence of names, got a string: pass ({metrics!r},).")
    if not len(metrics):
        raise ValueError(f"`metrics` must name at least one of {', '.join(CURVES)}.")
    return tuple(dict.fromkeys(check_name("metric", name, CURVES) for name in metrics))


def _check_sides(theory: Trajectory, runs: tuple[Trajectory, ...]) -> None:
    for value in (theory, *runs):
        if not isinstance(value, Trajectory):
            raise TypeError(
                f"`theory` and `runs` must be Trajectories, got {type(value).__name__}: "
                "pass what predict and simulate returned."
            )
    if len(runs) not in (1, 2):
        raise ValueError(f"`runs` must be one simulation, or two of sizes d and 2d, got {len(runs)}.")
    if theory.provenance.get("kind") != "simulation":
        return
    if any(run.provenance.get("kind") == "prediction" for run in runs):
        raise ValueError("The arguments are swapped: the prediction comes first, compare(theory, runs).")
    raise ValueError("`theory` must be a prediction, got a simulation: compare(theory, runs).")


def _by_size(runs: tuple[Trajectory, ...]) -> tuple[Trajectory, ...]:
    """Return the runs with the smaller size first; two must be in the ratio 2."""
    if len(runs) == 1:
        return runs
    small, large = sorted(runs, key=lambda run: size_of(run).number or 0)
    sizes = [size_of(run).number for run in (small, large)]
    if not sizes[0] or sizes[1] != 2 * sizes[0]:
        raise ValueError(
            "Two simulations must have num_features (widths) in the ratio 2, so that their bias cancels, got "
            f"{sizes[0]} and {sizes[1]}: simulate again, or compare them one at a time."
        )
    return small, large


def _sizes(runs: tuple[Trajectory, ...]) -> list[int]:
    """Return the numbers of features behind what is compared, none where they are unknown."""
    found = [run.provenance.get("extrapolated_from") or [size_of(run).number] for run in runs]
    sizes = [size for some in found for size in some]
    return [] if None in sizes else [int(size) for size in sizes if size is not None]


def _allowance(allowance: float | None, runs: tuple[Trajectory, ...], sizes: list[int]) -> float:
    if allowance is not None:
        return float(allowance)
    if sizes:
        return bias_allowance(sizes)
    if runs[0].provenance.get("kind") == "prediction":
        return ROUNDING
    raise ValueError(
        "The finite-size bias is unknown, `runs` does not say its num_features: pass allowance=, "
        "10/num_features for a simulation, 0 where there is no bias."
    )


def _measured(name: str, trajectory: Trajectory, metrics: tuple[str, ...]) -> Measured:
    if trajectory.standard_error is None:
        raise ValueError(
            f"`{name}` has no standard error, so nothing can be said: simulate with num_runs of at "
            "least 2; to an exact curve attach zeros with dataclasses.replace(…, standard_error=…)."
        )
    values, errors = {}, {}
    order = np.argsort(trajectory.steps)
    for metric in metrics:
        value, error = getattr(trajectory, metric), getattr(trajectory.standard_error, metric)
        if value is None or error is None:
            missing = metric if value is None else f"standard error of {metric}"
            raise ValueError(f"`{name}` has no {missing}: leave that curve out of metrics=(…).")
        values[metric] = np.asarray(value, dtype=float)[order]
        errors[metric] = np.asarray(error, dtype=float)[order]
    return Measured(np.asarray(trajectory.steps)[order], values, errors)


def _with_bias(predicted: Measured, theory: Trajectory, bias: dict[str, np.ndarray]) -> Measured:
    """Return the prediction with the bias of finite sizes where runs separate: what a mean over runs may reach."""
    order = np.argsort(theory.steps)
    grown = {name: values * (1 + bias[name][order]) for name, values in predicted.values.items() if name in bias}
    return predicted._replace(values={**predicted.values, **grown})


def _common_steps(one: Measured, other: Measured) -> np.ndarray:
    steps = np.intersect1d(one.steps, other.steps)
    if steps.size == 0:
        raise ValueError(
            "The trajectories have no common steps "
            f"({one.steps[0]} to {one.steps[-1]} and {other.steps[0]} to {other.steps[-1]}): "
            "compute them at the same steps."
        )
    return steps


def _extrapolate(small: Measured, large: Measured) -> Measured:
    steps = _common_steps(small, large)
    small, large = small.on(steps), large.on(steps)
    with np.errstate(over="ignore", invalid="ignore"):
        values = {name: 2 * value - small.values[name] for name, value in large.values.items()}
        errors = {name: np.hypot(2 * e, small.errors[name]) for name, e in large.errors.items()}
    return Measured(steps, values, errors)


def _common_part(theory: Measured, simulation: Measured) -> tuple[Measured, Measured, tuple[str, ...]]:
    """Return both sides on their common finite steps, and notes when a side ends before the last."""
    steps = _common_steps(theory, simulation)
    lengths = {
        "theory": theory.on(steps).finite_length(),
        "simulation": simulation.on(steps).finite_length(),
    }
    common = min(lengths.values())
    if common == 0:
        raise ValueError(
            f"Nothing can be compared: at step {steps[0]} a value or a standard error is not finite "
            "(a standard error needs at least two runs)."
        )
    ends = [f"{name} from step {steps[n]} on" for name, n in lengths.items() if n < len(steps)]
    notes = [f"not finite: {' and '.join(ends)}; the steps before were compared"] if ends else []
    if len(ends) == 1:
        notes.append(ONE_SIDED)
    return theory.on(steps[:common]), simulation.on(steps[:common]), tuple(notes)


def _degrees_of_freedom(runs: tuple[Trajectory, ...]) -> float:
    """Return the smallest R − H over the sides, for R runs with H heads; infinity where R is unknown."""
    known = [count for run in runs if (count := _residual_count(run)) is not None]
    if known and min(known) < 1:
        raise ValueError("A standard error needs at least two runs for every head: simulate with a larger num_runs.")
    return min(known, default=np.inf)


def _residual_count(run: Trajectory) -> int | None:
    """Return the number of runs averaged (all, when none survived) less one mean for each head."""
    curves = [] if run.per_run is None else [getattr(run.per_run, name) for name in CURVES]
    count = next((len(curve) for curve in curves if curve is not None), run.provenance.get("num_runs"))
    if count is None:
        return None
    survived = int(count) - (run.num_diverged or 0)
    return (survived or int(count)) - int(run.provenance.get("num_heads") or 1)


def _differences(theory: Trajectory, run: Trajectory) -> list[str]:
    """Return the parts of the problem in which two results differ, as far as their provenance tells."""
    named = ("law", "method", "network", "data", "test_data", "functions", "joint_second_moment", "num_heads")
    both = [(name, theory.provenance.get(name), run.provenance.get(name)) for name in named]
    found = [name for name, ours, theirs in both if ours is not None and theirs is not None and ours != theirs]
    heads = [jax.tree.leaves(side.head) for side in (theory, run)]
    if all(heads) and len(heads[0]) == len(heads[1]):
        pairs = zip(*heads, strict=True)
        if any(a[0].shape != b[0].shape or not np.allclose(a[0], b[0], equal_nan=True) for a, b in pairs):
            found.append("initial head (another key, or another `head`)")
    return found


def _facts(theory: Trajectory, runs: tuple[Trajectory, ...], is_default: bool) -> tuple[str, ...]:
    """Say what was compared, where that is not obvious."""
    letter, size = size_of(runs[0])
    bias = {1: f"10/{letter} at {letter} = {size}", 2: f"100/{letter}² at {letter} = {size}, the smaller size"}[
        len(runs)
    ]
    notes = [f"allowed beside the standard errors for the finite size: {bias}"] if size and is_default else []
    if len(runs) == 2:
        small, large = (size_of(run).number for run in runs)
        notes.append(f"simulation extrapolated from two sizes: 2 m({large}) - m({small})")
    different = sorted({name for run in runs for name in _differences(theory, run)})
    if different:
        notes.append(f"{DIFFERENT}: they differ in {', '.join(different)}")
    sides = [("theory", theory), *(("simulation", run) for run in runs)]
    return (*notes, *(f"{name} {side.status}" for name, side in sides if not side.status.ok))
