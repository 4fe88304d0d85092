"""The law of Marchenko and Pastur: eigenvalues of XᵀX/n for X (n, d) with independent entries, ratio c = d/n.

It has the density √((h₊ − h)(h − h₋))/(2πch) on [h₋, h₊], h± = (1 ± √c)², and an atom 1 − 1/c at zero when c > 1.

Its orthogonal polynomials satisfy a recurrence with the coefficients a₀ = 1, a_k = 1 + c, b_k = √c, so they are
sums of two Chebyshev polynomials, and the nodes of Gauss's rule are h_j = 1 + c − 2√c cos ψ_j with

    (N + 1)ψ_j + arg(1 − √c e^{−iψ_j}) = jπ,    weights 2 sin²ψ_j/(N h_j + 1 − √c cos ψ_j)        (c ≤ 1).

The rule is exact for polynomials of degree 2N − 1 at every c, c = 1 included, where the trapezoid rule in the angle
misses the end point. For c > 1 the nonzero part is that of 1/c, with nodes times c and weights over c.

Reference: `marchenko1967distribution`; the recurrence is that of the free Poisson law, `golub1969calculation` for
rules from recurrences.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dyntheory.closed_forms.evaluation import evaluate, ratio_or
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_count, check_finite, check_nonnegative, check_positive
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.root_finding import bisect

NUM_BISECTIONS = 56


class Quadrature(NamedTuple):
    """Gauss's rule for the continuous part, and the atom at zero.

    Args:
        nodes: h_j in increasing order, (..., N).
        weights: they sum to the mass of the continuous part, (..., N).
        atom: mass at zero, (...,).
    """

    nodes: Any
    weights: Any
    atom: Any


class Angles(NamedTuple):
    """The rule in the angle ψ of h = 1 + c − 2√c cos ψ; all (N,).

    Args:
        nodes: h.
        offsets: h − 1, without its cancellation.
        weights: of the continuous part.
    """

    nodes: Array
    offsets: Array
    weights: Array


def edges(ratio: ArrayLike) -> Array:
    """Return h₋ and h₊ on a new last axis.

    Args:
        ratio: c = d/n, positive.

    Example:
        >>> from dyntheory.closed_forms import marchenko_pastur
        >>> marchenko_pastur.edges(0.25).tolist()
        [0.25, 2.25]
    """
    check_arguments(edges, locals())
    check_positive("ratio", ratio, "it is d/n")
    return evaluate(lambda c: jnp.stack([_lower_edge(c), jnp.square(1 + jnp.sqrt(c))], axis=-1), ratio)


def atom(ratio: ArrayLike) -> Array:
    """Return the mass at zero, max(0, 1 − 1/c).

    Args:
        ratio: c = d/n, positive.
    """
    check_arguments(atom, locals())
    check_positive("ratio", ratio, "it is d/n")
    return evaluate(_atom, ratio)


def density(eigenvalue: ArrayLike, ratio: ArrayLike) -> Array:
    """Return the density of the continuous part, zero outside [h₋, h₊]; infinite at zero for c = 1.

    Beside an edge relative digits are lost as h_edge/|h − h_edge|, which is the conditioning of the density itself.

    Args:
        eigenvalue: h.
        ratio: c = d/n, positive.

    Example:
        >>> from dyntheory.closed_forms import marchenko_pastur
        >>> round(float(marchenko_pastur.density(1.0, 0.25)), 12)
        0.616404444061

    Reference: `marchenko1967distribution`.
    """
    check_arguments(density, locals())
    check_finite("eigenvalue", eigenvalue)
    check_positive("ratio", ratio, "it is d/n")
    return evaluate(_density, eigenvalue, ratio)


def moment(order: int, ratio: ArrayLike) -> Array:
    """Return E h^k = Σ_{r<k} c^r/(r + 1) · C(k, r) C(k − 1, r), the atom included.

    Args:
        order: k, a Python integer, zero or positive.
        ratio: c = d/n, positive.

    Example:
        >>> from dyntheory.closed_forms import marchenko_pastur
        >>> [float(marchenko_pastur.moment(k, 2.0)) for k in range(4)]
        [1.0, 1.0, 3.0, 11.0]
    """
    check_arguments(moment, locals())
    count = check_count("order", order, minimum=0)
    check_positive("ratio", ratio, "it is d/n")
    terms = [math.comb(count, r) * math.comb(count - 1, r) // (r + 1) for r in range(count)] or [1]

    def horner(c: Array) -> Array:
        return functools.reduce(lambda total, term: total * c + float(term), terms[::-1], jnp.zeros_like(c))

    return evaluate(horner, ratio)


def stieltjes(penalty: ArrayLike, ratio: ArrayLike) -> Array:
    """Return ∫ dMP(h)/(h + λ) = m(−λ), the atom included, for λ ≥ 0.

    m = 2/(b + √(b² + 4cλ)) with b = 1 − c + λ, in the form that does not cancel; infinite at λ = 0 for c ≥ 1.

    Args:
        penalty: λ, zero or positive.
        ratio: c = d/n, positive.

    Example:
        >>> from dyntheory.closed_forms import marchenko_pastur
        >>> float(marchenko_pastur.stieltjes([0.0, 1.0], 0.5)[0])
        2.0

    Reference: `hastie2022surprises`; `marchenko1967distribution`.
    """
    check_arguments(stieltjes, locals())
    check_nonnegative("penalty", penalty)
    check_positive("ratio", ratio, "it is d/n")
    return evaluate(_stieltjes, penalty, ratio)


def quadrature(num_nodes: int, ratio: ArrayLike) -> Quadrature:
    """Return Gauss's rule: exact for polynomials of degree 2N − 1 and any c, geometric for analytic functions.

    Args:
        num_nodes: N, a Python integer.
        ratio: c = d/n, positive.

    Returns:
        Nodes and weights of the continuous part, and the atom at zero.

    Example:
        >>> from dyntheory.closed_forms import marchenko_pastur
        >>> rule = marchenko_pastur.quadrature(3, 1.0)
        >>> round(float(rule.weights @ rule.nodes**5), 9), float(marchenko_pastur.moment(5, 1.0))
        (42.0, 42.0)
    """
    check_arguments(quadrature, locals())
    count = check_count("num_nodes", num_nodes)
    check_positive("ratio", ratio, "it is d/n")
    return evaluate(functools.partial(_quadrature, count), ratio)


def gauss_angles(num_nodes: int, ratio: Array, root: Array, gap: Array) -> Angles:
    """Return Gauss's rule for the continuous part at one ratio c.

    Args:
        num_nodes: N.
        ratio: c, ().
        root: √c or √(1/c), whichever is at most 1, ().
        gap: 1 − `root`, from the caller, who knows it to all its digits, ().
    """
    target = jnp.arange(1, num_nodes + 1) * jnp.pi

    def phase(psi: Array) -> Array:
        half = jnp.square(jnp.sin(psi / 2))
        return (num_nodes + 1) * psi + jnp.arctan2(root * jnp.sin(psi), gap + 2 * root * half)

    ends = (target - jnp.pi / 2) / (num_nodes + 1), target / (num_nodes + 1)
    psi = jax.lax.stop_gradient(bisect(lambda psi: phase(psi) >= target, ends, num_steps=NUM_BISECTIONS))
    half = jnp.square(jnp.sin(psi / 2))
    below = jnp.square(gap) + 4 * root * half  # the node of min(c, 1/c)
    slope = num_nodes * below + gap + 2 * root * half  # that node times the derivative of the phase
    psi = psi - (phase(psi) - target) * jax.lax.stop_gradient(below / slope)  # carries the derivatives
    half = jnp.square(jnp.sin(psi / 2))
    below = jnp.square(gap) + 4 * root * half
    weights = 2 * jnp.square(jnp.sin(psi)) / (num_nodes * below + gap + 2 * root * half)
    scale = jnp.maximum(ratio, 1.0)
    offsets = ratio - 2 * scale * root * jnp.cos(psi)
    return Angles(scale * below, offsets, weights / scale)


@functools.partial(jax.jit, static_argnums=0)
def _quadrature(num_nodes: int, ratio: Array) -> Quadrature:
    def rule(c: Array) -> tuple[Array, Array]:
        below = jnp.minimum(c, 1 / c)
        root = jnp.sqrt(below)
        angles = gauss_angles(num_nodes, c, root, (1 - below) / (1 + root))
        return angles.nodes, angles.weights

    nodes, weights = jnp.vectorize(rule, signature="()->(n),(n)")(ratio)
    return Quadrature(nodes, weights, _atom(ratio))


def _lower_edge(ratio: Array) -> Array:
    return jnp.square((1 - ratio) / (1 + jnp.sqrt(ratio)))


def _atom(ratio: Array) -> Array:
    return jnp.maximum((ratio - 1) / ratio, 0.0)


@jax.jit
def _density(eigenvalue: Array, ratio: Array) -> Array:
    root = jnp.sqrt(ratio)
    product = (jnp.square(1 + root) - eigenvalue) * (eigenvalue - _lower_edge(ratio))
    inside = (product > 0) & (eigenvalue > 0)
    safe = jnp.where(inside, product, 1.0)
    value = jnp.sqrt(safe) / (2 * jnp.pi * ratio * jnp.where(inside, eigenvalue, 1.0))
    return jnp.where(inside, value, jnp.where((eigenvalue == 0) & (ratio == 1), jnp.inf, 0.0))


@jax.jit
def _stieltjes(penalty: Array, ratio: Array) -> Array:
    center = (1 - ratio) + penalty
    square = jnp.square(1 - ratio - penalty) + 4 * penalty  # = center² + 4cλ
    total = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)
    large = (total + jnp.abs(center)) / 2
    small_center = ratio_or(large, ratio * penalty, jnp.inf)
    return jnp.where(center > 0, ratio_or(jnp.ones_like(large), large, jnp.inf), small_center)
