"""Products with the tangent kernel that never form it: one pass backwards, one forwards.

Θ(X1, X2) v = J(X1) J(X2)ᵀ v. Nothing is assumed about the function: rows of a batch may depend on each other. The pass
forwards is the transpose of one backwards, so that functions with a backward rule of their own are served too.

Reference: `novak2022fast`, for kernels from such products.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array, ArrayLike, PyTree
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.tracing import is_traced
from dyntheory.kernels.precision import in_precision_of, require_finite

PARAMETERS = "params"


def split_parameters(params: PyTree) -> tuple[list[Array], Callable[[list[Array]], PyTree]]:
    """Return the real floating leaves that are parameters, and a function that puts them back among the others.

    Of flax variables, {"params": …, "batch_stats": …}, only the collection "params" is parameters; of nnx variables
    only those of type `nnx.Param`. Of any other tree all floating leaves are.

    Raises:
        TypeError: a leaf is complex, or none that is a parameter is real and floating.
    """
    leaves, structure = jax.tree.flatten(params)
    arrays = [jnp.asarray(leaf) if isinstance(leaf, int | float | complex) else leaf for leaf in leaves]
    if any(jnp.issubdtype(leaf.dtype, jnp.complexfloating) for leaf in arrays):
        raise TypeError("`params` must be real: split complex parameters into real and imaginary parts.")
    chosen = zip(arrays, _are_parameters(params), strict=True)
    moving = [index for index, (leaf, moves) in enumerate(chosen) if moves and jnp.issubdtype(leaf.dtype, jnp.floating)]
    if not moving:
        raise TypeError(
            "`params` must hold floating-point arrays, it holds none (of flax variables, in the collection "
            f"{PARAMETERS!r}, which alone is differentiated)."
        )

    def rebuild(values: list[Array]) -> PyTree:
        new = list(arrays)
        for index, value in zip(moving, values, strict=True):
            new[index] = value
        return jax.tree.unflatten(structure, new)

    return [arrays[index] for index in moving], rebuild


def _are_parameters(params: PyTree) -> list[bool]:
    """Return for every leaf whether it is a parameter, and not state beside the parameters."""
    nnx = sys.modules.get("flax.nnx")
    if nnx is not None:
        nodes = jax.tree.leaves(params, is_leaf=lambda node: isinstance(node, nnx.Variable))
        if any(isinstance(node, nnx.Param) for node in nodes):
            return [isinstance(node, nnx.Param) for node in nodes for _ in jax.tree.leaves(node)]
    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(params)[0]]
    if isinstance(params, Mapping) and PARAMETERS in params:
        return [getattr(path[0], "key", None) == PARAMETERS for path in paths]
    return [True] * len(paths)


def ntk_product(
    apply: Callable[..., Any],
    params: PyTree,
    x1: ArrayLike,
    vector: ArrayLike,
    x2: ArrayLike | None = None,
) -> Array:
    """Return Θ(x1, x2) v without forming Θ: the cost of two passes through the network.

    Use it as the kernel of `solve`, with labels of shape (n, o) flattened or one output.

    Args:
        apply: (params, x) -> outputs (n,) or (n, o).
        params: a pytree, as for `empirical_ntk`.
        x1: inputs, n1 rows.
        vector: v, of the shape of the outputs on x2.
        x2: inputs, n2 rows; default x1.

    Returns:
        An array of the shape of the outputs on x1.

    Raises:
        TypeError: complex parameters, or none that are floating.
        ValueError: the vector does not have the shape of the outputs, or NaN or infinity.

    Example:
        >>> import jax.numpy as jnp
        >>> ntk_product(lambda w, x: x @ w, jnp.ones(2), jnp.eye(2), jnp.array([1.0, 2.0])).tolist()
        [1.0, 2.0]
    """
    check_arguments(ntk_product, locals())
    for name, inputs in (("x1", x1), ("x2", x2), ("vector", vector)):
        check_rows(name, inputs)
    inputs = apply, x1, vector, x2
    return in_precision_of(params, lambda: _product(apply, params, x1, vector, x2), by=inputs)


def check_rows(name: str, value: ArrayLike | None) -> None:
    """Require numbers without NaN and infinity where they can be looked at."""
    if value is not None and not is_traced(value):
        require_finite(name, value if isinstance(value, jax.Array) else np.asarray(value))


def _product(
    apply: Callable[..., Any], params: PyTree, x1: ArrayLike, vector: ArrayLike, x2: ArrayLike | None
) -> Array:
    leaves, rebuild = split_parameters(params)
    first = jnp.asarray(x1)
    second = first if x2 is None else jnp.asarray(x2)
    for name, rows in (("x1", first), ("x2", second)):
        try:
            jax.eval_shape(lambda values, rows: apply(rebuild(values), rows), leaves, rows)
        except (TypeError, ValueError) as error:
            raise TypeError(f"`apply` failed on `{name}` of shape {rows.shape}: {error}") from error
    outputs, pull = jax.vjp(lambda values: apply(rebuild(values), second), leaves)
    cotangent = jnp.asarray(vector, outputs.dtype)
    if cotangent.shape != outputs.shape:
        raise ValueError(f"`vector` must have the shape of the outputs, {outputs.shape}, got {cotangent.shape}.")
    (tangent,) = pull(cotangent)
    return _push(lambda values: apply(rebuild(values), first), leaves, tangent)


def _push(function: Callable[[list[Array]], Array], leaves: list[Array], tangent: list[Array]) -> Array:
    """Return J t, as the transpose of u -> Jᵀ u."""
    outputs, pull = jax.vjp(function, leaves)
    return jax.vjp(lambda cotangent: pull(cotangent)[0], jnp.zeros_like(outputs))[1](tangent)[0]


def kernel_by_products(
    function: Callable[[list[Array], Array], Array], leaves: list[Array], first: Array, second: Array, form: str
) -> Array:
    """Return the kernel column by column, n2 · o products one after the other."""
    outputs, pull = jax.vjp(lambda values: function(values, second), leaves)
    num_rows, shape = len(outputs), outputs.shape
    num_outputs = outputs.size // num_rows

    def column(index: Array) -> Array:
        cotangent = jax.nn.one_hot(index, outputs.size, dtype=outputs.dtype).reshape(shape)
        (tangent,) = pull(cotangent)
        product = _push(lambda values: function(values, first), leaves, tangent)
        product = product.reshape(len(first), num_outputs)
        return product if form == "full" else jnp.take(product, index % num_outputs, axis=1)

    columns = jax.lax.map(column, jnp.arange(outputs.size))
    if form == "full":
        split = columns.reshape(num_rows, num_outputs, len(first), num_outputs)
        return split.transpose(2, 0, 3, 1)
    split = columns.reshape(num_rows, num_outputs, len(first)).transpose(2, 0, 1)
    return split if form == "diagonal" else jnp.mean(split, axis=2)
