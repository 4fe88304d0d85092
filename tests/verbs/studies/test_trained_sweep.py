"""A sweep may train networks beside its predictions: the numbers and verdicts are those of the verbs."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.ground.sealed_files import CheckpointError

KEY = jax.random.key(3)
LAW = dt.TeacherStudent(2.0, link="sin", noise_std=0.3)
METHOD = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.3)
SIMULATION: dict[str, Any] = {"num_features": 100, "num_runs": 8, "num_test_nodes": 2**10}


def squared(shared: Any, h: Any, y: Any) -> Any:
    return h**2


RECORD = {"squared": squared}
OPTIONS: dict[str, Any] = {
    "num_steps": 3,
    "key": KEY,
    "simulation": SIMULATION,
    "num_nodes": 2**10,
    "record": RECORD,
}
RATES: dict[str, Any] = {"learning_rate": [0.1, 0.4]}


def with_rate(rate: float) -> Any:
    return dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=rate)


def test_theory_and_simulation_are_those_of_the_verbs() -> None:
    found = dt.sweep(LAW, METHOD, over=RATES, **OPTIONS)
    assert found.test_error.dims == ("learning_rate", "source", "step")
    assert found.squared.sizes["source"] == 2
    for rate in RATES["learning_rate"]:
        given: dict[str, Any] = {"num_steps": 3, "key": KEY, "record": RECORD}
        theory = dt.predict(LAW, with_rate(rate), num_nodes=2**10, **given)
        trained = dt.simulate(LAW, with_rate(rate), **given, **SIMULATION)
        report = dt.compare(theory, trained)
        point = found.sel(learning_rate=rate)
        assert str(point.verdict.values) == report.verdict
        for source, result in (("theory", theory), ("simulation", trained)):
            there = point.sel(source=source)
            assert result.standard_error is not None
            assert result.recorded is not None
            np.testing.assert_allclose(there.train_error, result.train_error)
            np.testing.assert_allclose(there.test_error_standard_error, result.standard_error.test_error, atol=1e-12)
            np.testing.assert_allclose(there.squared.values, result.recorded["squared"])
        np.testing.assert_allclose(point.test_error_z, report.z["test_error"])
    figure = dt.plot.slices(found, along="learning_rate")
    assert len(figure.axes[0].lines) == 2


def test_a_point_that_disagrees_is_said_and_drawn() -> None:
    """The networks are trained on inputs of another law, at a size where the limit does not hold for them."""
    over = {"learning_rate": [0.1, 0.4], "noise_std": [0.1, 0.3]}
    simulation = {**SIMULATION, "inputs": shifted, "num_runs": 40}
    found = dt.sweep(LAW, METHOD, over=over, **{**OPTIONS, "simulation": simulation})
    assert "disagree" in found.verdict.values
    figure = dt.plot.phase_diagram(found.sel(source="theory"))
    assert "disagree" in figure.axes[0].get_legend_handles_labels()[1]


def shifted(key: Any, shape: tuple[int, int]) -> Any:
    return 0.5 + jax.random.normal(key, shape)


def test_methods_without_a_limit_are_trained_alone() -> None:
    alone = dt.sweep(LAW, METHOD, over=RATES, theory=False, **OPTIONS)
    assert alone.test_error.dims == ("learning_rate", "step")
    assert "verdict" not in alone
    trained = dt.simulate(LAW, with_rate(0.4), num_steps=3, key=KEY, record=RECORD, **SIMULATION)
    np.testing.assert_allclose(alone.test_error.sel(learning_rate=0.4), trained.test_error)


def test_a_trained_sweep_is_resumed_to_the_same_bits(tmp_path: Path) -> None:
    before = list(warnings.filters), warnings.showwarning
    with ThreadPoolExecutor(2) as pool:
        whole = dt.sweep(LAW, METHOD, over=RATES, checkpoint=tmp_path, executor=pool, **OPTIONS)
    assert (list(warnings.filters), warnings.showwarning) == before  # threads take turns where warnings are caught
    next(tmp_path.glob("trained_000001*")).unlink()
    again = dt.sweep(LAW, METHOD, over=RATES, checkpoint=tmp_path, resume=True, **OPTIONS)
    assert whole.identical(again)
    other = {**OPTIONS, "simulation": {**SIMULATION, "num_runs": 9}}
    with pytest.raises(CheckpointError, match="another"):
        dt.sweep(LAW, METHOD, over=RATES, checkpoint=tmp_path, resume=True, **other)


@pytest.mark.parametrize(
    ("simulation", "complaint"),
    [
        ({"num_features": 100}, "`simulation` needs num_runs"),
        ({**SIMULATION, "num_run": 3}, "num_run'.*num_runs"),
        ({**SIMULATION, "num_steps": 3}, "num_steps"),
        ({**SIMULATION, "num_features": 0}, "`num_features` must"),
        ({**SIMULATION, "matrix": "sparse"}, "matrix"),
        ({**SIMULATION, "num_runs": 1}, "num_runs of at least 2"),
        ({**SIMULATION, "num_runs": 2, "num_heads": 2}, "num_runs of at least 4"),
    ],
)
def test_what_simulate_would_refuse_is_refused_first(simulation: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        dt.sweep(LAW, METHOD, over=RATES, **{**OPTIONS, "simulation": simulation})


def test_several_heads_are_those_of_both_sides() -> None:
    method = dt.gradient_descent(dt.MLP((2,), "tanh"), optax.sgd, learning_rate=0.3)
    simulation = {**SIMULATION, "num_heads": 2}
    found = dt.sweep(LAW, method, over={"learning_rate": [0.3]}, **{**OPTIONS, "simulation": simulation})
    wanted = dt.predict(LAW, method, num_steps=3, num_nodes=2**10, num_heads=2, key=KEY, record=RECORD)
    np.testing.assert_allclose(found.test_error.sel(source="theory")[0], wanted.test_error)


def test_remarks_on_a_point_are_not_lost() -> None:
    """n/d is 1.2 in place of 1.25 with ten features: `simulate` warns, and so does the sweep."""
    law = dt.TeacherStudent(1.25, link="sin", noise_std=0.3)
    simulation = {**SIMULATION, "num_features": 10}
    with pytest.warns(dt.DyntheoryWarning, match="1 ok with a remark"):
        found = dt.sweep(law, METHOD, over={"learning_rate": [0.3]}, **{**OPTIONS, "simulation": simulation})
    assert "ratio n/d is 1.2" in str(found.status_message.sel(source="simulation").values[0])


def test_names_of_the_result_are_refused_first() -> None:
    with pytest.raises(ValueError, match=r"`record` cannot have 'verdict'"):
        dt.sweep(LAW, METHOD, over=RATES, **{**OPTIONS, "record": {"verdict": squared}})
    with pytest.raises(ValueError, match=r"`over` cannot have 'status'"):
        dt.sweep(LAW, lambda status: METHOD, over={"status": [0, 1]}, **OPTIONS)


def test_nothing_to_do_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves nothing to do"):
        dt.sweep(LAW, METHOD, over=RATES, theory=False, **{**OPTIONS, "simulation": None})
