"""Small directions may be dropped: the run keeps fewer, moves little, and says when they do not fit."""

import warnings
from typing import Any

import jax
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.verbs.prediction import pieces, wanted

METHOD = dt.gradient_descent(dt.MLP(hidden=(2,)), optax.sgd, learning_rate=0.2)


@pytest.mark.full
def test_dropping_keeps_fewer_directions_and_moves_little(
    law: dt.TeacherStudent, key: jax.Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "PIECE", 4)
    monkeypatch.setattr(pieces, "ROWS_PER_SIZE", 16)
    sizes: list[int] = []
    next_piece = pieces._next_piece

    def watched(*arguments: object) -> pieces.State:
        state = next_piece(*arguments)  # pyright: ignore[reportArgumentType]
        sizes.append(state.carry.matrix_state.rows.space.basis.shape[0])
        return state

    monkeypatch.setattr(pieces, "_next_piece", watched)
    options: dict[str, Any] = {"num_steps": 24, "num_nodes": 2**11, "key": key}
    full = dt.predict(law, METHOD, **options)
    rows_of_all = max(sizes)
    sizes.clear()
    dropped = dt.predict(law, METHOD, **options, drop_below=1e-3)
    assert max(sizes) < rows_of_all
    np.testing.assert_allclose(dropped.test_error, full.test_error, rtol=1e-2)
    assert not np.array_equal(dropped.test_error, full.test_error)


def test_bars_contain_what_dropping_costs(law: dt.TeacherStudent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: sub-nets that drop no more than all nodes share the error, and the bars miss it."""
    options: dict[str, Any] = {"num_steps": 24, "num_nodes": 2**14, "key": jax.random.key(0)}
    full = dt.predict(law, METHOD, **options)

    def largest_ratio() -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dt.DyntheoryWarning)
            coarse = dt.predict(law, METHOD, **options, drop_below=0.03)
        assert coarse.standard_error is not None and coarse.standard_error.train_error is not None
        return float(np.max(np.abs(coarse.train_error - full.train_error) / coarse.standard_error.train_error))

    assert largest_ratio() < 2
    monkeypatch.setattr(wanted, "SUB_NET_DROPPING", 1.0)
    assert largest_ratio() > 4


def test_directions_that_do_not_fit_are_said(
    law: dt.TeacherStudent, key: jax.Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "PIECE", 4)
    with pytest.raises(ValueError, match=r"more than half of .* raise `num_nodes` or `drop_below`"):
        dt.predict(law, METHOD, num_steps=24, num_nodes=2**9, key=key, drop_below=1e-12)
