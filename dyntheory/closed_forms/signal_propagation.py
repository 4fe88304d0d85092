"""Signal propagation in wide random networks: the initialisation at the edge of chaos.

h^{l+1} = W φ(h^l) + b with Var W = σ_w²/N, Var b = σ_b², N wide. A preactivation of variance q is kept, and the
gradient neither grows nor dies, when

    σ_w² = 1/E φ′(√q Z)²,      σ_b² = q − σ_w² E φ(√q Z)².

For small q the second line cancels. With b_j the Hermite coefficients of φ″(√q z), a₀ = E φ(√q Z), it equals
σ_w² (q² Σ_j b_j²/(j + 2) − a₀²), which does not.

Reference: `poole2016exponential`; `schoenholz2017deep`; `he2015delving` and `glorot2010understanding` are q → 0.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.closed_forms.activation_moments import SLOPES
from dyntheory.closed_forms.evaluation import evaluate
from dyntheory.gaussian.hermite import hermite_rule
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_nonnegative, is_concrete
from dyntheory.ground.kinds import check_arguments
from dyntheory.problem.networks.activations import ACTIVATIONS, Activation, resolve_activation

NUM_NODES = 8321
DEGREE = 128
SMALL = 0.1  # variances below it take the series
LARGEST = 1e3
AGREEMENT = 1e-9  # of two forms and of two rules: a kink that nobody declared shows here


class EdgeOfChaos(NamedTuple):
    """The initialisation, arrays of one shape.

    Args:
        weight_variance: σ_w², N times the variance of a weight, N being the number of inputs of the layer.
        bias_variance: σ_b².
    """

    weight_variance: Any
    bias_variance: Any


def edge_of_chaos(activation: str | Callable[[Array], Array] | Activation, variance: ArrayLike = 0.0) -> EdgeOfChaos:
    """Return the initialisation that keeps the variance of signals and the norm of gradients.

    Scaling:
        Weights have variance σ_w²/N. ReLU gives (2, 0) at every q, which is He's initialisation; tanh at q → 0 gives
        (1, 0), Xavier's (for N inputs and as many outputs).

    Args:
        activation: a name, or a smooth scalar function written in JAX.
        variance: q, zero or positive, at most 1000; default the limit q → 0.

    Returns:
        σ_w² and σ_b², in the shape of q.

    Raises:
        ValueError: q outside its range; an activation without an edge at this q: its slope vanishes, or σ_b² would be
            negative; a function with kinks that is not known by name.

    Example:
        >>> from dyntheory import closed_forms
        >>> [[float(x) for x in closed_forms.edge_of_chaos(name)] for name in ("relu", "tanh")]
        [[2.0, 0.0], [1.0, 0.0]]

    Reference: `poole2016exponential`; `schoenholz2017deep`; `he2015delving`; `glorot2010understanding`.
    """
    check_arguments(edge_of_chaos, locals())
    check_nonnegative("variance", variance)
    if is_concrete(variance) and np.max(np.asarray(variance)) > LARGEST:
        raise ValueError(f"`variance` must be at most {LARGEST:g}, got {variance!r}.")
    found = resolve_activation(activation)
    if found.name in SLOPES and found is ACTIVATIONS[found.name]:
        left, right = SLOPES[found.name]
        slope = (left**2 + right**2) / 2
        return evaluate(lambda q: EdgeOfChaos(jnp.full_like(q, 1 / slope), jnp.zeros_like(q)), variance)
    if found.is_kinked:
        raise ValueError(f"The derivative of {found.name!r} jumps: of these only {', '.join(SLOPES)} have an edge.")
    edge, discrepancy = evaluate(functools.partial(_smooth, found.function), variance)
    if is_concrete(edge.bias_variance):
        _check_edge(found.name, edge, discrepancy)
    return edge


def _check_edge(name: str, edge: EdgeOfChaos, discrepancy: Array) -> None:
    if not np.all(np.isfinite(edge.weight_variance)):
        raise ValueError(f"{name!r} has no edge of chaos at this variance: its mean square slope is zero.")
    if np.max(discrepancy) > AGREEMENT:
        raise ValueError(
            f"{name!r} is not smooth enough for the rule: two estimates differ by {np.max(discrepancy):.1e}."
        )
    lowest = float(np.min(edge.bias_variance))
    if lowest < 0:
        raise ValueError(
            f"{name!r} has no edge of chaos at this variance: the bias variance would be {lowest:.3g}. "
            "Try another variance, or subtract the function's mean."
        )


@functools.partial(jax.jit, static_argnums=0)
def _smooth(function: Callable[[Array], Array], variance: Array) -> tuple[EdgeOfChaos, Array]:
    """Return the edge, and the largest relative difference of estimates that should agree."""
    nodes, columns = hermite_rule(DEGREE, NUM_NODES)
    matrix, row = jnp.asarray(columns), (1,) * variance.ndim + (-1,)
    is_positive = variance > 0
    root = jnp.where(is_positive, jnp.sqrt(jnp.where(is_positive, variance, 1.0)), 0.0)
    points = root[..., None] * jnp.asarray(nodes).reshape(row)

    def derivative(x: Array) -> Array:
        return jax.jvp(function, (x,), (jnp.ones_like(x),))[1]

    value, slope = function(points), derivative(points)
    bend = jax.jvp(derivative, (points,), (jnp.ones_like(points),))[1] @ matrix
    mean_slope, mean_square = jnp.square(slope) @ matrix[:, 0], jnp.square(value) @ matrix[:, 0]
    coarse = 2 * jnp.square(slope[..., ::2]) @ matrix[::2, 0]
    weight = 1 / mean_slope
    curvature = jnp.sum(jnp.square(bend) / jnp.asarray(np.arange(DEGREE) + 2.0).reshape(row), axis=-1)
    series = weight * (jnp.square(variance) * curvature - jnp.square(value @ matrix[:, 0]))
    direct = variance - weight * mean_square
    is_small = variance < SMALL
    of_forms = jnp.where(is_small & is_positive, jnp.abs(series - direct) / jnp.where(is_positive, variance, 1.0), 0.0)
    of_rules = jnp.abs(coarse * weight - 1)
    return EdgeOfChaos(weight, jnp.where(is_small, series, direct)), jnp.maximum(of_forms, of_rules)
