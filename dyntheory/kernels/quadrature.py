"""The dual of any scalar function, by its Hermite coefficients.

For (u, v) Gaussian with standard deviations s₁, s₂ and correlation ρ, Mehler's formula gives
E φ(u)φ(v) = Σ_j ρ^j a_j(s₁) a_j(s₂) with a_j(s) = E[φ(sZ) He_j(Z)]/√j!: one-dimensional integrals for each input and a
short sum for each pair. By Cauchy and Schwarz what the sum leaves out is at most √(R(s₁) R(s₂)), where
R(s) = E φ(sZ)² − Σ_{j<J} a_j(s)² is computed along, for φ and for φ′: the result knows its error. A kink or jump at
zero is taken out first (`dyntheory.kernels.kinks`); those elsewhere leave the error that is reported.

Reference: `daniely2016toward`, section 4; `trefethen2014exponentially` for the trapezoid rule, whose error falls
exponentially with the number of nodes for functions that are analytic near the real line.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from dyntheory.gaussian.hermite import hermite_rule
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_count, check_nonnegative
from dyntheory.ground.elementwise import check_elementwise
from dyntheory.kernels.duals import Dual, Image
from dyntheory.kernels.kinks import Kink, kink_at_zero
from dyntheory.kernels.moments import Block, deviations, inverse, root

NUM_NODES = 1041
DEGREE = 256
ROUGHNESS_ORDER = 16
ROUNDING = 64
BESIDE_ZERO = 1e-30


class Side(NamedTuple):
    """A function of one Gaussian variable: Hermite coefficients (J, …) without and of its kink, E φ², and the error.

    `left_out` is what the coefficients do not reach of E φ², and the error of the rule.
    """

    smooth: Array
    kinked: Array | None
    moment: Array
    left_out: Array


@dataclasses.dataclass(frozen=True)
class Series:
    """φ and φ′ as Hermite series of `degree` terms by a rule of `num_nodes`, with the kink at zero taken apart."""

    function: Callable[[Array], Array]
    kink: Kink | None
    degree: int
    num_nodes: int

    def side(self, variance: Array, order: int) -> Side:
        """Return coefficients, moment and error of φ^(order)(√v Z), order 0 or 1."""
        nodes, matrix = (jnp.asarray(part, variance.dtype) for part in hermite_rule(self.degree, self.num_nodes))
        points = root(variance)[..., None] * nodes.reshape((1,) * variance.ndim + (-1,))
        weights, kink = matrix[:, 0], self._kink(order)
        if kink is not None:
            points = jnp.where(points == 0, BESIDE_ZERO, points)
        values = self._derivative(points) if order else self.function(points)
        values = values if kink is None else values - kink.value(points)
        smooth = jnp.moveaxis(jnp.matmul(values, matrix, precision=jax.lax.Precision.HIGHEST), -1, 0)
        moment = jnp.matmul(jnp.square(values), weights)
        floor = ROUNDING * jnp.finfo(moment.dtype).eps * moment
        missing = jnp.maximum(moment - jnp.sum(jnp.square(smooth), axis=0) - floor, 0.0)
        error = missing + _roughness(jnp.square(values), weights)
        if kink is None:
            return Side(smooth, None, moment, error + 2 * root(moment) * _roughness(values, weights))
        kinked, own = kink.coefficients(variance, self.degree), kink.moment(variance)
        whole = moment + 2 * jnp.sum(smooth * kinked, axis=0) + own
        beyond = jnp.maximum(own - jnp.sum(jnp.square(kinked), axis=0), 0.0)
        error = error + 2 * root(missing * beyond) + 2 * root(whole) * _roughness(values, weights)
        return Side(smooth, kinked, whole, error)

    def _kink(self, order: int) -> Kink | None:
        return self.kink.derivative() if self.kink is not None and order else self.kink

    def _derivative(self, x: Array) -> Array:
        return jax.jvp(self.function, (x,), (jnp.ones_like(x),))[1]

    def second_moment(self, variance: Array) -> Array:
        """Return E φ(√v Z)²."""
        return self.side(variance, 0).moment

    def image(self, block: Block) -> Image:
        """Return the moments of φ(u), φ(v) from those of u, v."""
        left, right = deviations(block)
        correlation = block.cov * inverse(left * right)
        found, left_out = [], []
        for order in (0, 1):
            one, two = (self.side(variance, order) for variance in (block.left, block.right))
            whole, kink = _product(correlation, one, two), self._kink(order)
            found.append(whole if kink is None else whole + kink.covariance(block))
            left_out += [jnp.max(side.left_out * _reciprocal(side.moment)) for side in (one, two)]
        return Image(found[0], found[1], left_out=jax.lax.stop_gradient(jnp.max(jnp.stack(left_out))))


def _reciprocal(moment: Array) -> Array:
    return 1.0 / jnp.maximum(moment, jnp.finfo(moment.dtype).tiny)


def _roughness(values: Array, weights: Array) -> Array:
    """Bound the error of the rule: Σ |Δ¹⁶ (values · weights)|/2¹⁶.

    That is half a node's weight times a jump wherever it lies, which is the most that the rule can miss of it, a
    quarter of h² times a jump of the slope, of which it misses a twelfth, and rounding for what the nodes resolve.
    """
    differences = jnp.diff(values * weights.reshape((1,) * (values.ndim - 1) + (-1,)), n=ROUGHNESS_ORDER, axis=-1)
    return jnp.sum(jnp.abs(differences), axis=-1) / 2**ROUGHNESS_ORDER


def _product(correlation: Array, one: Side, two: Side) -> Array:
    """Return the sum of Mehler's formula without the products of two kinks."""
    if one.kinked is None or two.kinked is None:
        return _mehler(correlation, (one.smooth,), (two.smooth,))
    return _mehler(correlation, (one.smooth, one.kinked), (two.smooth + two.kinked, two.smooth))


