"""Kernels on disk survive being killed, refuse what does not belong to them, and are the same to the last bit."""

import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from dyntheory import kernels as k
from dyntheory.ground.identity.versions import versions
from dyntheory.ground.sealed_files import CheckpointError, read_json, write_json
from dyntheory.ground.status import DyntheoryWarning
from dyntheory.kernels import stream as stream_module
from dyntheory.kernels import tiling
from tests import ROOT

zarr = pytest.importorskip("zarr", reason="writing to disk needs the extra `kernels`")

NETWORK = k.serial(k.dense(1, weight_std=1.4, bias_std=0.2), k.relu(), k.dense(1))
X = np.random.default_rng(0).standard_normal((13, 4)).astype(np.float32)
TILE, NUM_TILES = 8 * 4 * 5**2, 6  # bytes for five rows by five; of 3 x 3 tiles one triangle


class _Killed(Exception):
    pass


def _stream(path: Path, **changes: Any) -> Any:
    arguments: dict[str, Any] = {"network": NETWORK, "x1": X, "x2": None, "memory": TILE, "path": path, **changes}
    return k.tiled_kernel(arguments.pop("network"), arguments.pop("x1"), arguments.pop("x2"), **arguments)


def _die_at(tile: int) -> Callable[[float, str], None]:
    def progress(fraction: float, text: str) -> None:
        if text.startswith(f"tile {tile} "):
            raise _Killed

    return progress


def _assert_same_bits(group: Any, other: Any) -> None:
    for name in ("nngp", "ntk"):
        np.testing.assert_array_equal(group[name][:], other[name][:])


def test_a_stream_holds_the_kernels_in_whole_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiling, "ROWS_OF_A_CHUNK", 4)
    group = _stream(tmp_path / "run", memory=8 * 4 * 8**2)
    for name, exact in NETWORK.kernel(X)._asdict().items():
        np.testing.assert_allclose(group[name][:], exact, rtol=1e-5)
    assert group["nngp"].chunks == (4, 4) and group["ntk"].dtype == np.float32
    _assert_same_bits(group, zarr.open_group(str(tmp_path / "run" / "kernels.zarr"), mode="r"))


@pytest.mark.parametrize("tile", [1, 4, NUM_TILES])
@pytest.mark.parametrize("symmetric", [True, pytest.param(False, marks=pytest.mark.full)])
def test_a_killed_stream_goes_on_to_the_same_bits(tile: int, symmetric: bool, tmp_path: Path) -> None:
    other = None if symmetric else X[:9] + 1
    with pytest.raises(_Killed):
        _stream(tmp_path / "killed", x2=other, progress=_die_at(tile))
    told: list[tuple[float, str]] = []
    group = _stream(tmp_path / "killed", x2=other, resume=True, progress=lambda *what: told.append(what))
    assert [text for _, text in told] == [f"tile {one} of {NUM_TILES}" for one in range(tile + 1, NUM_TILES + 1)]
    _assert_same_bits(group, _stream(tmp_path / "whole", x2=other))


def test_a_tile_that_is_cut_short_is_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Die between the two kernels of a tile, with half a chunk beside it, as a killed Zarr leaves it."""
    written = stream_module.Stream.write
    calls: list[str] = []

    def write(self: Any, name: str, rows: slice, columns: slice, values: Any) -> None:
        calls.append(name)
        if len(calls) == 3:  # the first tile is on the diagonal, and has no transposes
            written(self, name, rows, columns, np.full_like(values, np.nan))
            raise _Killed
        written(self, name, rows, columns, values)

    with monkeypatch.context() as patch:
        patch.setattr(stream_module.Stream, "write", write)
        with pytest.raises(_Killed):
            _stream(tmp_path / "killed")
    half = tmp_path / "killed" / "kernels.zarr" / "ntk" / "c" / "0" / "1.0123.partial"
    half.parent.mkdir(parents=True, exist_ok=True)
    half.write_bytes(b"half")
    _assert_same_bits(_stream(tmp_path / "killed", resume=True), _stream(tmp_path / "whole"))
    assert not half.exists()


def _recount(path: Path, **changes: Any) -> dict[str, Any]:
    """Return what was counted, after changing it."""
    before = read_json(path / "tiles.json", remedy="none")
    write_json(path / "tiles.json", {**before, **changes})
    return before


def test_a_tile_that_was_counted_too_early_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: with one tile too many in the count and nobody who looks, that tile stays empty."""
    for name in ("seen", "unseen"):
        with pytest.raises(_Killed):
            _stream(tmp_path / name, progress=_die_at(2))
        _recount(tmp_path / name, tiles=3)
    whole = _stream(tmp_path / "whole")
    _assert_same_bits(_stream(tmp_path / "seen", resume=True), whole)
    monkeypatch.setattr(stream_module.Stream, "check", lambda *arguments: None)
    with pytest.raises(AssertionError):
        _assert_same_bits(_stream(tmp_path / "unseen", resume=True), whole)


