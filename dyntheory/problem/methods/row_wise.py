"""Which optax transformations act row by row: proved from their program, and applied to a matrix and to its rows.

A first-order method sends each weight row through the same map. Adam, momentum, weight decay and schedules do that;
clipping by the global norm, block RMS, LARS and Adafactor couple the rows, and `add_noise` hides a random key.
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dyntheory.ground.arrays import Array, PyTree
from dyntheory.ground.programs.entries import ENTRIES, Dependence
from dyntheory.ground.programs.interpret import outcome, program, settled

# Gradients of several sizes, then as if that many steps had been taken, then a size that reaches any bound on a norm.
GRADIENTS: tuple[tuple[float, int | None], ...] = (
    *((size, None) for size in (1.0, 1e4, 1e-3)),
    *((1.0, count) for count in (10, 100, 1000, 10_000)),
    (1e12, None),
)
ROW_WISE_TOLERANCE = 1e-9


def init_row(optimizer: optax.GradientTransformation, row: Array) -> tuple[PyTree, Array]:
    """Return the state of one weight row: (optimizer state, the row)."""
    return optimizer.init(row), row


def update_row(
    optimizer: optax.GradientTransformation, state: tuple[PyTree, Array], gradient: Array
) -> tuple[PyTree, Array]:
    """Apply one update to a row (or to any pytree of parameters)."""
    optimizer_state, weights = state
    updates, optimizer_state = optimizer.update(gradient, optimizer_state, weights)
    return optimizer_state, jax.tree.map(lambda w, u: w + u, weights, updates)


def _hides_randomness(state: PyTree) -> bool:
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        is_key = isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        if is_key or "rng" in jax.tree_util.keystr(path).lower():
            return True
    return False


def check_row_wise(optimizer: optax.GradientTransformation, description: str, *, is_row_wise: bool = True) -> None:
    """Refuse an optimizer that is not the same map for every row; compute in double precision.

    Asked at gradients of several sizes, and as if many steps had been taken.

    Args:
        optimizer: the transformation.
        description: what it is called in messages.
        is_row_wise: False checks only that it runs from gradients alone and draws no random numbers.

    Raises:
        ValueError: it couples the rows, draws hidden random numbers, or needs more than gradient and parameters.
    """
    random = np.random.default_rng(0)
    weights = jnp.asarray(random.standard_normal((6, 3)))
    try:
        whole = init_row(optimizer, weights)
        rows = jax.vmap(lambda row: init_row(optimizer, row))(weights)
    except Exception as error:
        raise _not_runnable(description, error) from error
    if _hides_randomness(whole[0]):
        raise ValueError(
            f"The optimizer {description} draws random numbers of its own, so its effect depends on where a row "
            "stands. Remove the noise from the optimizer."
        )
    step = jax.jit(functools.partial(_both_steps, optimizer, is_row_wise=is_row_wise))
    for scale, count in GRADIENTS:
        gradient = scale * random.standard_normal((6, 3))
        if count is not None:
            whole, rows = _as_if_after(whole, count), _as_if_after(rows, count)
        try:
            whole, rows, defect = step(whole, rows, gradient)
        except Exception as error:
            raise _not_runnable(description, error) from error
        if is_row_wise:
            _check_defect(float(defect), description)
    if is_row_wise:
        _prove_row_wise(optimizer, weights, description)


def _prove_row_wise(optimizer: optax.GradientTransformation, weights: Array, description: str) -> None:
    """Refuse an optimizer whose program lets one row see another, at any step and at any size of the gradients."""
    rows = Dependence(axis=0)
    begin, state = program(lambda weights: init_row(optimizer, weights), weights)
    update, _ = program(lambda *arguments: update_row(optimizer, *arguments), state, weights)
    kinds, _ = settled(ENTRIES, lambda kinds: outcome(ENTRIES, update, [*kinds, rows]), outcome(ENTRIES, begin, [rows]))
    if kinds[-1].coupled_by:
        raise _not_row_wise(description, f"at some steps its `{kinds[-1].coupled_by}` runs over several rows")


def _both_steps(
    optimizer: optax.GradientTransformation, whole: PyTree, rows: PyTree, gradient: Array, *, is_row_wise: bool
) -> tuple[PyTree, PyTree, Array]:
    """Update a matrix, and its rows one by one; return by how much they differ, NaN where they are not finite."""
    whole = update_row(optimizer, whole, gradient)
    if not is_row_wise:
        return whole, rows, jnp.zeros(())
    rows = jax.vmap(lambda state, g: update_row(optimizer, state, g))(rows, gradient)
    size = jnp.max(jnp.abs(whole[1]))
    defect = jnp.max(jnp.abs(whole[1] - rows[1])) / size
    return whole, rows, jnp.where(jnp.isfinite(size), defect, jnp.nan)


def _as_if_after(state: tuple[PyTree, Array], count: int) -> tuple[PyTree, Array]:
    """Return a state whose counts of steps are larger: what couples the rows may wake up late."""

    def later(leaf: Array) -> Array:
        return jnp.full_like(leaf, count) if jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.integer) else leaf

    return jax.tree.map(later, state)


def _not_runnable(description: str, error: Exception) -> ValueError:
    """Return what an optimizer is refused with that asks for more than an array; it may raise anything."""
    return ValueError(
        f"The `optimizer` {description} cannot be run from gradient and parameters alone, which are one array each "
        f"(no trees of parameters, no masks by name): {error}"
    )


def check_descends(optimizer: optax.GradientTransformation, description: str) -> None:
    """Refuse an optimizer whose first step, from weights zero, goes along the gradient; compute in double precision.

    Raises:
        ValueError: it raises the loss, as with a negative learning rate.
    """
    weights = jnp.zeros((6, 3))
    gradient = jnp.asarray(np.random.default_rng(1).standard_normal(weights.shape))
    moved = update_row(optimizer, (optimizer.init(weights), weights), gradient)[1]
    if float(jnp.sum(moved * gradient)) > 0.0:
        raise ValueError(
            f"The optimizer {description} goes along the gradient, not against it: it would raise the loss. Its "
            "learning rate must be zero or positive; a bare transformation of gradients needs optax.scale(-η) after it."
        )


def _check_defect(defect: float, description: str) -> None:
    if math.isnan(defect):
        raise ValueError(
            f"The optimizer {description} gives updates that are not finite on ordinary gradients: check its numbers."
        )
    if defect > ROW_WISE_TOLERANCE:
        raise _not_row_wise(description, f"applied to a matrix and to its rows it differs by {defect:.1e} (relative)")


def _not_row_wise(description: str, reason: str) -> ValueError:
    return ValueError(
        f"The optimizer {description} is not row-wise: {reason}. Norms over the whole matrix (clip_by_global_norm, "
        "clip_by_block_rms, LARS, Adafactor) couple the rows; use an elementwise optimizer, clip(value) for clipping."
    )