def _mehler(correlation: Array, left: tuple[Array, ...], right: tuple[Array, ...]) -> Array:
    """Return Σ_j ρ^j Σ_pairs a_j b_j by Horner's rule; coefficients have j on their first axis."""

    def add(total: Array, pairs: tuple[tuple[Array, ...], tuple[Array, ...]]) -> tuple[Array, None]:
        products = [one * two for one, two in zip(*pairs, strict=True)]
        return sum(products, total * correlation), None

    return jax.lax.scan(add, jnp.zeros_like(correlation), (left, right), reverse=True, unroll=8)[0]


def truncation_error(
    function: Callable[[Array], Array], variance: ArrayLike, *, degree: int = DEGREE, num_nodes: int = NUM_NODES
) -> Array:
    """Bound the error of the sum of `degree` terms for E φ(u)φ(v), u and v of that variance, at any correlation.

    At correlation ρ what is left out falls further, by |ρ|^degree. The error of the rule is in the bound, for functions
    whose features are wider than 0.025 √variance. For the tangent kernel, ask it of φ′.

    Args:
        function: φ, elementwise.
        variance: one variance or an array of them.
        degree: number of terms J.
        num_nodes: of the trapezoid rule.

    Returns:
        R = E φ² − Σ_{j<J} a_j² and the error of the rule, in the shape of `variance`.

    Example:
        >>> import jax.numpy as jnp
        >>> bool(truncation_error(jnp.tanh, 1.0) < 1e-5)
        True
    """
    check_nonnegative("variance", variance)
    series = hermite_series(function, degree=degree, num_nodes=num_nodes)
    return series.side(jnp.asarray(variance, jnp.result_type(float)), 0).left_out


def hermite_series(function: Callable[[Array], Array], *, degree: int = DEGREE, num_nodes: int = NUM_NODES) -> Series:
    """Return φ as a series.

    Args:
        function: φ, elementwise, written in JAX.
        degree: number of Hermite terms. The error falls like exp(−2δ√degree/√variance) for a function with its
            nearest pole at distance δ from the real line; away from zero, jumps and kinks leave degree^(−1/2) and
            degree^(−3/2).
        num_nodes: of the trapezoid rule.

    Raises:
        TypeError: not a function, or not written in JAX.
        ValueError: it couples the entries of an array, or a number that does not fit.
    """
    degree = check_count("degree", degree)
    num_nodes = check_count("num_nodes", num_nodes, minimum=2 * ROUGHNESS_ORDER)
    check_elementwise("function", function)
    return Series(function, kink_at_zero(function), degree, num_nodes)


def numerical(
    function: Callable[[Array], Array], *, degree: int = DEGREE, num_nodes: int = NUM_NODES, name: str = "custom"
) -> Dual:
    """Return the dual of any scalar function; the slope uses its derivative by automatic differentiation.

    Args:
        function: φ, elementwise, written in JAX.
        degree: number of Hermite terms, see `hermite_series`.
        num_nodes: of the trapezoid rule.
        name: of the function.
    """
    series = hermite_series(function, degree=degree, num_nodes=num_nodes)
    return Dual(name, function, series.second_moment, series.image)