def _flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def _cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


CHUNK = "kernels.zarr/ntk/c/0/1"


@pytest.mark.parametrize("damage", [lambda p: _flip(p, 30), lambda p: _flip(p, 8 * 100 + 3), lambda p: _cut(p, 40)])
def test_a_damaged_chunk_is_found_by_the_next_run_and_by_every_reader(damage: Any, tmp_path: Path) -> None:
    group = _stream(tmp_path)
    whole, chunk = group["ntk"][:], tmp_path / CHUNK
    damage(chunk)
    with pytest.raises(ValueError, match=r"(?i)checksum|size"):
        group["ntk"][:5, 5:10]
    with pytest.raises(CheckpointError, match=r"ntk/c/0/1' is damaged: remove it and resume"):
        _stream(tmp_path, resume=True)
    chunk.unlink()
    assert np.isnan(group["ntk"][:5, 5:10]).all()
    chunk.mkdir()
    with pytest.raises(IsADirectoryError, match="ntk/c/0/1"):
        _stream(tmp_path, resume=True)
    chunk.rmdir()
    told: list[str] = []
    again = _stream(tmp_path, resume=True, progress=lambda _, text: told.append(text))
    np.testing.assert_array_equal(again["ntk"][:], whole)
    assert [text.split()[1] for text in told] == ["2", "3", "4", "5", "6"]


@pytest.mark.parametrize(
    "name", ["tiles.json", "computation.json", "kernels.zarr/zarr.json", "kernels.zarr/nngp/zarr.json"]
)
@pytest.mark.parametrize("damage", [lambda p: _cut(p, 0), lambda p: _cut(p, 30), lambda p: p.write_bytes(b"\xff[]")])
def test_damaged_notes_are_refused_by_name(name: str, damage: Any, tmp_path: Path) -> None:
    with pytest.raises(_Killed):
        _stream(tmp_path, progress=_die_at(1))
    damage(tmp_path / name)
    with pytest.raises(CheckpointError, match=r"is damaged.*remove '.*' and begin anew") as told:
        _stream(tmp_path, resume=True)
    assert name.split("/")[0] in str(told.value)


CHILD = """
import sys, numpy as np
from dyntheory import kernels as k
network = k.serial(k.dense(1, weight_std=1.4, bias_std=0.2), k.relu(), k.dense(1))
x = np.random.default_rng(0).standard_normal((400, 4)).astype(np.float32)
k.tiled_kernel(network, x, memory=8 * 4 * 40**2, path=sys.argv[1], resume=sys.argv[2] == "resume",
               progress=lambda fraction, text: print(text, flush=True))
"""


def _kill_child(path: Path, tile: int, resume: str) -> int:
    """Kill a process which has told of that tile, at an arbitrary moment of the next; return the number counted."""
    command = [sys.executable, "-c", CHILD, str(path), resume]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith(f"tile {tile} "):
                child.send_signal(signal.SIGKILL)
                break
        assert child.wait() == -signal.SIGKILL
    return read_json(path / "tiles.json", remedy="none")["tiles"]


