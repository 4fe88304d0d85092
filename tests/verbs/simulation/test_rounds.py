"""Large ensembles: interrupted and resumed to the same bits, ended by an error asked for, spread over devices."""

import functools
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.ground import checkpoint as checkpoint_module
from dyntheory.ground.claimed_folder import CheckpointError
from dyntheory.ground.devices import run_mesh
from dyntheory.problem.shape import Sizes
from dyntheory.verbs.simulation import batch, rounds
from dyntheory.verbs.simulation.matrix_choice import MatrixChoice, RunShape, choose_matrix
from tests import PROGRAMS, ROOT
from tests.verbs.killing import Killed, die_after

PROGRAM = PROGRAMS / "spread_runs.py"
LAW = dt.TeacherStudent(2.0, "sin_mixture", 0.3)
METHOD = dt.gradient_descent(dt.MLP((2,)), optax.sgd, learning_rate=0.3)
SIZES: dict[str, Any] = {"num_steps": 3, "num_features": 16, "num_test_nodes": 2**6, "key": jax.random.key(5)}
simulate = functools.partial(dt.simulate, LAW, METHOD, **SIZES)


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten runs a batch."""
    monkeypatch.setattr(batch, "BATCH_ENTRIES", 10 * 32 * 16)


def _count_batches(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    made: list[tuple[int, int]] = []
    original = batch.run_batch

    def counted(shared: Any, plan: Any, first: int, size: int, *, end: int) -> Any:
        made.append((first, min(first + size, end)))
        return original(shared, plan, first, size, end=end)

    monkeypatch.setattr(rounds, "run_batch", counted)
    return made


@pytest.mark.parametrize("options", [{"num_runs": 26}, {"num_runs": 20, "num_heads": 2, "rtol": 0.05}])
def test_an_interrupted_ensemble_loses_and_repeats_no_run(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_module, "INTERVAL", 0.0)
    whole = simulate(**options)
    made = _count_batches(monkeypatch)
    for killed in (1, 1):
        with monkeypatch.context() as patch:
            die_after(patch, killed)
            with pytest.raises(Killed):
                simulate(checkpoint=tmp_path / "runs", resume=bool(made), **options)
    resumed = simulate(checkpoint=tmp_path / "runs", resume=True, **options)
    num_runs = resumed.provenance["num_runs"]
    assert [first for first, _ in made] == [0, *(end for _, end in made[:-1])] and made[-1][1] == num_runs
    for ours, theirs in zip(jax.tree.leaves(vars(resumed)), jax.tree.leaves(vars(whole)), strict=True):
        if isinstance(ours, dt.Trajectory):
            assert isinstance(theirs, dt.Trajectory)
            np.testing.assert_array_equal(ours.test_error, theirs.test_error)
            np.testing.assert_array_equal(ours.weight_overlap, theirs.weight_overlap)
        elif isinstance(ours, np.ndarray):
            np.testing.assert_array_equal(ours, theirs)
    before = len(made)
    again = simulate(checkpoint=tmp_path / "runs", resume=True, **options)
    assert len(made) == before
    np.testing.assert_array_equal(again.test_error, whole.test_error)


def test_other_ensembles_are_refused_by_name(tmp_path: Path) -> None:
    simulate(num_runs=4, checkpoint=tmp_path)
    with pytest.raises(CheckpointError, match="pass resume=True"):
        simulate(num_runs=4, checkpoint=tmp_path)
    with pytest.raises(CheckpointError, match="max_runs, num_runs changed"):
        simulate(num_runs=5, checkpoint=tmp_path, resume=True)
    with pytest.raises(CheckpointError, match="keep_runs changed"):
        simulate(num_runs=4, checkpoint=tmp_path, resume=True, keep_runs=False)
    with pytest.raises(CheckpointError, match="inputs, sizes changed"):
        simulate(num_runs=4, checkpoint=tmp_path, resume=True, inputs="uniform")
    with pytest.raises(ValueError, match="`resume` needs `checkpoint`"):
        simulate(num_runs=4, resume=True)


def test_runs_are_added_until_the_error_is_reached() -> None:
    runs = simulate(num_runs=10, rtol=0.02)
    error = runs.standard_error
    assert runs.status.ok and error is not None and runs.provenance["num_runs"] > 10
    for name in ("train_error", "test_error"):
        value = getattr(runs, name)
        assert np.max(getattr(error, name) / np.maximum(value, 1e-3 * value[0])) <= 0.02
    with pytest.warns(dt.DyntheoryWarning, match="raise `max_runs`"):
        short = simulate(num_runs=10, rtol=1e-4, max_runs=20)
    assert short.status.code == "unresolved" and short.provenance["num_runs"] == 20
    with pytest.raises(ValueError, match="at most `max_runs` = 5"):
        simulate(num_runs=10, rtol=0.02, max_runs=5)


def test_memory_does_not_grow_with_the_runs() -> None:
    """The state of an ensemble that keeps no single runs has the same size after ten times as many."""
    from dyntheory.verbs.simulation.ensemble import Ensemble

    sizes = []
    for num_runs in (10, 100):
        seen: list[int] = []
        add = Ensemble.add

        def watched(self: Ensemble, solved: Any, add: Any = add, seen: list[int] = seen) -> None:
            add(self, solved)
            state = {name: value for name, value in self.state().items() if name != "diverged_at"}
            seen.append(sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(state)))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Ensemble, "add", watched)
            runs = simulate(num_runs=num_runs, keep_runs=False, keep_preactivations=False)
        assert runs.per_run is None and runs.recorded_preactivations is None and runs.standard_error is not None
        sizes.append(seen[-1])
    assert sizes[0] == sizes[1]
    kept = simulate(num_runs=10)
    assert kept.per_run is not None and kept.covariance is not None
    np.testing.assert_allclose(kept.covariance["test_error"], np.cov(kept.per_run.test_error, rowvar=False), rtol=1e-8)


def test_runs_at_two_sizes_share_no_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same key at d and 2d, at one n: label noise would be the same without the sizes in the key."""
    from dyntheory.verbs.simulation.simulate import _key_of_runs

    key = jax.random.key(0)
    keys = [_key_of_runs(key, Sizes(*sizes)) for sizes in ((20, 0, 10), (20, 0, 20), (40, 0, 10))]
    draws = np.stack([np.asarray(jax.random.normal(one, (400,))) for one in keys])
    assert np.abs(np.corrcoef(draws)[np.triu_indices(3, 1)]).max() < 4 / np.sqrt(400)


