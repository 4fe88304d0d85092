"""Nodes on several devices, and on two processes, give the numbers of one device."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import dyntheory as dt
from dyntheory.devices import node_sharding

PROGRAM = Path(__file__).parent / "programs" / "spread_prediction.py"


def _start(out: Path, num_devices: int, *more: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={num_devices}",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(PROGRAM.parents[2]),
    }
    command = [sys.executable, str(PROGRAM), str(out), *more]
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
    _finish(_start(out, 1))
    return _curves(out)


def _check(path: Path, one_device: dict[str, np.ndarray], num_devices: int) -> None:
    """Require the same curves, and the basis to be cut over the devices."""
    curves = _curves(path)
    np.testing.assert_array_equal(curves.pop("shares"), 1 / num_devices)
    for name, values in curves.items():
        np.testing.assert_allclose(values, one_device[name], rtol=1e-10 if name != "error" else 1e-6)


def test_four_devices_are_one(one_device: dict[str, np.ndarray], tmp_path: Path) -> None:
    out = tmp_path / "curves"
    _finish(_start(out, 4))
    _check(out, one_device, 4)


def test_two_processes_are_one(one_device: dict[str, np.ndarray], tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    out = tmp_path / "curves"
    processes = [_start(out, 1, port, str(rank)) for rank in range(2)]
    for process in processes:
        _finish(process)
    _check(out, one_device, 2)


def test_meshes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(TypeError, match=r"jax\.sharding\.Mesh, got 4"):
        node_sharding(4)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match='axis "nodes"'):
        node_sharding(jax.make_mesh((1,), ("runs",)))
    assert node_sharding(None) is None
    assert dt.predict.__doc__ is not None and "mesh" in dt.predict.__doc__
