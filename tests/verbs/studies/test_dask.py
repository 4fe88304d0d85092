"""A sweep on a Dask cluster whose worker dies at its first piece and is replaced; nothing is lost or done twice."""

import os
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import optax
import pytest

import dyntheory as dt

KEY = jax.random.key(3)
OVER = {"learning_rate": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]}
OPTIONS: dict[str, Any] = {"over": OVER, "num_steps": 2, "num_nodes": 2**10, "key": KEY}
LAW = dt.TeacherStudent(2.0, noise_std=0.3)
METHOD = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.3)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """One worker process on the loopback interface, and the next one when it dies."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the cluster's own dependencies
        from distributed import Client, LocalCluster

        options: dict[str, Any] = {"host": "127.0.0.1", "dashboard_address": None, "processes": True}
        with LocalCluster(n_workers=1, threads_per_worker=1, **options) as cluster, Client(cluster) as client:
            yield client


def deadly(flag: Path) -> Any:
    """Return an order parameter that kills the first worker process to trace it, and no other."""
    parent = os.getpid()

    def squared(shared: Any, h: Any, y: Any) -> Any:
        if os.getpid() != parent and not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return h**2

    return squared


@pytest.mark.filterwarnings("ignore")
def test_a_killed_worker_costs_nothing(client: Any, tmp_path: Path) -> None:
    flag = tmp_path / "died"
    told: list[str] = []
    found = dt.sweep(
        LAW,
        METHOD,
        record={"squared": deadly(flag)},
        executor=client.get_executor(),
        checkpoint=tmp_path / "pieces",
        progress=lambda fraction, text: told.append(text),
        **OPTIONS,
    )
    assert flag.exists()
    assert [text.split(",")[0] for text in told] == [f"{done} of 8 points" for done in (2, 4, 6, 8)]
    here = dt.sweep(LAW, METHOD, record={"squared": deadly(flag)}, **OPTIONS)
    assert found.drop_attrs().identical(here.drop_attrs())
