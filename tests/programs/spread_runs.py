"""Simulate with the runs spread over all devices and write the curves: `python spread_runs.py OUT [PORT RANK]`.

With PORT and RANK it is one of two processes of `jax.distributed` on this machine; rank 0 writes. The same ensemble on
one device stands beside it.
"""

import sys
from typing import Any

import jax
import numpy as np
import optax

import dyntheory as dt
from dyntheory.verbs.simulation import rounds

SIZES: dict[str, Any] = {"num_steps": 3, "num_features": 20, "num_runs": 10, "num_test_nodes": 2**6}


SHARES: list[int] = []
original = rounds.run_batch


def watched_batch(shared: Any, plan: Any, first: int, size: int, **more: Any) -> Any:
    """Note how many runs of a batch one device takes."""
    SHARES.append(size // plan.num_devices)
    return original(shared, plan, first, size, **more)


def main(out: str, port: str = "", rank: str = "") -> None:
    if port:
        jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=2, process_id=int(rank))
    law = dt.TeacherStudent(samples_per_feature=2.0, link="sin_mixture", noise_std=0.3)
    method = dt.gradient_descent(dt.MLP(hidden=(2,)), optax.sgd, learning_rate=0.5)
    mesh = jax.make_mesh((jax.device_count(),), ("runs",))
    rounds.run_batch = watched_batch
    spread = dt.simulate(law, method, key=jax.random.key(0), mesh=mesh, **SIZES)
    alone = dt.simulate(law, method, key=jax.random.key(0), **SIZES)
    if jax.process_index() == 0:
        assert spread.per_run is not None and alone.per_run is not None
        kept = {"spread": spread.per_run.test_error, "alone": alone.per_run.test_error}
        np.savez(out, shares=SHARES, mean=spread.test_error, **kept)


if __name__ == "__main__":
    main(*sys.argv[1:])
