"""Nodes on several devices, and on two processes, give the numbers of one device."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.ground.devices import check_groups, node_groups
from dyntheory.ground.schedule import share_out
from tests import PROGRAMS, ROOT

PROGRAM = PROGRAMS / "spread_prediction.py"


def _start(out: Path, num_devices: int, num_nets: int, *more: str, num_steps: int = 12) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={num_devices}",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, str(PROGRAM), str(out), str(num_nets), str(num_steps), *more]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def _finish(process: subprocess.Popen[str]) -> None:
    text, _ = process.communicate(timeout=500)
    assert process.returncode == 0, text


def _curves(path: Path) -> dict[str, np.ndarray]:
    with np.load(path.with_suffix(".npz")) as file:
        return dict(file)


@pytest.fixture(scope="module")
def one_device(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    out = tmp_path_factory.mktemp("one") / "curves"
    _finish(_start(out, 1, 1))
    return _curves(out)


def _check(path: Path, one_device: dict[str, np.ndarray], group_size: int) -> None:
    """Require the same curves, and the basis to be cut over the devices of a group."""
    curves = _curves(path)
    shares = curves.pop("shares")
    assert shares.size
    np.testing.assert_array_equal(shares, 1 / group_size)
    for name, values in curves.items():
        np.testing.assert_allclose(values, one_device[name], rtol=1e-10 if name != "error" else 1e-6)


@pytest.mark.parametrize("num_nets", [pytest.param(1, marks=pytest.mark.full), 2])
def test_four_devices_are_one(one_device: dict[str, np.ndarray], tmp_path: Path, num_nets: int) -> None:
    out = tmp_path / "curves"
    _finish(_start(out, 4, num_nets))
    _check(out, one_device, 4 // num_nets)


@pytest.mark.full
def test_long_runs_stay_within_a_hundredth_of_their_error(tmp_path: Path) -> None:
    """Beyond some twenty steps a direction may be dropped on one layout and kept on another."""
    curves = []
    for num_devices in (1, 4):
        _finish(_start(tmp_path / str(num_devices), num_devices, 1, num_steps=80))
        curves.append(_curves(tmp_path / str(num_devices)))
    one, four = curves
    assert np.all(np.abs(four["test"] - one["test"]) <= 0.01 * one["error"])


@pytest.mark.full
@pytest.mark.parametrize("num_nets", [1, 2])
def test_two_processes_are_one(one_device: dict[str, np.ndarray], tmp_path: Path, num_nets: int) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    out = tmp_path / "curves"
    processes = [_start(out, 1, num_nets, port, str(rank)) for rank in range(2)]
    for process in processes:
        _finish(process)
    _check(out, one_device, 2 // num_nets)


def test_work_is_shared_out_evenly() -> None:
    """Two groups of devices: the nodes on one, their eight sub-nets on the other."""
    assert share_out([8, *[1] * 8], 2) == [0, *[1] * 8]
    assert share_out([8, *[1] * 8], 1) == [0] * 9
    assert sorted(share_out([8, *[1] * 8, 8, *[1] * 8], 4)) == [0, *[1], *[2] * 8, *[3] * 8]


def test_meshes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(TypeError, match=r"jax\.sharding\.Mesh, got 4"):
        node_groups(4)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match='axis "nets" or "nodes"'):
        node_groups(jax.make_mesh((1,), ("runs",)))
    assert node_groups(None) is None
    assert dt.predict.__doc__ is not None and "mesh" in dt.predict.__doc__


def test_groups_that_cross_processes_are_refused() -> None:
    """Two groups, each on both processes: their exchanges could wait for one another."""
    for allowed in ([{0, 1}], [{0}, {0}, {1}], [{0, 1}, {2, 3}]):
        check_groups(allowed, "mesh")
    with pytest.raises(ValueError, match="lies on several processes"):
        check_groups([{0, 1}, {0, 1}], "mesh")


def test_checkpoints_are_for_one_group(tmp_path: Path) -> None:
    mesh = jax.make_mesh((1,), ("nets",))
    method = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.3)
    with pytest.raises(ValueError, match='without the axis "nets"'):
        dt.predict(dt.TeacherStudent(2.0), method, num_steps=1, key=jax.random.key(0), mesh=mesh, checkpoint=tmp_path)
