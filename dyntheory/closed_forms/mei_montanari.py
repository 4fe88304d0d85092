"""The random-features risk as first published: two coupled equations and three polynomials.

It checks `random_features`; where the polynomials cancel (large ψ, tiny λ) it loses digits that the other form keeps.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from dyntheory.closed_forms.evaluation import evaluate
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_nonnegative, check_positive
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.root_finding import narrow, newton_step

NUM_BISECTIONS = 200


def mei_montanari_excess(
    features_per_input: ArrayLike,
    samples_per_input: ArrayLike,
    *,
    penalty: ArrayLike,
    linear: ArrayLike,
    nonlinear: ArrayLike,
    signal_power: ArrayLike = 1.0,
    nonlinear_power: ArrayLike = 0.0,
    noise_std: ArrayLike = 0.0,
) -> Array:
    """Return the excess error F₁² E₁/E₀ + (σ² + F_*²) E₂/E₀ + F_*² of ridge regression on random features.

    Scaling:
        That of `random_features`; linear and nonlinear are μ₁ and μ_*.

    Raises:
        ValueError: a number outside its range; penalty, linear and nonlinear must be positive here.

    Reference: `mei2022generalization`.
    """
    check_arguments(mei_montanari_excess, locals())
    check_positive("features_per_input", features_per_input, "it is N/d")
    check_positive("samples_per_input", samples_per_input, "it is n/d")
    for name, value in (("penalty", penalty), ("linear", linear), ("nonlinear", nonlinear)):
        check_positive(name, value)
    for name, value in (("signal_power", signal_power), ("nonlinear_power", nonlinear_power), ("noise_std", noise_std)):
        check_nonnegative(name, value)
    return evaluate(
        _excess,
        features_per_input,
        samples_per_input,
        penalty,
        linear,
        nonlinear,
        signal_power,
        nonlinear_power,
        noise_std,
    )


def _product(psi1: Array, psi2: Array, ridge: Array, zeta2: Array) -> Array:
    """Return x = u₁u₂, the root of ψ₁ψ₂λ̄ x = (ψ₁ − h)(ψ₂ − h) with h = x + ζ²x/(1 + ζ²x) below both ψ.

    The two equations for u₁ and u₂ multiplied; ν_j(is) = i u_j.
    """

    def gap(x: Array) -> Array:
        h = x + zeta2 * x / (1 + zeta2 * x)
        return jnp.where(h < jnp.minimum(psi1, psi2), (psi1 - h) * (psi2 - h) - psi1 * psi2 * ridge * x, -1.0)

    ends = jax.lax.stop_gradient((jnp.zeros_like(psi1), jnp.minimum(psi1, psi2)))
    inside, _ = narrow(lambda x: gap(x) <= 0, ends, num_steps=NUM_BISECTIONS)
    return newton_step(gap, jax.lax.stop_gradient(inside))


@jax.jit
def _excess(
    psi1: Array,
    psi2: Array,
    penalty: Array,
    linear: Array,
    nonlinear: Array,
    signal: Array,
    hidden: Array,
    noise: Array,
) -> Array:
    z2, both = (linear / nonlinear) ** 2, psi1 * psi2
    c = -_product(psi1, psi2, penalty / nonlinear**2, z2)
    common = -(c**5) * z2**3 + 3 * c**4 * z2**2 - 2 * c**3 * z2**2 - 3 * c**3 * z2 + 2 * c**2 * z2 + c**2
    e0 = common + (both - psi2 - psi1 + 1) * c**3 * z2**3 + (psi1 + psi2 - 3 * both + 1) * c**2 * z2**2
    e0 = e0 + 3 * both * c * z2 - both
    e1 = psi2 * c**3 * z2**2 - psi2 * c**2 * z2 + both * c * z2 - both
    e2 = -common + (psi1 - 1) * c**3 * z2**3 - (psi1 + 1) * c**2 * z2**2
    return signal * e1 / e0 + (noise**2 + hidden) * e2 / e0 + hidden
