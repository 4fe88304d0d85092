"""Traced numbers are found wherever a function or an object may hold them."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from dyntheory import kernels as k
from dyntheory.ground.tracing import is_traced


class Holder:
    def __init__(self, number: Any) -> None:
        self.number, self.itself = number, self

    def method(self, x: Any) -> Any:
        return self.number * x


HOLDERS: dict[str, Callable[[Any], Any]] = {
    "itself": lambda a: a,
    "a tree": lambda a: {"x": [1.0, (a, None)]},
    "a closure": lambda a: lambda x: a * x,
    "a closure in a closure": lambda a: functools.wraps(abs)(lambda x, f=lambda y: a * y: f(x)),
    "a default": lambda a: lambda x, b=a: b * x,
    "a partial": lambda a: functools.partial(jnp.multiply, a),
    "an object": Holder,
    "a method": lambda a: Holder(a).method,
    "a compiled function": lambda a: jax.jit(lambda x: a * x),
    "a network": lambda a: k.serial(k.dense(1, weight_std=a), k.relu()),
    "an activation": lambda a: k.serial(k.dense(1), k.leaky_relu(a)),
}


@pytest.mark.parametrize("name", HOLDERS)
def test_traced_numbers_are_found(name: str) -> None:
    seen = []
    for transform in (jax.jit, jax.grad, jax.vmap):
        number = jnp.ones(2) if transform is jax.vmap else 1.0

        def look(a: Any) -> Any:
            seen.append(is_traced(HOLDERS[name](a)))
            return a * 1.0

        transform(look)(number)
    assert all(seen) and len(seen) == 3
    assert not is_traced(HOLDERS[name](1.0))
