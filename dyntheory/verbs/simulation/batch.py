"""Batches of runs as one compiled program: run i has the same data whatever the batch and the device it is in."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from dyntheory.dynamics.curves import Curves
from dyntheory.dynamics.finite_run import finite_run
from dyntheory.dynamics.observables import Record, rows_of
from dyntheory.gaussian.nodes import NodeSet
from dyntheory.ground.arrays import Array, Key, PyTree
from dyntheory.ground.compiling import compiled
from dyntheory.ground.devices import RUNS, gathered, spread
from dyntheory.problem.prepared import PreparedProblem
from dyntheory.verbs.simulation.matrix_choice import RunShape

BATCH_ENTRIES = 2**22  # numbers of all matrices of a batch; a larger run is a batch of its own
TOGETHER_ENTRIES = 2**19  # of runs advanced side by side, about what a core keeps close
MOST_TOGETHER = 16
ACCELERATOR_ENTRIES = 2**27  # the same on an accelerator, the nodes of the test error included


class Program(NamedTuple):
    """What is compiled: everything that all runs share and that is no array.

    Args:
        inputs: a name, a function, or None when rows are given.
        shape: sizes of a run.
        matrix: "dense" or "revealed".
        dtype: of a stored X.
        num_heads: H; run i has head i mod H.
        means: observables, recorded as means.
        mesh: devices to spread runs over, or None.
    """

    inputs: str | Callable[..., Any] | None
    shape: RunShape
    matrix: str
    dtype: str
    num_heads: int
    means: Record
    mesh: Mesh | None

    @property
    def num_devices(self) -> int:
        """How many devices share a batch."""
        return 1 if self.mesh is None else self.mesh.shape[RUNS]

    @property
    def most_together(self) -> int:
        """How many runs of a device are advanced side by side at most: few on a processor, many on an accelerator."""
        entries = self.shape.entries(self.matrix)
        if jax.default_backend() != "cpu":
            return max(1, ACCELERATOR_ENTRIES // (entries + self.shape.test_entries))
        return max(1, min(MOST_TOGETHER, TOGETHER_ENTRIES // entries))

    def batch_size(self, num_runs: int) -> int:
        """Return the size of equal batches that fit the budget: on every device equal groups of runs side by side."""
        fitting = max(1, BATCH_ENTRIES // self.shape.entries(self.matrix)) * self.num_devices
        num_batches = -(-num_runs // fitting)
        on_device = -(-num_runs // (num_batches * self.num_devices))
        num_groups = -(-on_device // self.most_together)
        return -(-on_device // num_groups) * num_groups * self.num_devices

    def together(self, on_device: int) -> int:
        """Return the size of those groups; one that did not divide the batch would be compiled a second time."""
        return on_device // -(-on_device // self.most_together)


class CommonArrays(NamedTuple):
    """The arrays that all runs share.

    Args:
        problem: law, method, heads, second moments.
        key: of the runs.
        rows: (N, d) to draw inputs from, or None.
        given: (W*, W⁰) to start from, or None.
        test_nodes: of the population error.
    """

    problem: PreparedProblem
    key: Key
    rows: Array | None
    given: tuple[Array, Array] | None
    test_nodes: NodeSet


def run_batch(common: CommonArrays, program: Program, first: int, size: int, *, end: int) -> Curves:
    """Return the runs first, ..., min(first + size, end) − 1 as NumPy arrays; the program is that of a whole batch."""
    indices = np.minimum(np.arange(first, first + size), end - 1)
    sharding = None if program.mesh is None else NamedSharding(program.mesh, PartitionSpec(RUNS))
    solved = gathered(_solve(common, spread(indices, sharding), program=program))
    return jax.tree.map(lambda leaf: leaf[: end - first], solved)


@functools.partial(compiled, static_argnames="program")
def _solve(common: CommonArrays, indices: Array, *, program: Program) -> Curves:
    part = functools.partial(_solve_part, program=program)
    if program.mesh is None:
        return part(common, indices)
    cut = PartitionSpec(RUNS)
    split = jax.shard_map(part, mesh=program.mesh, in_specs=(PartitionSpec(), cut), out_specs=cut, check_vma=False)
    return split(common, indices)


def _solve_part(common: CommonArrays, indices: Array, *, program: Program) -> Curves:
    law, method, heads, moment, _ = common.problem
    inputs = common.rows if program.inputs is None else program.inputs
    record = (*program.means, *(rows_of("preactivations") if program.shape.keep_preactivations else ()))

    def run_one(index: Array) -> Curves:
        return finite_run(
            law,
            method,
            _head(heads, index),
            moment,
            jax.random.fold_in(common.key, index),
            common.test_nodes,
            inputs=inputs,
            given=common.given,
            num_steps=program.shape.num_steps,
            sizes=program.shape.sizes,
            matrix=program.matrix,
            dtype=program.dtype,
            record=record,
        )

    together = program.together(len(indices))
    return jax.lax.map(run_one, indices, batch_size=together if together > 1 else None)


def _head(heads: tuple[PyTree, ...], index: Array) -> PyTree:
    if len(heads) == 1:
        return heads[0]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves)[index % len(heads)], *heads)