def test_what_does_not_fit_is_refused_with_the_way_out() -> None:
    large = {**SIZES, "num_features": 100, "num_runs": 2, "num_test_nodes": 2, "max_memory": 200_000}
    with pytest.raises(ValueError, match=r'GB \(X has 200 × 100 .*matrix="revealed".*dtype="float32".*`max_memory`'):
        dt.simulate(LAW, METHOD, **large)
    shape = RunShape(Sizes(280, 0, 140), 20, 2, 1, 2)
    assert shape.cost("dense") < shape.cost("revealed")
    assert choose_matrix(MatrixChoice("auto", "gaussian", "float64", 10**9), shape) == "dense"
    assert choose_matrix(MatrixChoice("auto", "gaussian", "float64", 650_000), shape) == "revealed"
    with pytest.raises(ValueError, match=r"directions of 32 \+ 16 numbers.*lower `num_features` or `num_steps`"):
        simulate(num_runs=2, max_memory=1000, matrix="auto")
    with pytest.raises(ValueError, match="needs float64"):
        simulate(num_runs=2, matrix="revealed", dtype="float32")


def test_single_precision_is_close_and_says_so() -> None:
    rows = np.random.default_rng(0).standard_normal((60, 16)).astype(np.float32)
    with pytest.warns(dt.DyntheoryWarning, match="whiten"):
        exact, close = (simulate(num_runs=2, dtype=name, inputs=rows) for name in ("float64", "float32"))
    assert (exact.provenance["dtype"], close.provenance["dtype"]) == ("float64", "float32")
    assert close.test_error is not None and close.test_error.dtype == np.float64
    difference = np.abs(np.asarray(close.train_error) / np.asarray(exact.train_error) - 1).max()
    assert 1e-10 < difference < 1e-5


def _start(out: Path, num_devices: int, *more: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={num_devices}",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, str(PROGRAM), str(out), *more]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def _check(process: list[subprocess.Popen[str]], out: Path, share: int) -> None:
    for one in process:
        text, _ = one.communicate(timeout=500)
        assert one.returncode == 0, text
    with np.load(out.with_suffix(".npz")) as file:
        assert file["shares"][0] == share
        np.testing.assert_allclose(file["spread"], file["alone"], rtol=1e-12)
        np.testing.assert_allclose(file["mean"], file["alone"].mean(axis=0), rtol=1e-12)


def test_runs_spread_over_three_devices_are_the_same(tmp_path: Path) -> None:
    _check([_start(tmp_path / "curves", 3)], tmp_path / "curves", 4)


@pytest.mark.full
def test_runs_spread_over_two_processes_are_the_same(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    _check([_start(tmp_path / "curves", 1, port, str(rank)) for rank in range(2)], tmp_path / "curves", 5)


def test_meshes_without_runs_are_refused() -> None:
    with pytest.raises(ValueError, match='axis "runs"'):
        simulate(num_runs=2, mesh=jax.make_mesh((1,), ("nodes",)))
    assert run_mesh(None) is None
