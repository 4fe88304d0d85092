"""Before any compute: does the theory cover a request, and what will the prediction cost.

The limit has n, d → ∞ at fixed n/d, width and number of steps, features that are independent after a rotation, and
labels that see a few directions. Every check compares a number of the request with what that asks for.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from dyntheory.gaussian.node_count import choose_num_nodes
from dyntheory.ground.arrays import ArrayLike
from dyntheory.ground.checks import check_count, check_finite
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.memory import available_memory
from dyntheory.ground.precision import double_precision
from dyntheory.ground.status import Assumptions
from dyntheory.ground.storage.saved import Saved
from dyntheory.problem.assumptions import assess
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.laws.prior_moments import finite_second_moment, is_heavy
from dyntheory.problem.laws.row_statistics import NORM_SPREAD, row_statistics
from dyntheory.problem.methods.label_kinds import check_labels_of
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.problem.shape import Shape
from dyntheory.results.cost import Cost
from dyntheory.results.finite_size_bias import SEPARATED, bias_of_separation, largest_magnification
from dyntheory.results.trajectory import Trajectory
from dyntheory.verbs.prediction.cost import prediction_cost
from dyntheory.verbs.prediction.magnification import MAGNIFIED

LEVELS = ("covered", "doubtful", "outside")
ENOUGH_FEATURES = (
    400,
    100,
)  # effective ones; measured on one problem: gap 16 % at 28, 3.5 % at 113, below 1.5 % at 455
WIDTH_SHARE = (0.01, 0.1)  # k/min(n, d): Gram matrices of k rows stray by √(k/d)
RATIO_OFF = (0.02, 0.1)
FOURTH_MOMENT = (10.0, 100.0)
SPREAD_OFF = (1.2, 1.5)  # of E λ²/(E λ)²
SEPARATION = (0.05, SEPARATED)  # relative bias of the mean


class Check(NamedTuple):
    """One question, its answer and what follows.

    Args:
        name: what was looked at.
        level: "covered", "doubtful" or "outside".
        text: the numbers, and what to do.
    """

    name: str
    level: str
    text: str


@dataclasses.dataclass(frozen=True)
class Applicability(Saved):
    """What can be said before a prediction is computed.

    Args:
        checks: one for each question.
        cost: of the prediction.
        assumptions: whether it is a theorem, given that every check is covered.
    """

    checks: tuple[Check, ...]
    cost: Cost
    assumptions: Assumptions

    @property
    def level(self) -> str:
        """The worst level of all checks."""
        return max((check.level for check in self.checks), key=LEVELS.index)

    def __str__(self) -> str:
        lines = [f"{self.level}; with every check covered: {self.assumptions.level} ({self.assumptions.reason})"]
        lines += [f"  {check.level:<9} {check.name}: {check.text}" for check in self.checks]
        cost = self.cost
        lines.append(f"  cost: {cost.num_nodes} nodes, {cost.memory / 1e9:.2g} GB, about {cost.seconds:.2g} s")
        return "\n".join(lines)


def applicability(
    law: TeacherStudent,
    method: GeneralFirstOrderMethod,
    *,
    num_steps: int,
    num_samples: int,
    num_features: int,
    num_nodes: int | None = None,
    inputs: ArrayLike | None = None,
    prediction: Trajectory | None = None,
) -> Applicability:
    """Report whether the theory covers training on n rows of d features, and what predicting it costs.

    Looks at the ratio n/d, at the effective number of features d (E λ)²/E λ², at the width against n and d, at the
    number of steps and the memory; with `inputs` also at tails, at correlations the law does not have, and at the
    spread of row norms, which is wide where features are uncorrelated but not independent. Those for size come
    from one problem (a two-layer tanh network on a power law), the others are rules of thumb: a guide, no bound.
    Whether single runs separate is known once there is a `prediction`: see `Trajectory.magnification`.

    Args:
        law: what the data are thought to be.
        method: the algorithm.
        num_steps: T.
        num_samples: n, rows trained on.
        num_features: d.
        num_nodes: of the prediction; default what `predict` takes.
        inputs: rows (N, d) of the data themselves.
        prediction: what `predict` returned for this law and method, if there is one.

    Raises:
        TypeError: a prediction of another kind.
        ValueError: counts below one, inputs of another width, a teacher without a second moment, labels that the loss
            is not about, a result that is not a prediction.

    Example:
        >>> import optax, dyntheory as dt
        >>> method = dt.gradient_descent(dt.MLP(hidden=(4,)), optax.sgd, learning_rate=0.1)
        >>> report = dt.applicability(
        ...     dt.TeacherStudent(2.0), method, num_steps=50, num_samples=2000, num_features=1000
        ... )
        >>> report.level, [check.name for check in report.checks]
        ('covered', ['ratio', 'size', 'width', 'steps', 'memory'])
    """
    check_arguments(applicability, locals())
    num_steps = check_count("num_steps", num_steps, minimum=0)
    n, d = check_count("num_samples", num_samples), check_count("num_features", num_features)
    size = choose_num_nodes(num_nodes, Shape.of(law, method, num_steps).columns, least_per_column=2)
    cost = prediction_cost(law, method, num_steps=num_steps, num_nodes=size)
    checks = [_ratio(law, n / d), _size(law, n, d), _width(method.num_units, n, d), _steps(num_steps, n, d)]
    checks.append(_memory(cost))
    checks += _teacher(law)
    check_labels_of(law, method)
    if inputs is not None:
        checks += _of_inputs(law, inputs, d)
    if prediction is not None:
        checks.append(_separation(prediction, d))
    return Applicability(tuple(checks), cost, assess(law, method))


def _graded(value: float, limits: tuple[float, float]) -> str:
    """Return the level of a number that should be below the limits."""
    return LEVELS[int(value > limits[0]) + int(value > limits[1])]


def _ratio(law: TeacherStudent, realised: float) -> Check:
    alpha = float(law.samples_per_feature)
    level = _graded(abs(realised / alpha - 1), RATIO_OFF)
    text = f"n/d is {realised:.4g}, the law has {alpha:.4g}"
    return Check("ratio", level, text if level == "covered" else f"{text}: set samples_per_feature={realised:.4g}")


def _spread(law: TeacherStudent) -> float:
    """Return E λ²/(E λ)²."""
    if law.features is None:
        return 1.0
    with double_precision():
        return float(law.features.weights @ law.features.values**2 / law.features.mean**2)


def _size(law: TeacherStudent, n: int, d: int) -> Check:
    effective = min(n, d / _spread(law))
    level = _graded(-effective, (-ENOUGH_FEATURES[0], -ENOUGH_FEATURES[1]))
    text = f"{effective:.3g} effective features of {d} (or rows, if fewer)"
    return Check("size", level, text + ("" if level == "covered" else ": expect gaps of a few over that number"))


def _width(k: int, n: int, d: int) -> Check:
    share = k / min(n, d)
    level = _graded(share, WIDTH_SHARE)
    text = f"{k} units against {min(n, d)}; the limit has a fixed width"
    return Check("width", level, text if level == "covered" else f"{text}: see `dyntheory.kernels` for wide networks")


def _steps(num_steps: int, n: int, d: int) -> Check:
    level = "doubtful" if num_steps > min(n, d) else "covered"
    return Check("steps", level, f"{num_steps} steps; the limit is at a fixed number, {min(n, d)} is the smaller size")


def _memory(cost: Cost) -> Check:
    free = available_memory()
    level = "outside" if cost.memory > free else "covered"
    return Check("memory", level, f"{cost.memory / 1e9:.2g} GB of {free / 1e9:.2g} GB that may be used")


def _teacher(law: TeacherStudent) -> list[Check]:
    """Return a check where the teacher has priors of its own; those without a second moment are refused."""
    priors = law.teacher_priors or ()
    for prior in priors:
        finite_second_moment("teacher_prior", prior)
    if not any(map(is_heavy, priors)):
        return []
    return [Check("teacher", "doubtful", "its prior has no fourth moment: every network has a teacher of its own")]


def _separation(prediction: Trajectory, d: int) -> Check:
    if not isinstance(prediction, Trajectory):
        raise TypeError(f"`prediction` must be what `predict` returned, got {type(prediction).__name__}.")
    if prediction.magnification is None:
        kind = prediction.provenance.get("kind", "result without magnification")
        raise ValueError(f"`prediction` must be what `predict` returned, got a {kind}.")
    bias = max(float(np.max(one)) for one in bias_of_separation(prediction, [d], MAGNIFIED).values())
    level, found = _graded(bias, SEPARATION), largest_magnification(prediction)
    return Check("separation", level, found if level == "covered" else f"{found}: expect gaps of {bias:.0%} there")


def _of_inputs(law: TeacherStudent, inputs: ArrayLike, d: int) -> list[Check]:
    check_finite("inputs", inputs)
    rows = np.asarray(inputs, dtype=float)
    if rows.ndim != 2 or rows.shape[1] != d or len(rows) < 2:
        raise ValueError(f"`inputs` must have shape (N, num_features) = (N, {d}), got {rows.shape}.")
    centred = rows - rows.mean(axis=0)
    variances = np.mean(centred**2, axis=0)
    varying = variances > 0
    if not varying.any():
        raise ValueError("`inputs` must vary.")
    tails = float(np.max(np.mean(centred[:, varying] ** 4, axis=0) / variances[varying] ** 2))
    directions, norms = row_statistics(centred)
    spread = d / directions
    off = max(spread, _spread(law)) / min(spread, _spread(law))
    found = f"E λ²/(E λ)² is {spread:.3g} in the inputs, {_spread(law):.3g} in the law"
    level = _graded(off, SPREAD_OFF)
    return [
        Check("tails", _graded(tails, FOURTH_MOMENT), f"largest fourth moment of a column {tails:.3g} (Gaussian: 3)"),
        Check("correlation", level, found if level == "covered" else f"{found}: take features from `dt.fit_law`"),
        Check("dependence", _graded(norms, NORM_SPREAD), f"row norms vary {norms:.3g} times as much as Gaussian ones"),
    ]
