"""Largest margin of a linear classifier, and the number of samples from which labels are not separable any more.

With G, Z standard normal, y a label of the teacher's preactivation √ρ G, and t the tangent of the overlap with the
teacher, t = ϱ/√(1 − ϱ²), the margin κ of n = αd samples is the largest with

    α min_t E (κ √(1 + t²) − t yG − Z)₊² ≤ 1.

The left side is convex in t and increases with κ; at κ = 0 it says which α is separable.
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
from dyntheory.closed_forms.panel_rules import EVEN, GEOMETRIC, STEEP, around, panel_rule
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_nonnegative, check_positive, is_concrete
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.root_finding import bisect

NUM_BISECTIONS = 44
NUM_POLISHES = 4
LARGEST_LOGARITHM = 30.0


class MaxMargin(NamedTuple):
    """The classifier of largest margin, arrays of one shape.

    Args:
        margin: κ, smallest y x·w/(√d |w|) · √d over the samples, a distance in the units of one feature.
        overlap: cosine with the teacher.
        test_error: probability of a wrong label on a fresh sample.
        condition: ‖J⁻¹‖ in the maximum norm, J the Jacobian of the two equations' logarithms in (log t, log κ).
    """

    margin: Any
    overlap: Any
    test_error: Any
    condition: Any


def max_margin(
    samples_per_feature: ArrayLike,
    *,
    teacher: str | Callable[[Array], Array] | LabelLaw = "sign",
    signal_power: ArrayLike = 1.0,
    noise_std: ArrayLike = 0.0,
) -> MaxMargin:
    """Return the margin and the errors of the hard-margin support vector machine on separable Gaussian samples.

    Scaling:
        Inputs x of d independent standard entries, z = x·w*/√d of variance ρ, as in `convex_erm`, whose solution tends
        to this one as its penalty vanishes.

    Args:
        samples_per_feature: α = n/d, positive, below `separability_threshold`.
        teacher: "sign", "logistic", "probit" (y = sign(z + σξ)), or a smooth function z -> P(y = 1).
        signal_power: ρ, mean square of z.
        noise_std: σ of "probit".

    Returns:
        The classifier, in the shape to which the arguments broadcast.

    Raises:
        ValueError: a number outside its range; samples that are not separable.
        ArithmeticError: the solution was not found (NaN where traced).

    Example:
        >>> found = max_margin(2.0)
        >>> round(float(found.overlap), 4) > 0.7
        True

    Reference: `montanari2019generalization`; `gardner1988space`.
    """
    check_arguments(max_margin, locals())
    law = _check(samples_per_feature, teacher, signal_power, noise_std)
    check_separable(samples_per_feature, law, signal_power, noise_std, wanted=True)
    found = evaluate(functools.partial(_margins, law), samples_per_feature, signal_power, noise_std)
    if is_concrete(found.condition) and not np.all(np.isfinite(found.condition)):
        raise ArithmeticError("The largest margin was not found for some parameters: move `samples_per_feature`.")
    return found


def separability_threshold(
    *,
    teacher: str | Callable[[Array], Array] | LabelLaw = "logistic",
    signal_power: ArrayLike = 1.0,
    noise_std: ArrayLike = 0.0,
) -> Array:
    """Return the samples per feature above which no hyperplane separates the labels.

    Below it the logistic maximum-likelihood estimate does not exist. α_c = 1/min_t E (t yG + Z)₋², infinite for labels
    without noise.

    Scaling:
        That of `max_margin`.

    Args:
        teacher: as there.
        signal_power: ρ.
        noise_std: σ of "probit".

    Raises:
        ValueError: a number outside its range.

    Example:
        >>> round(float(separability_threshold(signal_power=0.0)), 12)  # labels that are coin tosses: Cover's two
        2.0

    Reference: `candes2020phase`.
    """
    check_arguments(separability_threshold, locals())
    law = _check(1.0, teacher, signal_power, noise_std)
    return evaluate(functools.partial(_thresholds, law), signal_power, noise_std)


def check_separable(alpha: ArrayLike, law: LabelLaw, power: ArrayLike, noise: ArrayLike, *, wanted: bool) -> None:
    """Require samples that a hyperplane separates, or samples that none separates."""
    if not all(map(is_concrete, (alpha, power, noise))):
        return
    threshold = np.asarray(separability_threshold(teacher=law, signal_power=power, noise_std=noise))
    if wanted and np.any(np.asarray(alpha) >= threshold):
        raise ValueError(
            f"`samples_per_feature` must be below {np.min(threshold):.6g}, where the labels cease to be separable, got "
            f"{alpha!r}: take fewer samples, or `convex_erm`, which needs no margin."
        )
    if not wanted and np.any(np.asarray(alpha) <= threshold):
        raise ValueError(
            f"`samples_per_feature` must be above {np.max(threshold):.6g}: with fewer samples a hyperplane separates "
            f"them and no minimiser exists without penalty, got {alpha!r}. Take more samples, a positive `penalty` in "
            "`convex_erm`, or the limit of a vanishing one, `max_margin`."
        )


def _check(alpha: ArrayLike, teacher: Any, power: ArrayLike, noise: ArrayLike) -> LabelLaw:
    law = resolve_label_law(teacher)
    check_positive("samples_per_feature", alpha, "it is n/d")
    check_nonnegative("signal_power", power)
    check_nonnegative("noise_std", noise)
    return law


def _sums(point: Array, law: LabelLaw, power: Array, noise: Array) -> tuple[Array, Array, Array]:
    """Return E (k − Z)₊², E (k − Z)₊ and E yG (k − Z)₊ for k = κ √(1 + t²) − t yG at (t, κ)."""
    t, margin = point[0], point[1]
    reach = margin * jnp.sqrt(1 + t**2)
    root = jnp.sqrt(power)
    width = law.width(noise) / jnp.where(root > 0, root, 1.0)
    ends = jnp.concatenate(
        [
            around(jnp.zeros_like(t), 1.0 + 0 * t, EVEN),
            around(reach / t, 1 / t, STEEP),
            around(jnp.zeros_like(t), width, STEEP),
            around(jnp.zeros_like(t), width, GEOMETRIC),
        ]
    )
    low, high = -9.0 + 0 * t, 9.0 + 0 * t
    g, weights = panel_rule(ends, low, high)
    probability = jnp.where(root > 0, law.probability(root * g, noise), 0.5)
    density = 2 * weights * probability * jnp.exp(-(g**2) / 2) / jnp.sqrt(2 * jnp.pi)
    k = reach - t * g
    tail, height = jax.scipy.special.erfc(-k / jnp.sqrt(2.0)) / 2, jnp.exp(-(k**2) / 2) / jnp.sqrt(2 * jnp.pi)
    first, second = k * tail + height, (1 + k**2) * tail + k * height
    return jnp.sum(density * second), jnp.sum(density * first), jnp.sum(density * g * first)


def _best_tangent(margin: Array, law: LabelLaw, power: Array, noise: Array) -> Array:
    """Return log t where E (κ √(1 + t²) − t yG − Z)₊² is least."""

    def is_past(x: Array) -> Array:
        t = jnp.exp(x)
        _, first, along = _sums(jnp.stack([t, margin]), law, power, noise)
        return margin * t / jnp.sqrt(1 + t**2) * first > along

    ends = jnp.full_like(margin, -LARGEST_LOGARITHM), jnp.full_like(margin, LARGEST_LOGARITHM)
    return bisect(is_past, ends, num_steps=NUM_BISECTIONS)


def _margin(law: LabelLaw, alpha: Array, power: Array, noise: Array) -> tuple[Array, ...]:
    held = jax.lax.stop_gradient((power, noise))
    count = jax.lax.stop_gradient(alpha)

    def too_wide(x: Array) -> Array:
        margin = jnp.exp(x)
        tangent = jnp.exp(_best_tangent(margin, law, *held))
        return count * _sums(jnp.stack([tangent, margin]), law, *held)[0] > 1

    # κ²α ≤ 1 at overlap one, and κ ≤ 1/√α + 1 in any case.
    ends = jnp.full_like(alpha, -LARGEST_LOGARITHM), jnp.log(2 + 2 / jnp.sqrt(alpha))
    start = bisect(too_wide, ends, num_steps=NUM_BISECTIONS)
    start = jnp.stack([_best_tangent(jnp.exp(start), law, *held), start])

    def equations(point: Array) -> tuple[Array, Array]:
        t, margin = jnp.exp(point[0]), jnp.exp(point[1])
        square, first, along = _sums(jnp.exp(point), law, power, noise)
        values = jnp.stack([jnp.log(alpha * square), jnp.log(margin * t / jnp.sqrt(1 + t**2) * first / along)])
        return values, values

    def polish(point: Array, _: None) -> tuple[Array, None]:
        jacobian, values = jax.jacfwd(equations, has_aux=True)(point)
        return point - jnp.linalg.solve(jacobian, values), None

    point = jax.lax.scan(polish, start, length=NUM_POLISHES)[0]
    jacobian, values = jax.jacfwd(equations, has_aux=True)(point)
    condition = jnp.max(jnp.sum(jnp.abs(jnp.linalg.inv(jacobian)), axis=1))
    t, margin = jnp.exp(point[0]), jnp.exp(point[1])
    wrong = _wrong(t, law, power, noise)
    is_solution = jnp.max(jnp.abs(jax.lax.stop_gradient(values))) < 1e-9
    fields = margin, t / jnp.sqrt(1 + t**2), wrong, condition
    return tuple(jnp.where(is_solution, field, jnp.nan) for field in fields)


def _wrong(t: Array, law: LabelLaw, power: Array, noise: Array) -> Array:
    """Return P(t yG + Z < 0)."""
    ends = [around(0 * t, unit, distances) for unit, distances in ((1 + 0 * t, EVEN), (1 / t, STEEP))]
    width = law.width(noise) / jnp.sqrt(power)
    ends += [around(0 * t, width, STEEP), around(0 * t, width, GEOMETRIC)]
    g, weights = panel_rule(jnp.concatenate(ends), -9 + 0 * t, 9 + 0 * t)
    density = 2 * weights * law.probability(jnp.sqrt(power) * g, noise) * jnp.exp(-(g**2) / 2) / jnp.sqrt(2 * jnp.pi)
    return jnp.sum(density * jax.scipy.special.erfc(t * g / jnp.sqrt(2.0)) / 2)


@functools.partial(jax.jit, static_argnums=0)
def _margins(law: LabelLaw, *arrays: Array) -> MaxMargin:
    return MaxMargin(*over_leading_axes(functools.partial(_margin, law), "(),(),()->(),(),(),()")(*arrays))


@functools.partial(jax.jit, static_argnums=0)
def _thresholds(law: LabelLaw, *arrays: Array) -> Array:
    def threshold(power: Array, noise: Array) -> Array:
        tangent = jax.lax.stop_gradient(_best_tangent(jnp.zeros_like(power), law, power, noise))
        square = _sums(jnp.stack([jnp.exp(tangent), jnp.zeros_like(power)]), law, power, noise)[0]
        return jnp.where(tangent < LARGEST_LOGARITHM - 1, 1 / square, jnp.inf)

    return over_leading_axes(threshold, "(),()->()")(*arrays)
