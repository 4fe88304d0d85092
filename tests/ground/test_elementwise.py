"""What is not a scalar function is refused wherever an activation, or another scalar function, is taken."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dyntheory as dt
from dyntheory import closed_forms, kernels
from dyntheory.closed_forms.margin_losses import margin_loss
from dyntheory.ground.elementwise import check_elementwise
from dyntheory.ground.precision import double_precision
from dyntheory.kernels.quadrature import truncation_error
from dyntheory.problem.laws.priors import QuantilePrior
from dyntheory.problem.networks.activations import Activation

COUPLED: dict[str, Callable[..., Any]] = {
    "softmax": jax.nn.softmax,
    "log_softmax": jax.nn.log_softmax,
    "norm": lambda z: z / jnp.linalg.norm(z),
    "mean": lambda z: z - jnp.mean(z),
    "mean of an axis": lambda z: z - jnp.mean(z, axis=0, keepdims=True),
    "cumsum": jnp.cumsum,
    "cumsum of an axis": lambda z: jnp.cumsum(z, axis=-1),
    "sort": jnp.sort,
    "reversed": lambda z: z[::-1],
    "by place": lambda z: z * jnp.arange(1.0, z.shape[-1] + 1),
    "dropout": lambda z: jnp.where(jax.random.bernoulli(jax.random.key(0), 0.5, z.shape), z, 0.0),
    "gated": lambda z: z[..., : z.shape[-1] // 2],
    "of one size": lambda z: z * jnp.ones(7),
    "sum": jnp.sum,
    "large norm": lambda z: z / jnp.maximum(1.0, jnp.linalg.norm(z) / 1e3),
    "large mean": lambda z: jnp.where(jnp.abs(jnp.mean(z)) > 1e3, 0.0, z),
}
SCALAR: dict[str, Callable[..., Any]] = {
    "tanh": jnp.tanh,
    "gelu": jax.nn.gelu,
    "relu": jax.nn.relu,
    "undefined below zero": jnp.log,
    "pole": lambda z: 1 / z,
    "large": lambda z: jnp.exp(20 * z),
    "constant": jnp.ones_like,
    "table": lambda z: jnp.interp(z, jnp.arange(5.0), jnp.arange(5.0) ** 2),
    "pieces": lambda z: jnp.piecewise(z, [z < 0, z >= 1], [0.0, jnp.sin, jnp.cos]),
    "mapped": lambda z: jnp.vectorize(lambda x: jax.lax.cond(x > 0, jnp.sin, jnp.cos, x))(z),
    "loop": lambda z: jax.lax.fori_loop(0, 3, lambda _, x: jnp.sin(x), z),
}


@pytest.mark.parametrize("name", COUPLED)
def test_functions_that_couple_entries_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"`activation` must act (on every entry alone|entry by entry)"):
        check_elementwise("activation", COUPLED[name])


@pytest.mark.parametrize("name", SCALAR)
def test_scalar_functions_pass(name: str) -> None:
    check_elementwise("activation", SCALAR[name])


PLACES: dict[str, Callable[[Any], Any]] = {
    "elementwise": kernels.elementwise,
    "truncation_error": lambda f: truncation_error(f, 1.0),
    "MLP": lambda f: dt.MLP((3,), activation=f),
    "MLP by an Activation": lambda f: dt.MLP((3,), activation=Activation("own", f)),
    "hermite_coefficients": closed_forms.hermite_coefficients,
    "random_features": lambda f: closed_forms.random_features(1.0, 3.0, penalty=1e-3, activation=f),
    "edge_of_chaos": closed_forms.edge_of_chaos,
    "a law of labels": lambda f: closed_forms.convex_erm(2.0, penalty=0.1, teacher=f),
    "a prior": QuantilePrior,
    "a loss": lambda f: margin_loss(f, lambda w, v: w + 0 * v),
    "a proximal operator": lambda f: margin_loss(jnp.square, lambda w, v: f(w) + 0 * v),
}


@pytest.mark.parametrize("place", PLACES)
def test_softmax_is_refused_everywhere(place: str) -> None:
    """Negative control of all: each of these gave a number, or an object that would have given one."""
    with pytest.raises(ValueError, match="must act on every entry alone"):
        PLACES[place](jax.nn.softmax)


@pytest.mark.parametrize("place", PLACES)
def test_numpy_functions_are_refused_with_a_hint(place: str) -> None:
    hint = "" if place == "a proximal operator" else r".*take jnp\.tanh"  # it is not the function itself
    with pytest.raises(TypeError, match="must be written in JAX" + hint):
        PLACES[place](np.tanh)


@pytest.mark.parametrize("function", [math.tanh, lambda z: z if z > 0 else 0.1 * z], ids=["math", "if"])
def test_other_python_functions_say_what_they_need(function: Callable[..., Any]) -> None:
    with pytest.raises((TypeError, ValueError), match="`activation` must"):
        dt.MLP((3,), activation=function)
    with pytest.raises(TypeError, match="`function` must be a function"):
        kernels.elementwise("tanh")  # pyright: ignore[reportArgumentType]


def test_functions_with_traced_numbers_pass_and_differentiate() -> None:
    def variance(slope: Any) -> Any:
        return kernels.elementwise(lambda z: jnp.tanh(slope * z)).dual.second_moment(jnp.ones(()))

    with double_precision():
        found = jax.jit(jax.grad(variance))(0.7)
        np.testing.assert_allclose(found, (variance(0.7 + 1e-5) - variance(0.7 - 1e-5)) / 2e-5, rtol=1e-8)
