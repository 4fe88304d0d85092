"""What is proved to keep entries apart keeps them apart: an entry that is disturbed leaves all others as they were."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyntheory.ground.precision import double_precision
from dyntheory.ground.programs.entries import ENTRIES, Dependence
from dyntheory.ground.programs.interpret import outcome, program

ROWS, COLUMNS = 5, 3
TABLE = np.linspace(0.0, 1.0, 8) ** 2
MIX = np.asarray([[0.5, 0.2, 0.1], [0.0, 0.9, 0.3], [0.4, 0.0, 0.7]])
BUFFER = np.zeros((4, ROWS, COLUMNS))


def _step(carry: Any, x: Any) -> Any:
    return carry + jnp.sin(x), carry


APART: dict[str, tuple[Callable[[Any], Any], int]] = {
    "entry by entry": (lambda x: jnp.where(x > 0, jnp.tanh(x), x**3), 0),
    "within rows": (lambda x: x / jnp.linalg.norm(x, axis=1, keepdims=True), 0),
    "product from the right": (lambda x: x @ MIX, 0),
    "product from the left": (lambda x: MIX @ x.T, 1),
    "batched product": (lambda x: jnp.einsum("ij,ij->i", x, x), 0),
    "outer products of rows": (lambda x: jnp.einsum("ij,ik->jik", x, x), 1),
    "transposed": (lambda x: jnp.moveaxis(x[None], 1, 2), 2),
    "reshaped": (lambda x: x.reshape(1, ROWS, COLUMNS, 1).squeeze(0), 0),
    "columns": (lambda x: x[:, ::2], 0),
    "one column": (lambda x: x[:, 1], 0),
    "a column by its place": (lambda x: jax.lax.dynamic_index_in_dim(x, 1, axis=1, keepdims=False), 0),
    "columns sorted": (lambda x: jnp.sort(x, axis=1)[:, ::-1], 0),
    "sums along rows": (lambda x: jnp.cumsum(x, axis=1), 0),
    "put together": (lambda x: jnp.concatenate([x, 2 * x, jnp.ones((ROWS, 1))], axis=1), 0),
    "padded": (lambda x: jnp.pad(x, ((0, 0), (1, 2))), 0),
    "split": (lambda x: jnp.split(x, 3, axis=1)[2], 0),
    "table": (lambda x: jnp.asarray(TABLE)[jnp.clip((3 * x).astype(int) + 4, 0, 7)], 0),
    "kept in a buffer": (lambda x: jnp.asarray(BUFFER).at[2].set(x)[2], 0),
    "chosen by what all share": (lambda x: jax.lax.cond(jnp.sum(jnp.ones(3)) > 2, jnp.sin, jnp.cos, x), 0),
    "scanned over columns": (lambda x: jax.lax.scan(_step, x[:, 0], x.T)[1], 1),
    "looped": (lambda x: jax.lax.fori_loop(0, 3, lambda i, y: jnp.sin(y) * (i + 1), x), 0),
    "guarded": (lambda x: jnp.where(jnp.all(jnp.isfinite(x)), x, 0.0), 0),
}
COUPLED: dict[str, Callable[[Any], Any]] = {
    "norm": lambda x: x / jnp.linalg.norm(x),
    "late norm": lambda x: x / jnp.maximum(1.0, jnp.linalg.norm(x) / 1e6),
    "product from the left": lambda x: jnp.ones((ROWS, ROWS)) @ x,
    "product of rows": lambda x: x @ x.T,
    "reversed": lambda x: x[::-1],
    "sorted": lambda x: jnp.sort(x, axis=0),
    "rolled": lambda x: jnp.roll(x, 1, axis=0),
    "running sum": lambda x: jnp.cumsum(x, axis=0),
    "flattened": lambda x: x.reshape(-1)[::2],
    "chosen by a sum": lambda x: jax.lax.cond(jnp.sum(x) > 1e9, jnp.sin, jnp.cos, x),
    "looped while large": lambda x: jax.lax.while_loop(lambda y: jnp.max(y) > 1e9, lambda y: 0.5 * y, x),
    "scanned over rows": lambda x: jax.lax.scan(_step, x[0], x)[1],
    "added to its transpose": lambda x: x[:3] + x[:3].T,
    "read at places of its own": lambda x: x[jnp.argmax(x, axis=0), jnp.arange(COLUMNS)],
    "guarded where roots are": lambda x: jnp.where(jnp.all(jnp.isfinite(jnp.sqrt(x))), x, 0.0),
    "guarded where large": lambda x: jnp.where(jnp.all(jnp.isfinite(jnp.where(x > 9, jnp.nan, x))), x, 0.0),
    "guarded at a pole": lambda x: jnp.where(jnp.all(jnp.isfinite(x**-1)), x, 0.0),
    "without a rule": lambda x: jnp.fft.fft(x, axis=1).real,
}


def _dependence(function: Callable[[Any], Any]) -> Dependence:
    with double_precision():
        closed, _ = program(function, jax.ShapeDtypeStruct((ROWS, COLUMNS), float))
    return outcome(ENTRIES, closed, [Dependence(axis=0)])[0]


@pytest.mark.parametrize("name", APART)
def test_entries_that_are_kept_apart_are_found_along_their_axis(name: str) -> None:
    function, axis = APART[name]
    assert _dependence(function)[:2] == (axis, "")
    inputs = np.random.default_rng(0).standard_normal((ROWS, COLUMNS))
    with double_precision():
        values = np.moveaxis(np.asarray(function(jnp.asarray(inputs))), axis, 0)
        for row in range(ROWS):
            disturbed = inputs.copy()
            disturbed[row] = np.random.default_rng(1 + row).uniform(2, 5, COLUMNS)
            found = np.moveaxis(np.asarray(function(jnp.asarray(disturbed))), axis, 0)
            assert np.array_equal(np.delete(found, row, 0), np.delete(values, row, 0))
            assert not np.array_equal(found[row], values[row])


@pytest.mark.parametrize("name", COUPLED)
def test_entries_that_may_see_each_other_are_found(name: str) -> None:
    assert _dependence(COUPLED[name]).coupled_by
