"""Roots: ends that close in on the sign change, all digits, derivatives of every order that has its step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyntheory.ground.root_finding import bisect, find_root, narrow

pytestmark = pytest.mark.usefixtures("double")


def test_the_ends_enclose_the_sign_change_and_halve() -> None:
    places = jnp.array([0.3, 0.5, 0.7])
    ends = jnp.zeros(3), jnp.ones(3)
    low, high = narrow(lambda x: x >= places, ends, num_steps=20)
    assert bool(jnp.all((low <= places) & (places <= high)))
    np.testing.assert_array_equal(high - low, np.full(3, 2.0**-20))
    assert high[1] == 0.5  # the change itself counts as above
    np.testing.assert_array_equal(bisect(lambda x: x >= places, ends, num_steps=20), (low + high) / 2)


@pytest.mark.parametrize("num_polishes", [0, 1, 2])
def test_one_order_of_derivatives_for_every_polish(num_polishes: int) -> None:
    """x³ = a: the second derivative −(2/9) a^{−5/3} needs two steps."""

    def root(a: jax.Array) -> jax.Array:
        ends = jnp.zeros_like(a), 1.0 + a
        return find_root(lambda x: x**3 - a, ends, num_bisections=70, num_polishes=num_polishes)

    a = jnp.asarray(2.0)
    derivatives = [root(a), jax.grad(root)(a), jax.grad(jax.grad(root))(a)]
    exact = [2 ** (1 / 3), 2 ** (-2 / 3) / 3, -2 / 9 * 2 ** (-5 / 3)]
    agrees = [bool(abs(one / other - 1) < 1e-12) for one, other in zip(derivatives, exact, strict=True)]
    assert agrees == [order <= num_polishes for order in range(3)]


def test_a_function_that_is_zero_everywhere_has_derivatives_too() -> None:
    """What a mask leaves where no root exists must not turn derivatives into NaN."""
    ends = jnp.zeros(()), jnp.ones(())
    slope = jax.grad(lambda a: find_root(lambda x: 0.0 * a * x, ends, num_bisections=5, num_polishes=2))(1.0)
    assert slope == 0
