"""Predict on all devices and write the curves: `python spread_prediction.py OUT NETS STEPS [PORT RANK]`.

NETS groups of devices solve the node set and its sub-nets beside each other, each with its nodes spread over the group.
With PORT and RANK it is one of two processes of `jax.distributed` on this machine; rank 0 writes.
"""

import sys
from typing import Any

import jax
import numpy as np
import optax
from jax.sharding import Mesh

import dyntheory as dt
from dyntheory.verbs.prediction import pieces

SHARES: list[float] = []
next_piece = pieces._next_piece


def watched_piece(*arguments: Any) -> pieces.State:
    """Note which share of the basis one device of this process holds after a piece."""
    state = next_piece(*arguments)
    basis = state.carry.matrix_state.rows.space.basis
    SHARES.append(basis.addressable_shards[0].data.size / basis.size)
    return state


def main(out: str, nets: str, steps: str, port: str = "", rank: str = "") -> None:
    if port:
        jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=2, process_id=int(rank))
    shape = int(nets), jax.device_count() // int(nets)
    mesh = Mesh(np.reshape(jax.devices(), shape), ("nets", "nodes")) if jax.device_count() > 1 else None
    law = dt.TeacherStudent(samples_per_feature=2.0, link="sin_mixture", noise_std=0.3)
    method = dt.gradient_descent(dt.MLP(hidden=(2,)), optax.sgd, learning_rate=0.5)
    pieces._next_piece = watched_piece
    sizes: dict[str, Any] = {"num_steps": int(steps), "num_nodes": 2**13}
    result = dt.predict(law, method, key=jax.random.key(0), mesh=mesh, keep_preactivations=False, **sizes)
    if jax.process_index() == 0:
        errors = result.standard_error
        assert errors is not None
        np.savez(out, train=result.train_error, test=result.test_error, error=errors.test_error, shares=SHARES)


if __name__ == "__main__":
    main(*sys.argv[1:])
