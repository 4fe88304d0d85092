"""How lazy is a run? The tangent kernel along training, against the one it started with.

A network trains lazily when Θ stays where it was: then its outputs follow the linearised model of `train`. Reported are
the relative change ‖Θ_t − Θ_0‖/‖Θ_0‖ (Frobenius), the angle between Θ_t and Θ_0 as 1 − ⟨Θ_t, Θ_0⟩/(‖Θ_t‖ ‖Θ_0‖), which
a mere rescaling leaves at zero, the alignment with the labels yᵀ Θ_t y/(‖Θ_t‖ ‖y‖²), and how far parameters moved.

Reference: `fort2020deep` for the kernel distance; `chizat2019lazy` for lazy training.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax.numpy as jnp

from dyntheory.ground.arrays import Array, ArrayLike, Progress, PyTree
from dyntheory.kernels.empirical import Apply, empirical_ntk
from dyntheory.kernels.empirical_products import split_parameters


class KernelEvolution(NamedTuple):
    """One entry per checkpoint, shape (T,), the first of them the start; `alignment` is None without labels."""

    relative_change: Array
    distance: Array
    alignment: Any
    parameter_change: Array

    @property
    def laziness(self) -> Array:
        """Largest relative change of the kernel: 0 is lazy, of order one is feature learning."""
        return jnp.max(self.relative_change)


def kernel_evolution(
    apply: Apply,
    checkpoints: Iterable[PyTree],
    x: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    method: str = "auto",
    progress: Progress | None = None,
) -> KernelEvolution:
    """Measure how the empirical tangent kernel changes along training.

    Args:
        apply: (params, x) -> outputs, as for `empirical_ntk`.
        checkpoints: parameters along training, the first at the start; any iterable, one is held at a time.
        x: inputs on which kernels are compared, n rows; a few hundred are enough.
        labels: (n,) or (n, o), for the alignment with the traced kernel.
        method: of `empirical_ntk`.
        progress: called with (0, what is being done) before every checkpoint.

    Returns:
        Changes of the traced kernel at every checkpoint.

    Raises:
        ValueError: no checkpoints, or labels of another length.

    Example:
        >>> import jax.numpy as jnp
        >>> path = [jnp.ones(2), 2 * jnp.ones(2)]
        >>> kernel_evolution(lambda w, x: x @ w**2 / 2, path, jnp.eye(2)).relative_change.tolist()
        [0.0, 3.0]
    """
    inputs = jnp.asarray(x)
    targets = None if labels is None else jnp.asarray(labels)
    if targets is not None and (targets.ndim not in (1, 2) or len(targets) != len(inputs)):
        raise ValueError(f"`labels` must have shape (n,) or (n, o) with n = {len(inputs)}, got {targets.shape}.")
    rows: list[tuple[Array, ...]] = []
    start: Any = None
    for number, params in enumerate(checkpoints):
        if progress is not None:
            progress(0.0, f"checkpoint {number}")
        kernel = empirical_ntk(apply, params, inputs, method=method)
        start = (kernel, params) if start is None else start
        rows.append((*_compare(kernel, start[0]), *_alignment(kernel, targets), _moved(params, start[1])))
    if not rows:
        raise ValueError("`checkpoints` must hold the parameters at the start and later ones, it is empty.")
    columns = [jnp.stack(column) for column in zip(*rows, strict=True)]
    alignment = None if targets is None else columns[2]
    return KernelEvolution(columns[0], columns[1], alignment, columns[-1])


def _compare(kernel: Array, start: Array) -> tuple[Array, Array]:
    """Return relative change and angular distance; the latter from unit matrices, which does not cancel."""
    sizes = jnp.linalg.norm(kernel), jnp.linalg.norm(start)
    apart = jnp.linalg.norm(kernel / sizes[0] - start / sizes[1])
    return jnp.linalg.norm(kernel - start) / sizes[1], apart**2 / 2


def _alignment(kernel: Array, targets: Array | None) -> tuple[Array, ...]:
    if targets is None:
        return ()
    columns = targets.reshape(len(kernel), -1)
    return (jnp.sum(columns * (kernel @ columns)) / (jnp.linalg.norm(kernel) * jnp.sum(columns**2)),)


def _moved(params: PyTree, start: PyTree) -> Array:
    """Return ‖θ_t − θ_0‖/‖θ_0‖ over the parameters that the kernel is of; the bare distance from a start at zero."""
    now, then = (split_parameters(tree)[0] for tree in (params, start))
    change = sum((jnp.sum((jnp.asarray(one) - two) ** 2) for one, two in zip(now, then, strict=True)), jnp.zeros(()))
    size = sum((jnp.sum(jnp.asarray(two) ** 2) for two in then), jnp.zeros(()))
    return jnp.sqrt(change / jnp.where(size > 0, size, 1.0))