@pytest.mark.full
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is of POSIX")
def test_a_process_that_is_killed_leaves_no_broken_file(tmp_path: Path) -> None:
    first = _kill_child(tmp_path / "killed", 3, "anew")
    second = _kill_child(tmp_path / "killed", 20, "resume")
    assert 3 <= first < 20 <= second < 55
    x = np.random.default_rng(0).standard_normal((400, 4)).astype(np.float32)
    group = _stream(tmp_path / "killed", x1=x, memory=8 * 4 * 40**2, resume=True)
    _assert_same_bits(group, k.tiled_kernel(NETWORK, x, memory=8 * 4 * 40**2)._asdict())
    left = [path.name for path in (tmp_path / "killed").rglob("*") if path.suffix in (".tmp", ".partial")]
    assert not left


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"x1": X + np.float32(1e-6)}, "x1"),
        ({"x1": X.astype(int), "x2": X.astype(int)}, "dtype, rows_per_tile, x1, x2"),  # integers are float64
        ({"x2": X[:9]}, "x2"),
        ({"network": k.serial(k.dense(1, weight_std=1.5, bias_std=0.2), k.relu(), k.dense(1))}, "network"),
        ({"network": k.serial(k.dense(1, weight_std=1.4, bias_std=0.2), k.erf(), k.dense(1))}, "network"),
        ({"memory": 8 * 4 * 4**2}, "rows_per_tile"),
        ({"from_differences": True}, "from_differences"),
    ],
)
def test_another_computation_is_refused_by_name(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(_Killed):
        _stream(tmp_path, progress=_die_at(2))
    with pytest.raises(CheckpointError, match=f"another computation: {told} changed"):
        _stream(tmp_path, resume=True, **changes)


def test_another_precision_or_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _stream(tmp_path)
    found = versions()
    monkeypatch.setattr(tiling, "versions", lambda: {**found, "jaxlib": "0.0.1"})
    with pytest.raises(CheckpointError, match=r"another computation: jaxlib changed, jaxlib was \d.*, is 0\.0\.1\. Go"):
        _stream(tmp_path, resume=True)
    with jax.enable_x64(True), pytest.raises(CheckpointError, match="dtype, jaxlib, rows_per_tile, x1 changed"):
        _stream(tmp_path, x1=X.astype(np.float64), resume=True)


def test_an_existing_stream_needs_resume_and_a_finished_one_is_returned(tmp_path: Path) -> None:
    whole = _stream(tmp_path)
    with pytest.raises(CheckpointError, match="pass resume=True"):
        _stream(tmp_path)
    told: list[str] = []
    _assert_same_bits(_stream(tmp_path, resume=True, progress=lambda _, text: told.append(text)), whole)
    assert not told
    with pytest.raises(ValueError, match="`resume` needs `path`"):
        k.tiled_kernel(NETWORK, X, resume=True)


def test_two_writers_are_refused(tmp_path: Path) -> None:
    def second(fraction: float, text: str) -> None:
        with pytest.raises(CheckpointError, match="Another process"):
            _stream(tmp_path, resume=True)
        raise _Killed

    with pytest.raises(_Killed):
        _stream(tmp_path, progress=second)


def test_a_small_disk_is_refused_before_anything_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: usage(2000, 649, 1351))
        with pytest.raises(OSError, match=r"need 1\.35e-06 GB of disk"):
            _stream(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2000, 648, 2 * 13 * 13 * 4))
    (tmp_path / ".computation.json.1a2b.tmp").touch()  # left by a process that was killed while it claimed
    _stream(tmp_path, x1=X[:12])


def test_a_warning_survives_the_kill(tmp_path: Path) -> None:
    """What quadrature left out in the tiles before is told at the end; the last tile alone leaves out nothing."""
    network = k.serial(k.dense(1, weight_std=3.0), k.elementwise(jax.nn.hard_tanh, degree=8), k.dense(1))
    x = np.concatenate([X[:10], np.zeros((3, 4), np.float32)])  # no second moment in the last tile
    with pytest.raises(_Killed):
        _stream(tmp_path, network=network, x1=x, progress=_die_at(NUM_TILES - 1))
    before = _recount(tmp_path)
    with pytest.warns(DyntheoryWarning, match="leaves out"):
        _stream(tmp_path, network=network, x1=x, resume=True)
    _recount(tmp_path, **{**before, "left_out": 0.0})  # negative control: nothing is remembered
    _stream(tmp_path, network=network, x1=x, resume=True)


PEAKS = """
import resource, sys, numpy as np
from dyntheory import kernels as k
network = k.serial(k.dense(1), k.relu(), k.dense(1))
x = np.random.default_rng(0).standard_normal((4000, 4)).astype(np.float32)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
peaks = []
for rows, path in ((800, "small"), (4000, "large"), (4000, None)):
    kept = k.tiled_kernel(network, x[:rows], memory=8 * 4 * 400**2, path=path and sys.argv[1] + path)
    peaks.append(peak())
print(peaks[1] - peaks[0], peaks[2] - peaks[1])
"""


@pytest.mark.full
@pytest.mark.skipif(os.name != "posix", reason="the peak of memory is read by a POSIX call")
def test_memory_does_not_grow_with_the_matrix(tmp_path: Path) -> None:
    """A stream of 25 times as many entries (128 MB) adds less than a fifth of them; in memory it adds all."""
    command = [sys.executable, "-c", PEAKS, f"{tmp_path}/"]
    answer = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True).stdout
    streamed, held = map(int, answer.split())
    total = 2 * 4000**2 * 4
    assert streamed < 0.2 * total
    assert held > 0.5 * total
