"""How lazy is a run? The tangent kernel along training, against the one it started with.

A network trains lazily when Θ stays where it was: then its outputs follow the linearised model of `train`. Reported are
the relative change ‖Θ_t − Θ_0‖/‖Θ_0‖ (Frobenius), the angle between Θ_t and Θ_0 as 1 − ⟨Θ_t, Θ_0⟩/(‖Θ_t‖ ‖Θ_0‖), which
a mere rescaling leaves at zero, the alignment with the labels yᵀ Θ_t y/(‖Θ_t‖ ‖y‖²), and how far parameters moved.

Reference: `fort2020deep` for the kernel distance; `chizat2019lazy` for lazy training.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array, ArrayLike, Progress, PyTree
from dyntheory.ground.tracing import is_traced
from dyntheory.kernels.empirical import Apply, empirical_ntk
from dyntheory.kernels.empirical_products import check_rows, split_parameters
from dyntheory.kernels.precision import in_precision_of, real_array


class KernelEvolution(NamedTuple):
    """One entry per checkpoint, shape (T,), the first of them the start; `alignment` is None without labels."""

    relative_change: Any
    distance: Any
    alignment: Any
    parameter_change: Any

    @property
    def laziness(self) -> Any:
        """Largest relative change of the kernel: 0 is lazy, of order one is feature learning."""
        return self.relative_change.max()


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
        ValueError: no checkpoints, labels of another length, or NaN or infinity in inputs or labels.

    Example:
        >>> import jax.numpy as jnp
        >>> path = [jnp.ones(2), 2 * jnp.ones(2)]
        >>> kernel_evolution(lambda w, x: x @ w**2 / 2, path, jnp.eye(2)).relative_change.round(9).tolist()
        [0.0, 3.0]
    """
    if labels is not None:
        check_rows("labels", labels)
        shape, num_rows = np.shape(labels), np.shape(x)[0]
        if len(shape) not in (1, 2) or shape[0] != num_rows:
            raise ValueError(f"`labels` must have shape (n,) or (n, o) with n = {num_rows}, got {shape}.")
    rows: list[tuple[Array, ...]] = []
    start: Any = None
    for number, params in enumerate(checkpoints):
        if progress is not None:
            progress(0.0, f"checkpoint {number}")
        now = empirical_ntk(apply, params, x, method=method), params
        start = now if start is None else start
        rows.append(in_precision_of((0.0, now, start, labels), functools.partial(_changes, now, start, labels)))
    if not rows:
        raise ValueError("`checkpoints` must hold the parameters at the start and later ones, it is empty.")
    stack: Any = jnp.stack if is_traced(rows) else np.stack
    columns = [stack(column) for column in zip(*rows, strict=True)]
    return KernelEvolution(columns[0], columns[1], None if labels is None else columns[2], columns[-1])


def _changes(now: tuple[Any, PyTree], start: tuple[Any, PyTree], labels: ArrayLike | None) -> tuple[Array, ...]:
    """Return what one checkpoint, its kernel and its parameters, differs in from the start."""
    kernel, first = (jnp.asarray(one, jnp.result_type(float)) for one in (now[0], start[0]))
    alignment = () if labels is None else (_alignment(kernel, real_array("labels", labels)),)
    return (*_compare(kernel, first), *alignment, _moved(now[1], start[1]))


def _compare(kernel: Array, start: Array) -> tuple[Array, Array]:
    """Return relative change and angular distance; the latter from unit matrices, which does not cancel."""
    sizes = jnp.linalg.norm(kernel), jnp.linalg.norm(start)
    apart = jnp.linalg.norm(kernel / sizes[0] - start / sizes[1])
    return jnp.linalg.norm(kernel - start) / sizes[1], apart**2 / 2


def _alignment(kernel: Array, targets: Array) -> Array:
    columns = targets.reshape(len(kernel), -1)
    return jnp.sum(columns * (kernel @ columns)) / (jnp.linalg.norm(kernel) * jnp.sum(columns**2))


def _moved(params: PyTree, start: PyTree) -> Array:
    """Return ‖θ_t − θ_0‖/‖θ_0‖ over the parameters that the kernel is of; the bare distance from a start at zero."""
    now, then = (
        [jnp.asarray(leaf, jnp.result_type(float)) for leaf in split_parameters(tree)[0]] for tree in (params, start)
    )
    change = sum((jnp.sum((one - two) ** 2) for one, two in zip(now, then, strict=True)), jnp.zeros(()))
    size = sum((jnp.sum(two**2) for two in then), jnp.zeros(()))
    return jnp.sqrt(change / jnp.where(size > 0, size, 1.0))
