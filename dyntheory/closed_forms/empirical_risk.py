"""Convex empirical risk minimisation on Gaussian inputs with labels ±1, in the proportional limit.

ŵ minimises Σ_i ℓ(y_i x_i·w/√d) + (λ/2)|w|². With ω the margin of a fresh sample, Gaussian of variance
q = m²/ρ + s² against the weight 2Z(ω), Z the chance of the label y = 1 given ω, and the pull f = −ℓ′(P) of
P + Vℓ′(P) = ω, three numbers decide everything:

    m = αρV E[2 ∂Z f],      s² = αV² E[2Z f²],      1/V = λ + αE[2Z (−∂f)],

∂Z by the mean of the teacher's preactivation given ω. They are m = ŵ·w*/d, s² = |ŵ|²/d − m²/ρ, and V, by which the
margin of a sample exceeds what it would be without that sample, in units of f.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.closed_forms.evaluation import evaluate, over_leading_axes
from dyntheory.closed_forms.label_laws import LabelLaw, resolve_label_law
from dyntheory.closed_forms.margin_losses import MarginLoss, resolve_margin_loss
from dyntheory.closed_forms.panel_rules import DEGREE, EVEN, GEOMETRIC, STEEP, around, panel_rule
from dyntheory.closed_forms.separation import check_separable
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_nonnegative, check_positive, is_concrete
from dyntheory.ground.kinds import check_arguments

NUM_STAGES, STEPS_A_STAGE, NUM_LAST, NUM_POLISHES = 13, 2, 8, 2
SMALLEST_PENALTY = 1e-7  # of the path on which Newton's method approaches a zero penalty
LONGEST_STEP = 1.0  # in the logarithms
LARGEST_RESIDUAL = 1e-9
MARGIN_CLASSIFIERS = ("logistic", "hinge", "squared hinge")  # without minimiser on separable samples


class ErmRisk(NamedTuple):
    """The minimiser and its errors, arrays of one shape.

    Args:
        teacher_overlap: m = ŵ·w*/d.
        weight_overlap: q = |ŵ|²/d.
        spread: s, standard deviation of an entry of ŵ − (m/ρ)w*.
        step: V.
        train_loss: mean of ℓ over the samples, without the penalty.
        test_loss: the same on a fresh sample.
        train_error: part of the samples with a wrong label.
        test_error: probability of a wrong label on a fresh sample.
        condition: ‖(I − J)⁻¹‖ in the maximum norm, J the Jacobian of the equations in (log m, log s, log V): relative
            errors of their right sides come out that much larger.
    """

    teacher_overlap: Any
    weight_overlap: Any
    spread: Any
    step: Any
    train_loss: Any
    test_loss: Any
    train_error: Any
    test_error: Any
    condition: Any


class LogisticMle(NamedTuple):
    """Logistic regression without penalty: β̂ is about `bias` · β + `spread` · noise.

    Args:
        bias: α*, above one.
        spread: σ*, standard deviation of an entry of √n (β̂ − α*β) for features of variance 1/n.
        step: λ*, which rescales the likelihood-ratio test.
        condition: as in `ErmRisk`; it diverges where the estimate ceases to exist.
    """

    bias: Any
    spread: Any
    step: Any
    condition: Any


def convex_erm(
    samples_per_feature: ArrayLike,
    *,
    penalty: ArrayLike,
    loss: str | MarginLoss = "logistic",
    teacher: str | Callable[[Array], Array] | LabelLaw = "logistic",
    signal_power: ArrayLike = 1.0,
    noise_std: ArrayLike = 0.0,
) -> ErmRisk:
    """Return what a linear classifier trained to the minimum of a convex loss learns.

    Scaling:
        Minimises Σ_i ℓ(y_i x_i·w/√d) + (λ/2)|w|² over n = αd samples, entries of x standard and of w, w* of order one;
        ρ = |w*|²/d. scikit-learn's `LogisticRegression(C=1/λ, fit_intercept=False)` on X/√d is the same problem.

    Args:
        samples_per_feature: α = n/d, positive.
        penalty: λ, positive, or zero where a minimiser exists without it.
        loss: "logistic", "hinge", "squared" (½(1 − yh)²), "squared_hinge", or a `margin_loss` of your own.
        teacher: law of the labels given z = x·w*/√d: "logistic", "sign", "probit" (y = sign(z + σξ)), or a smooth
            function z -> P(y = 1).
        signal_power: ρ, positive.
        noise_std: σ of "probit".

    Returns:
        Order parameters and errors, in the shape to which the arguments broadcast.

    Raises:
        ValueError: a number outside its range; a zero penalty where no minimiser exists without one.
        ArithmeticError: the fixed point was not found, or two quadratures differ (NaN where traced).

    Example:
        >>> risk = convex_erm([2.0, 8.0], penalty=1.0)
        >>> bool(risk.test_error[1] < risk.test_error[0])
        True

    Reference: `aubin2020generalization`; `loureiro2021learning`; `salehi2019impact` for the logistic loss.
    """
    check_arguments(convex_erm, locals())
    check_positive("samples_per_feature", samples_per_feature, "it is n/d")
    check_nonnegative("penalty", penalty)
    check_positive("signal_power", signal_power)
    check_nonnegative("noise_std", noise_std)
    minimised, law = resolve_margin_loss(loss), resolve_label_law(teacher)
    if is_concrete(penalty) and np.any(np.asarray(penalty) == 0):
        _check_existence(samples_per_feature, minimised, law, signal_power, noise_std)
    formula = functools.partial(_risks, minimised, law)
    risk = evaluate(formula, samples_per_feature, penalty, signal_power, noise_std)
    if is_concrete(risk.condition) and not np.all(np.isfinite(risk.condition)):
        raise ArithmeticError(
            "The minimiser was not found for some parameters: raise `penalty`, declare the corners of a loss of your "
            "own, or see that P(y = 1) is smooth and increases."
        )
    return risk


def logistic_mle(samples_per_feature: ArrayLike, *, signal_power: ArrayLike) -> LogisticMle:
    """Return bias and spread of the maximum-likelihood estimate of logistic regression.

    Scaling:
        Labels follow P(y = 1 | z) = 1/(1 + e^{−z}), z of variance γ² = `signal_power`.

    Args:
        samples_per_feature: α = n/d = 1/κ, above `separability_threshold`.
        signal_power: γ².

    Returns:
        The three numbers and their condition, in the shape to which the arguments broadcast.

    Raises:
        ValueError: a number outside its range; too few samples for the estimate to exist.

    Example:
        >>> found = logistic_mle(5.0, signal_power=5.0)
        >>> [round(float(x), 3) for x in found[:3]]
        [1.499, 4.744, 3.027]

    Reference: `sur2019modern`; their κ is our 1/α.
    """
    check_arguments(logistic_mle, locals())
    risk = convex_erm(samples_per_feature, penalty=0.0, signal_power=signal_power)
    numbers = risk.teacher_overlap, risk.spread, risk.step, risk.condition
    return evaluate(_in_their_units, samples_per_feature, signal_power, *numbers)


def _in_their_units(alpha: Array, power: Array, m: Array, s: Array, step: Array, condition: Array) -> LogisticMle:
    return LogisticMle(m / power, s * jnp.sqrt(alpha), step, condition)


def _check_existence(alpha: ArrayLike, loss: MarginLoss, law: LabelLaw, power: ArrayLike, noise: ArrayLike) -> None:
    if loss.name == "squared" and is_concrete(alpha) and np.any(np.asarray(alpha) <= 1):
        raise ValueError(
            "`penalty` must be positive where `samples_per_feature` is at most 1: without it the squared loss has "
            f"many minimisers, got {alpha!r} samples per feature."
        )
    if loss.name in MARGIN_CLASSIFIERS:
        check_separable(alpha, law, power, noise, wanted=False)


class _Margins(NamedTuple):
    """Margins ω of fresh samples, their weights, the chance of either label, and what the loss does to them."""

    omega: Array
    weight: Array
    label: Array
    label_slope: Array
    pull: Array
    pull_slope: Array


class _Problem(NamedTuple):
    alpha: Array
    penalty: Array
    power: Array
    noise: Array


def _margins(point: Array, problem: _Problem, loss: MarginLoss, law: LabelLaw, *, degree: int = DEGREE) -> _Margins:
    m, s, step = jnp.exp(point)
    q = m**2 / problem.power + s**2
    left = problem.power * s**2 / q  # variance of the teacher's preactivation given ω
    size, zero = jnp.sqrt(q), jnp.zeros_like(m)
    slope = jax.jvp(loss.value, (zero,), (jnp.ones_like(m),))[1]
    width = law.width(problem.noise)
    ends = [
        around(zero, size, EVEN),
        around(zero, jnp.sqrt(left + width**2) * q / m, STEEP),
        around(zero, width * q / m, GEOMETRIC),
        loss.corners(step),
        (step * slope)[None],
    ]
    omega, weights = panel_rule(jnp.concatenate(ends), -9 * size, 9 * size, degree=degree)
    density = jnp.exp(-(omega**2) / (2 * q)) / jnp.sqrt(2 * jnp.pi * q)
    label, label_slope = law.averaged(m * omega / q, left, problem.noise)
    pull, pull_slope = jax.jvp(lambda x: loss.pull(x, step), (omega,), (jnp.ones_like(omega),))
    return _Margins(omega, 2 * weights * density, label, label_slope, pull, pull_slope)


def _right_sides(point: Array, problem: _Problem, seen: _Margins) -> Array:
    """Return the logarithms of the right sides for (m, s, V)."""
    learned = jnp.sum(seen.weight * seen.label_slope * seen.pull)
    scattered = jnp.sum(seen.weight * seen.label * seen.pull**2)
    stiffness = jnp.sum(seen.weight * seen.label * -seen.pull_slope)
    return jnp.stack(
        [
            jnp.log(problem.alpha * problem.power * learned) + point[2],
            jnp.log(problem.alpha * scattered) / 2 + point[2],
            -jnp.log(problem.penalty + problem.alpha * stiffness),
        ]
    )


def _risk(loss: MarginLoss, law: LabelLaw, *arrays: Array) -> tuple[Array, ...]:
    problem = _Problem(*arrays)

    def equations(point: Array, problem: _Problem) -> tuple[Array, tuple[Array, _Margins]]:
        seen = _margins(point, problem, loss, law)
        defect = point - _right_sides(point, problem, seen)
        return defect, (defect, seen)

    def newton(point: Array, problem: _Problem) -> Array:
        jacobian, (defect, _) = jax.jacfwd(equations, has_aux=True)(point, problem)
        step = jnp.linalg.solve(jacobian, defect)
        return point - step * jnp.minimum(1.0, LONGEST_STEP / jnp.max(jnp.abs(step)))

    def follow(point: Array, penalty: Array) -> tuple[Array, None]:
        return newton(point, held._replace(penalty=penalty)), None

    held = jax.lax.stop_gradient(problem)
    start, path = _start(held, loss, law)
    near = jax.lax.stop_gradient(jax.lax.scan(follow, start, path)[0])
    point = jax.lax.scan(lambda here, _: (newton(here, problem), None), near, length=NUM_POLISHES)[0]
    jacobian, (defect, seen) = jax.jacfwd(equations, has_aux=True)(point, problem)
    finer = _right_sides(point, problem, _margins(point, problem, loss, law, degree=DEGREE + 5))
    worst = jnp.maximum(jnp.max(jnp.abs(defect)), jnp.max(jnp.abs(point - finer)))
    is_solution = jax.lax.stop_gradient(worst) < LARGEST_RESIDUAL
    condition = jnp.max(jnp.sum(jnp.abs(jnp.linalg.inv(jacobian)), axis=1))
    fields = *_errors(point, problem, seen, loss), condition
    return tuple(jnp.where(is_solution, field, jnp.nan) for field in fields)


def _start(problem: _Problem, loss: MarginLoss, law: LabelLaw) -> tuple[Array, Array]:
    """Return the solution for a large penalty, and the penalties by which Newton's method walks to the wanted one."""
    alpha, penalty, power, noise = problem
    zero = jnp.zeros_like(alpha)
    pull = -jax.jvp(loss.value, (zero,), (jnp.ones_like(alpha),))[1]
    largest = jnp.maximum(10 * (1 + alpha) * (1 + jnp.sqrt(power)) * jnp.maximum(jnp.abs(pull), 1.0), penalty)
    slope = 2 * law.averaged(zero[None], power, noise)[1][0]
    first = jnp.log(jnp.stack([alpha * power * slope * pull, jnp.sqrt(alpha) * pull, 1 + zero]) / largest)
    last = jnp.where(penalty > 0, penalty, SMALLEST_PENALTY)
    fractions = jnp.repeat(jnp.linspace(0.0, 1.0, NUM_STAGES), STEPS_A_STAGE)
    logarithms = jnp.log(largest) + fractions * (jnp.log(last) - jnp.log(largest))
    return first, jnp.concatenate([jnp.exp(logarithms), jnp.broadcast_to(penalty, (NUM_LAST,))])


def _errors(point: Array, problem: _Problem, seen: _Margins, loss: MarginLoss) -> tuple[Array, ...]:
    m, s, step = jnp.exp(point)
    trained = seen.omega + step * seen.pull
    density = seen.weight * seen.label
    train_loss, test_loss = (jnp.sum(density * loss.value(at)) for at in (trained, seen.omega))
    train_error, test_error = (jnp.sum(jnp.where(at < 0, density, 0.0)) for at in (trained, seen.omega))
    return m, m**2 / problem.power + s**2, s, step, train_loss, test_loss, train_error, test_error


@functools.partial(jax.jit, static_argnums=(0, 1))
def _risks(loss: MarginLoss, law: LabelLaw, *arrays: Array) -> ErmRisk:
    signature = "(),(),(),()->" + ",".join(["()"] * len(ErmRisk._fields))
    return ErmRisk(*over_leading_axes(functools.partial(_risk, loss, law), signature)(*arrays))
