"""The tangent kernel of any function of parameters and inputs: Θ(x, x') = ∂f(x)/∂θ · ∂f(x')/∂θ.

Three ways, one result. A stack of dense layers is recognised from its program and needs no Jacobian. A function that
treats its rows one by one is contracted from their Jacobians, block by block. Anything else, batch statistics included,
goes through products with the kernel, column by column.

Reference: `jacot2018neural`, section 4, for the kernel; `novak2022fast` for its three computations.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array, ArrayLike, PyTree
from dyntheory.ground.checks import check_count, is_concrete
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.names import check_name
from dyntheory.kernels.empirical_dense import contract, layers_of
from dyntheory.kernels.empirical_products import check_rows, kernel_by_products, split_parameters
from dyntheory.kernels.jaxpr_rows import Plan, find_plan
from dyntheory.kernels.jaxpr_run import inlined
from dyntheory.kernels.precision import in_precision_of

METHODS = ("auto", "dense", "jacobian", "products")
JACOBIAN_BYTES = 2**28
ROW_ROUNDING = 300

Apply: TypeAlias = Callable[..., Any]


def empirical_ntk(
    apply: Apply,
    params: PyTree,
    x1: ArrayLike,
    x2: ArrayLike | None = None,
    *,
    trace: bool | None = None,
    diagonal: bool = False,
    method: str = "auto",
    block_size: int | None = None,
) -> Array:
    """Return the empirical neural tangent kernel of a function or flax module.

    Scaling:
        No factor is applied: parameters are those of `apply`, in its own parameterisation.

    Args:
        apply: (params, x) -> outputs (n,) or (n, o), for instance the `apply` of a flax module.
        params: a pytree. Held fixed are integer leaves, of flax variables {"params": …, "batch_stats": …} every
            collection but "params", and of nnx variables those that are not `nnx.Param`.
        x1: inputs, n1 rows, of any further shape.
        x2: inputs, n2 rows; default x1.
        trace: mean over outputs of Θ_oo, shape (n1, n2); the default unless `diagonal`. False gives the full kernel
            (n1, n2, o, o).
        diagonal: Θ_oo for every output, shape (n1, n2, o).
        method: "dense", "jacobian", "products", or "auto": the first of them that is right for this function. Inside
            jit, where values cannot be compared, "auto" is "dense" or "products".
        block_size: rows whose Jacobians "jacobian" holds at a time; default what 256 MiB hold.

    Returns:
        The kernel, in the precision of the outputs. Parameters that are float64 are computed with in float64, whatever
        JAX's flag says, and give NumPy arrays; float32 ones, as flax draws them, in JAX's precision.

    Raises:
        TypeError: complex parameters, or none that are floating.
        ValueError: outputs of another shape, a method that does not fit the function, or NaN or infinity in inputs.

    Example:
        >>> import jax.numpy as jnp
        >>> empirical_ntk(lambda w, x: jnp.tanh(x @ w), jnp.zeros(2), jnp.array([[1.0, 2.0], [3.0, 0.0]])).tolist()
        [[5.0, 3.0], [3.0, 9.0]]

    Reference: `jacot2018neural`, section 4.
    """
    check_arguments(empirical_ntk, locals())
    check_name("method", method, METHODS)
    block_size = None if block_size is None else check_count("block_size", block_size)
    form = _form(trace, diagonal)
    for name, inputs in (("x1", x1), ("x2", x2)):
        check_rows(name, inputs)
    return in_precision_of(params, lambda: _kernel(apply, params, x1, x2, form, method, block_size), by=(apply, x1, x2))


def _kernel(
    apply: Apply,
    params: PyTree,
    x1: ArrayLike,
    x2: ArrayLike | None,
    form: str,
    method: str,
    block_size: int | None,
) -> Array:
    """Return the kernel by the chosen method, in the precision in force."""
    leaves, rebuild = split_parameters(params)
    first = jnp.asarray(x1)
    second = None if x2 is None else jnp.asarray(x2)
    function = _Function(apply, rebuild)
    for name, inputs in (("x1", first),) if second is None else (("x1", first), ("x2", second)):
        check_outputs(name, function, leaves, inputs)
    chosen = _choose(method, apply, params, leaves, first, second)
    if chosen == "dense":
        return _dense(_static(apply), params, first, second, form)
    if chosen == "products":
        return _products(_static(apply), params, first, second, form)
    return _by_jacobians(apply, params, leaves, first, second, form, block_size)


class _Function:
    """`apply` as a function of the leaves that move."""

    def __init__(self, apply: Apply, rebuild: Callable[[list[Array]], PyTree]) -> None:
        self.apply, self.rebuild = apply, rebuild

    def __call__(self, leaves: list[Array], inputs: Array) -> Array:
        return self.apply(self.rebuild(leaves), inputs)


def _form(trace: bool | None, diagonal: bool) -> str:
    if diagonal and trace:
        raise ValueError("`trace` is the mean over the `diagonal`: ask for one of them.")
    if diagonal:
        return "diagonal"
    return "full" if trace is False else "trace"


def _static(apply: Apply) -> Apply:
    """Return something hashable that jit can keep programs for."""
    return apply if isinstance(apply, Hashable) and _hashes(apply) else lambda params, x: apply(params, x)


def _hashes(apply: Apply) -> bool:
    try:
        hash(apply)
    except TypeError:
        return False
    return True


def check_outputs(name: str, function: Callable[..., Any], leaves: list[Array], inputs: Array) -> None:
    """Require rows for which a function of the leaves that move has one output, or a vector of them.

    Raises:
        TypeError: `apply` cannot take the rows.
        ValueError: no rows, or outputs of another shape.
    """
    if inputs.ndim < 1 or len(inputs) == 0:
        raise ValueError(f"`{name}` must have one row per sample, got shape {inputs.shape}.")
    try:
        outputs = jax.eval_shape(function, leaves, inputs)
    except (TypeError, ValueError) as error:
        raise TypeError(f"`apply` failed on `{name}` of shape {inputs.shape}: {error}") from error
    if not hasattr(outputs, "shape") or len(outputs.shape) not in (1, 2) or outputs.shape[0] != len(inputs):
        shown = getattr(outputs, "shape", type(outputs).__name__)
        raise ValueError(f"`apply` must return (n,) or (n, o) for n = {len(inputs)} rows, it returned {shown}.")


def _plan(function: _Function, leaves: list[Array], inputs: Array) -> Plan | None:
    return find_plan(inlined(function, leaves, inputs), len(leaves))


def _choose(
    method: str,
    apply: Apply,
    params: PyTree,
    leaves: list[Array],
    first: Array,
    second: Array | None,
) -> str:
    inputs = [first] if second is None else [first, second]
    if method in ("auto", "dense"):
        if all(_is_dense(_static(apply), _signature(params), _signature(one)) for one in inputs):
            return "dense"
        if method == "dense":
            raise ValueError("`apply` is not a plain stack of dense layers: take method='auto'.")
    if method == "products":
        return "products"
    concrete = all(is_concrete(one) for one in (*leaves, *inputs))
    independent = concrete and all(_rows_are_independent(apply, params, one) for one in inputs)
    if method == "jacobian" and concrete and not independent:
        raise ValueError("The outputs of a row depend on other rows: take method='products', or 'auto'.")
    return "jacobian" if independent or method == "jacobian" else "products"


def _signature(tree: PyTree) -> Hashable:
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple((np.shape(leaf), jnp.result_type(leaf)) for leaf in leaves)


@functools.lru_cache(maxsize=64)
def _is_dense(apply: Apply, params: Any, inputs: Any) -> bool:
    """Return whether the program of `apply`, for arguments of these shapes, is a stack of dense layers."""
    structure, shapes = params
    tree = jax.tree.unflatten(structure, [jnp.zeros(shape, dtype) for shape, dtype in shapes])
    leaves, rebuild = split_parameters(tree)
    ((shape, dtype),) = inputs[1]
    return _plan(_Function(apply, rebuild), leaves, jnp.zeros(shape, dtype)) is not None


def _rows_are_independent(apply: Apply, params: PyTree, inputs: Array) -> bool:
    """Compare the gradient of a random combination of all outputs with and without the other rows in the batch.

    Jacobians that differ give different gradients for all combinations but a set of measure zero.
    """
    for gap, scale in _row_gaps(_static(apply), params, inputs):
        rounding = ROW_ROUNDING * float(jnp.finfo(gap.dtype).eps) * max(float(scale), float(jnp.finfo(gap.dtype).tiny))
        if not float(gap) <= rounding:
            return False
    return True


@functools.partial(jax.jit, static_argnames="apply")
def _row_gaps(apply: Apply, params: PyTree, inputs: Array) -> list[tuple[Array, Array]]:
    leaves, rebuild = split_parameters(params)
    function = _Function(apply, rebuild)
    weights = jax.random.normal(jax.random.key(0), jax.eval_shape(function, leaves, inputs).shape, leaves[0].dtype)

    def together(values: list[Array]) -> Array:
        return jnp.sum(weights * function(values, inputs))

    def apart(values: list[Array]) -> Array:
        return jnp.sum(weights * jax.vmap(lambda row: function(values, row[None])[0])(inputs))

    pairs = zip(jax.grad(together)(leaves), jax.grad(apart)(leaves), strict=True)
    return [(jnp.max(jnp.abs(one - two)), jnp.max(jnp.abs(two))) for one, two in pairs]


@functools.partial(jax.jit, static_argnames=("apply", "form"))
def _dense(apply: Apply, params: PyTree, first: Array, second: Array | None, form: str) -> Array:
    leaves, rebuild = split_parameters(params)
    layers = []
    for inputs in (first,) if second is None else (first, second):
        plan = _plan(_Function(apply, rebuild), leaves, inputs)
        assert plan is not None, "the program of `apply` changed between two calls"
        layers.append(layers_of(plan, leaves, inputs))
    return contract(layers[0], layers[-1], form)


@functools.partial(jax.jit, static_argnames=("apply", "form"))
def _products(apply: Apply, params: PyTree, first: Array, second: Array | None, form: str) -> Array:
    leaves, rebuild = split_parameters(params)
    return kernel_by_products(_Function(apply, rebuild), leaves, first, first if second is None else second, form)


def _by_jacobians(
    apply: Apply,
    params: PyTree,
    leaves: list[Array],
    first: Array,
    second: Array | None,
    form: str,
    block_size: int | None,
) -> Array:
    """Return the kernel from blocks of rows; a symmetric one from blocks on and above the diagonal."""
    outputs = jax.eval_shape(apply, params, first)
    per_row = sum(leaf.size for leaf in leaves) * (outputs.size // len(first)) * outputs.dtype.itemsize
    rows = block_size or max(1, JACOBIAN_BYTES // max(per_row, 1))
    above = [first[start : start + rows] for start in range(0, len(first), rows)]
    static = _static(apply)
    if second is not None:
        beside = [second[start : start + rows] for start in range(0, len(second), rows)]
        grid = [[_block(static, params, one, two, form) for two in beside] for one in above]
    else:
        grid = [[_block(static, params, one, two, form) for two in above[: i + 1]] for i, one in enumerate(above)]
        for i, row in enumerate(grid):
            row.extend(_mirrored(grid[j][i], form) for j in range(i + 1, len(grid)))
    return jnp.concatenate([jnp.concatenate(row, axis=1) for row in grid], axis=0)


def _mirrored(block: Array, form: str) -> Array:
    return block.transpose(1, 0, 3, 2) if form == "full" else jnp.swapaxes(block, 0, 1)


@functools.partial(jax.jit, static_argnames=("apply", "form"))
def _block(apply: Apply, params: PyTree, first: Array, second: Array, form: str) -> Array:
    leaves, rebuild = split_parameters(params)
    function = _Function(apply, rebuild)

    def jacobian(row: Array) -> list[Array]:
        return jax.jacrev(lambda values: function(values, row[None])[0].reshape(-1))(leaves)

    one, two = jax.vmap(jacobian)(first), jax.vmap(jacobian)(second)
    pattern = {"trace": "nop,mop->nm", "diagonal": "nop,mop->nmo", "full": "nop,mqp->nmoq"}[form]
    parts = [
        jnp.einsum(pattern, a.reshape(*a.shape[:2], -1), b.reshape(*b.shape[:2], -1), precision="highest")
        for a, b in zip(one, two, strict=True)
    ]
    total = sum(parts[1:], parts[0])
    return total / one[0].shape[1] if form == "trace" else total
