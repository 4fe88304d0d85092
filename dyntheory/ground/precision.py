"""Double precision for the verbs, whatever the user's global flag says.

Gram matrices of nearly parallel directions decide which innovations exist; float32 cannot tell them apart.
The flags are set for a block and restored, so nothing leaks into the caller's program.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import PyTree
from dyntheory.ground.identity.request import remember, request_of


@contextmanager
def full_products() -> Iterator[None]:
    """Return a context, or a decorator, in which products of float32 keep their digits, those of users' maps as well.

    GPUs and TPUs round the factors to ten bits or fewer unless they are asked not to.
    """
    with jax.default_matmul_precision("highest"):
        yield


@contextmanager
def double_precision() -> Iterator[None]:
    """Return a context in which JAX computes in float64, and what is float32 in it with `full_products`."""
    with jax.enable_x64(True), full_products():
        yield


def as_double(tree: PyTree) -> PyTree:
    """Convert every number to float64, integers included; call inside `double_precision`.

    What a factory was asked for is kept: the same numbers stand in another form.
    """

    def convert(leaf: PyTree) -> PyTree:
        return jnp.asarray(leaf, dtype=jnp.float64)

    def whole(node: PyTree) -> PyTree:
        asked = request_of(node)
        return convert(node) if asked is None else remember(jax.tree.map(convert, node), asked)

    return jax.tree.map(whole, tree, is_leaf=lambda node: request_of(node) is not None)


def abstract_array(shape: tuple[int, ...]) -> jax.ShapeDtypeStruct:
    """Return an array without values, for `jax.eval_shape`: of the floating type in force, float64 or float32.

    `jax.ShapeDtypeStruct(shape, float)` asks for float64 even where JAX has none, and newer versions warn.
    """
    return jax.ShapeDtypeStruct(shape, jnp.result_type(float))


def to_numpy(tree: PyTree) -> PyTree:
    """Return the same structure with NumPy leaves, waiting for the device."""
    return jax.tree.map(np.asarray, tree)
