"""Derivatives of expectations over a mixture on nodes: against the closed form, in every one of its numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyntheory.priors import GaussianMixture
from dyntheory.problem.laws.mixture_nodes import mixture_quantile

LEVELS = (np.arange(2**13) + 0.5) / 2**13
MIXTURES = {
    "two points": ([0.3, 0.7], [-1.0, 1.0], [0.0, 0.0]),
    "a gap": ([0.3, 0.7], [-1.0, 1.0], [0.01, 0.02]),
    "a point on a slab": ([0.4, 0.6], [0.0, 0.0], [0.0, 1.0]),
    "points and a slab": ([0.2, 0.3, 0.5], [-1.0, 0.0, 2.0], [0.0, 0.0, 0.5]),
}


def _on_nodes(p: jax.Array, m: jax.Array, s: jax.Array) -> jax.Array:
    values, ratio = GaussianMixture(p, m, s).on_nodes(LEVELS)
    return ratio @ jnp.cos(1.3 * values + 0.2) / jnp.sum(ratio)


def _exact(p: jax.Array, m: jax.Array, s: jax.Array) -> jax.Array:
    return jnp.sum(p * jnp.cos(1.3 * m + 0.2) * jnp.exp(-0.5 * (1.3 * s) ** 2)) / jnp.sum(p)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.full] * (name in ("two points", "a gap"))) for name in MIXTURES]
)
def test_expectations_are_differentiated_in_every_number(name: str) -> None:
    numbers = tuple(map(jnp.asarray, MIXTURES[name]))
    found, wanted = (jax.jit(jax.grad(f, argnums=(0, 1, 2)))(*numbers) for f in (_on_nodes, _exact))
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=3e-4)
    values, ratio = GaussianMixture(*numbers).on_nodes(LEVELS)
    np.testing.assert_array_equal(ratio, 1.0)
    np.testing.assert_array_equal(values, GaussianMixture(*numbers).quantile(LEVELS))


@pytest.mark.usefixtures("double")
def test_what_no_node_sees_is_no_number() -> None:
    """A component of probability zero has no nodes; a quantile alone does not know how mass moves."""
    p, m, s = jnp.asarray([0.5, 0.0, 0.5]), jnp.asarray([-1.0, 0.0, 1.0]), jnp.zeros(3)
    slopes = jax.jit(jax.grad(_on_nodes, argnums=(0, 1)))(p, m, s)
    assert np.isnan(slopes[0]).tolist() == [False, True, False]
    assert np.isfinite(slopes[1]).all()
    with pytest.raises(ValueError, match="cannot be differentiated in its `probabilities`"):
        jax.grad(lambda p: mixture_quantile(p, m, s, jnp.asarray(0.3)))(p)
    assert jax.grad(lambda u: mixture_quantile(jnp.ones(1), jnp.zeros(1), jnp.ones(1), u))(0.5) == pytest.approx(
        np.sqrt(2 * np.pi)
    )
