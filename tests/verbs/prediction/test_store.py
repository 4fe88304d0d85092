"""A long prediction survives being killed, refuses what does not belong to it, and is the same to the last bit."""

import pickle
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.ground import checkpoint as checkpoint_module
from dyntheory.ground.checkpoint import checkpoint_folder
from dyntheory.ground.claimed_folder import CheckpointError
from dyntheory.verbs.prediction import pieces
from tests.verbs.killing import Killed, die_after

SCALE = 1.0
NETWORK = dt.MLP(hidden=(2,))
SIZES: dict[str, Any] = {"num_steps": 6, "num_nodes": 2**11}


def _predict(
    law: dt.TeacherStudent, key: jax.Array, rate: float = 0.3, optimizer: Any = optax.sgd, **arguments: Any
) -> dt.Trajectory:
    method = dt.gradient_descent(NETWORK, optimizer, learning_rate=rate)
    return dt.predict(law, method, key=key, **SIZES, **arguments)


@pytest.mark.parametrize(
    ("count", "optimizer"),
    [
        pytest.param(1, optax.sgd, marks=pytest.mark.full),
        (2, optax.sgd),
        pytest.param(5, optax.sgd, marks=pytest.mark.full),
        pytest.param(2, optax.adam, marks=pytest.mark.full),  # on feature nodes something is pending between steps
    ],
)
def test_a_killed_run_goes_on_to_the_same_bits(
    count: int, optimizer: Any, law: dt.TeacherStudent, key: jax.Array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "PIECE", 2)
    monkeypatch.setattr(checkpoint_module, "INTERVAL", 0.0)
    whole = _predict(law, key, optimizer=optimizer)
    with monkeypatch.context() as patch:
        die_after(patch, count)
        with pytest.raises(Killed):
            _predict(law, key, optimizer=optimizer, checkpoint=tmp_path / "run")
    resumed = _predict(law, key, optimizer=optimizer, checkpoint=tmp_path / "run", resume=True)
    for name in ("train_error", "test_error", "weight_overlap"):
        np.testing.assert_array_equal(getattr(resumed, name), getattr(whole, name))
        np.testing.assert_array_equal(getattr(resumed.standard_error, name), getattr(whole.standard_error, name))


def test_another_computation_is_refused_by_name(law: dt.TeacherStudent, key: jax.Array, tmp_path: Path) -> None:
    _predict(law, key, checkpoint=tmp_path)
    with pytest.raises(CheckpointError, match="pass resume=True"):
        _predict(law, key, checkpoint=tmp_path)
    with pytest.raises(CheckpointError, match="method changed"):
        _predict(law, key, rate=0.31, checkpoint=tmp_path, resume=True)
    with pytest.raises(CheckpointError, match="key changed"):
        _predict(law, jax.random.key(1), checkpoint=tmp_path, resume=True)
    again = _predict(law, key, checkpoint=tmp_path, resume=True)
    np.testing.assert_array_equal(again.train_error, _predict(law, key).train_error)


def test_resuming_needs_a_folder(law: dt.TeacherStudent, key: jax.Array) -> None:
    with pytest.raises(ValueError, match="`resume` needs `checkpoint`"):
        _predict(law, key, resume=True)


def test_two_writers_are_refused(tmp_path: Path) -> None:
    first, second = checkpoint_folder(tmp_path, {}, resume=False), checkpoint_folder(tmp_path, {}, resume=True)
    with first, pytest.raises(CheckpointError, match="Another process"), second:
        pass
    with checkpoint_folder(tmp_path, {}, resume=True):
        pass


def test_foreign_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(CheckpointError, match="other files"), checkpoint_folder(tmp_path, {}, resume=False):
        pass
    assert sorted(entry.name for entry in tmp_path.iterdir() if entry.name != "lock") == ["thesis.tex"]


def test_a_full_disk_costs_the_checkpoint_not_the_run(
    law: dt.TeacherStudent, key: jax.Array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **more: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.warns(dt.DyntheoryWarning, match="No space left"):
        result = _predict(law, key, checkpoint=tmp_path)
    assert result.status.ok
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".npz", ".tmp")]


DAMAGES: dict[str, Any] = {
    "flipped": lambda content: content[:300] + bytes([content[300] ^ 4]) + content[301:],
    "cut": lambda content: content[:-100],
    "empty": lambda content: b"",
    "pickle": lambda content: pickle.dumps([1.0]),
}


def test_a_damaged_checkpoint_is_refused_by_name_and_mended_by_removal(
    law: dt.TeacherStudent, key: jax.Array, tmp_path: Path
) -> None:
    whole = _predict(law, key, checkpoint=tmp_path)
    path = next(tmp_path.rglob("head_0_whole.finished.npz"))
    content = path.read_bytes()
    for damage in DAMAGES.values():
        path.write_bytes(damage(content))
        with pytest.raises(CheckpointError, match=r"head_0_whole\.finished\.npz' is damaged: remove it and resume"):
            _predict(law, key, checkpoint=tmp_path, resume=True)
    path.unlink()
    again = _predict(law, key, checkpoint=tmp_path, resume=True)
    np.testing.assert_array_equal(again.train_error, whole.train_error)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"progress": 5}, "`progress` must be a function"),
        ({"num_steps": 20_000, "drop_below": 1e-3, "max_memory": 10**15}, "Sobol points have at most"),
        ({"record": {"none": lambda shared, h, y: "text"}}, "none"),
        ({"num_heads": 2, "keep_preactivations": True}, "single head"),
    ],
)
def test_what_is_refused_claims_no_folder(
    changes: dict[str, Any], told: str, law: dt.TeacherStudent, key: jax.Array, tmp_path: Path
) -> None:
    method = dt.gradient_descent(NETWORK, optax.sgd, learning_rate=0.3)
    with pytest.raises((TypeError, ValueError), match=told):
        dt.predict(law, method, key=key, checkpoint=tmp_path / "run", **{**SIZES, **changes})
    assert not (tmp_path / "run").exists()


def test_a_run_that_was_changed_in_place_is_another_one(key: jax.Array, tmp_path: Path) -> None:
    """Two lambdas on one line, and one whose global changed, had one fingerprint: the old numbers came back."""
    links = (lambda z: jnp.sin(z), lambda z: jnp.cos(SCALE * z))
    _predict(dt.TeacherStudent(2.0, link=links[0]), key, checkpoint=tmp_path / "a")
    with pytest.raises(CheckpointError, match="law changed"):
        _predict(dt.TeacherStudent(2.0, link=links[1]), key, checkpoint=tmp_path / "a", resume=True)
