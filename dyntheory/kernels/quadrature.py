"""The dual of any scalar function, by its Hermite coefficients.

For (u, v) Gaussian with standard deviations s₁, s₂ and correlation ρ, Mehler's formula gives
E φ(u)φ(v) = Σ_j ρ^j a_j(s₁) a_j(s₂) with a_j(s) = E[φ(sZ) He_j(Z)]/√j!: one-dimensional integrals for each input and a
short sum for each pair. By Cauchy and Schwarz what the sum leaves out is at most √(R(s₁) R(s₂)), where
R(s) = E φ(sZ)² − Σ_{j<J} a_j(s)² is computed along: the result knows its error.

Reference: `daniely2016toward`, section 4; `trefethen2014exponentially` for the trapezoid rule, whose error falls
exponentially with the number of nodes for functions that are analytic near the real line.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from dyntheory.gaussian.hermite import hermite_rule
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_count, check_nonnegative
from dyntheory.kernels.duals import Dual, Image
from dyntheory.kernels.moments import Block, deviations, inverse, root

NUM_NODES = 1041
DEGREE = 256


def _samples(function: Callable[[Array], Array], variance: Array, num_nodes: int, degree: int) -> Array:
    """Return φ(√v z) at the nodes, on a new last axis."""
    nodes, _ = hermite_rule(degree, num_nodes)
    return function(
        root(variance)[..., None] * jnp.asarray(nodes, variance.dtype).reshape((1,) * variance.ndim + (-1,))
    )


def _project(values: Array, num_nodes: int, degree: int) -> Array:
    """Return the Hermite coefficients, on a new first axis."""
    _, matrix = hermite_rule(degree, num_nodes)
    projected = jnp.matmul(values, jnp.asarray(matrix, values.dtype), precision=jax.lax.Precision.HIGHEST)
    return jnp.moveaxis(projected, -1, 0)


def _mehler(correlation: Array, left: Array, right: Array) -> Array:
    """Return Σ_j ρ^j a_j b_j by Horner's rule; coefficients have j on their first axis."""

    def add(total: Array, pair: tuple[Array, Array]) -> tuple[Array, None]:
        return total * correlation + pair[0] * pair[1], None

    return jax.lax.scan(add, jnp.zeros_like(correlation), (left, right), reverse=True, unroll=8)[0]


def truncation_error(
    function: Callable[[Array], Array], variance: ArrayLike, *, degree: int = DEGREE, num_nodes: int = NUM_NODES
) -> Array:
    """Bound what the sum of `degree` terms leaves out of E φ(u)φ(v), for u and v of that variance, at any correlation.

    At correlation ρ the bound falls further, by |ρ|^degree. It does not cover the rule itself, which resolves
    functions that are smooth on the scale of 0.025 √variance.

    Args:
        function: φ, elementwise.
        variance: one variance or an array of them.
        degree: number of terms J.
        num_nodes: of the trapezoid rule.

    Returns:
        R = E φ² − Σ_{j<J} a_j², in the shape of `variance`.

    Example:
        >>> import jax.numpy as jnp
        >>> bool(truncation_error(jnp.tanh, 1.0) < 1e-5)
        True
    """
    check_nonnegative("variance", variance)
    values = _samples(function, jnp.asarray(variance, jnp.result_type(float)), num_nodes, degree)
    weights = hermite_rule(degree, num_nodes)[1][:, 0]
    coefficients = _project(values, num_nodes, degree)
    return jnp.square(values) @ jnp.asarray(weights, values.dtype) - jnp.sum(jnp.square(coefficients), axis=0)


def numerical(
    function: Callable[[Array], Array], *, degree: int = DEGREE, num_nodes: int = NUM_NODES, name: str = "custom"
) -> Dual:
    """Return the dual of any scalar function; the slope uses its derivative by automatic differentiation.

    Args:
        function: φ, elementwise, written in JAX.
        degree: number of Hermite terms. The error falls like exp(−2δ√degree/√variance) for a function with its
            nearest pole at distance δ from the real line; jumps and kinks leave degree^(−1/2) and degree^(−3/2).
        num_nodes: of the trapezoid rule.
        name: of the function.
    """
    degree, num_nodes = check_count("degree", degree), check_count("num_nodes", num_nodes, minimum=3)

    def derivative(x: Array) -> Array:
        return jax.jvp(function, (x,), (jnp.ones_like(x),))[1]

    def second_moment(variance: Array) -> Array:
        weights = jnp.asarray(hermite_rule(degree, num_nodes)[1][:, 0], variance.dtype)
        return jnp.matmul(jnp.square(_samples(function, variance, num_nodes, degree)), weights)

    def sides(block: Block) -> tuple[Array, Array]:
        return block.left, block.right

    def coefficients(block: Block, of: Callable[[Array], Array]) -> tuple[Array, Array]:
        left, right = (_project(_samples(of, side, num_nodes, degree), num_nodes, degree) for side in sides(block))
        return left, right

    def image(block: Block) -> Image:
        left, right = deviations(block)
        correlation = block.cov * inverse(left * right)
        values, slopes = coefficients(block, function), coefficients(block, derivative)
        left_out = [_left_out(second_moment(side), a) for side, a in zip(sides(block), values, strict=True)]
        return Image(
            _mehler(correlation, *values), _mehler(correlation, *slopes), left_out=jnp.maximum(left_out[0], left_out[1])
        )

    return Dual(name, function, second_moment, image)


def _left_out(moment: Array, coefficients: Array) -> Array:
    """Return the largest fraction of the second moment which the coefficients do not reach."""
    missing = moment - jnp.sum(jnp.square(coefficients), axis=0)
    return jnp.max(missing / jnp.maximum(moment, jnp.finfo(moment.dtype).tiny))
