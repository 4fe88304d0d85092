"""No file shows a traceback; a fault of the library says how to see one."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dyntheory as dt
from dyntheory.shell.failures import DEBUG, explained
from dyntheory.shell.main import main
from tests.shell.conftest import random_rows, write_csv

METHOD = "[network]\nhidden = [2]\n[method]\nlearning_rate = 0.1\n[run]\nnum_steps = 2\n"
FAULTS = [RecursionError("too deep"), KeyError("loss"), ZeroDivisionError(), RuntimeError("Could not determine")]


@pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)
def test_a_fault_of_the_library_is_one_line_with_the_way_to_its_traceback(
    error: Exception, problem: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*args: Any, **kwargs: Any) -> dt.Trajectory:
        raise error

    monkeypatch.setattr(dt, "predict", fail)
    assert main(["predict", problem]) == 4
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and type(error).__name__ in told and f"{DEBUG}=1" in told
    monkeypatch.setenv(DEBUG, "1")
    with pytest.raises(type(error)):
        main(["predict", problem])


def test_what_is_said() -> None:
    assert explained(MemoryError("Unable to allocate 7 TiB"))[0].startswith("more memory is needed than there is (Un")
    assert explained(RuntimeError("RESOURCE_EXHAUSTED: Out of memory"))[1] == 2
    assert explained(OSError("pass resume=True (--resume) to go on")) == ("pass --resume to go on", 2)
    assert len(explained(ValueError("9" * 100_000))[0]) < 2100


def _damaged(content: bytes, seed: int) -> bytes:
    """Return bytes of which some were flipped, cut out, repeated or replaced by what files are broken by."""
    draw, damaged = random.Random(seed), bytearray(content)
    for _ in range(draw.randint(1, 6)):
        place = draw.randrange(len(damaged) + 1)
        odd = [b"\0", b"\xff\xfe", b'"', b"1e400", b"[" * 2000, b"9" * 5000, b"\n" * 3, b",,,,", b"nan", b"-", b"\r"]
        change = draw.randrange(4)
        if change == 0 and place < len(damaged):
            damaged[place] ^= 1 << draw.randrange(8)
        elif change == 1:
            del damaged[place : place + draw.randrange(60)]
        elif change == 2:
            damaged[place:place] = damaged[place : place + draw.randrange(200)]
        else:
            damaged[place:place] = draw.choice(odd)
    return bytes(damaged)


def _stop(*args: Any, **kwargs: Any) -> dt.Trajectory:
    raise SystemExit(0)  # the files were read: what is computed of them is no matter here


@pytest.mark.parametrize("count", [8, pytest.param(300, marks=pytest.mark.full)])
@pytest.mark.parametrize("suffix", ["csv", "npz", "npy", "toml"])
def test_no_damaged_file_escapes(
    suffix: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line and status 2, or an answer; never an exception, and never "a fault of dyntheory"."""
    monkeypatch.setattr(dt, "estimate", _stop)
    rows, labels = random_rows(30, 3)
    method, data = tmp_path / "method.toml", tmp_path / f"data.{'csv' if suffix == 'toml' else suffix}"
    method.write_text(METHOD, encoding="utf-8")
    np.savez(tmp_path / "data.npz", X=rows, y=labels)
    np.save(tmp_path / "data.npy", np.column_stack([rows, labels]))
    write_csv(tmp_path / "data.csv")
    broken = method if suffix == "toml" else data
    whole, statuses = broken.read_bytes(), []
    target = {"npz": "y", "npy": "-1"}.get(suffix, "price")
    for seed in range(count):
        broken.write_bytes(_damaged(whole, seed))
        statuses.append(main(["estimate", str(method), "--data", str(data), "--target", target]))
        told = capsys.readouterr().err
        assert statuses[-1] in (0, 2) and "a fault of dyntheory" not in told, (seed, told)
    assert 4 * statuses.count(2) > count
