"""Order parameters: means of rows of whichever matrix answers, in predictions, simulations and the pure core."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.dynamics.observables import FeatureMean, SampleMean
from dyntheory.gaussian.nodes import draw_nodes
from dyntheory.problem.shape import Shape

NETWORK = dt.MLP((2,), "tanh")
SGD = dt.gradient_descent(NETWORK, optax.sgd, learning_rate=0.4)
ADAM = dt.gradient_descent(NETWORK, optax.adam, learning_rate=0.1)
SIZES: dict[str, Any] = {"num_steps": 3, "num_nodes": 2**11}
RUNS: dict[str, Any] = {"num_steps": 3, "num_features": 60, "num_runs": 6}


def _fourth(shared: Any, h: jax.Array, y: jax.Array) -> dict[str, jax.Array]:
    del shared
    return {"power": h**4, "label": jnp.square(y)}


def _output(shared: Any, h: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.square(NETWORK.apply_head(shared["head"], h) - y)


def _moment(shared: Any, teacher: jax.Array, weights: jax.Array) -> jax.Array:
    del shared, teacher
    return jnp.outer(weights, weights)


def _both(shared: Any, h: jax.Array, y: jax.Array) -> jax.Array:
    del shared, y
    return jnp.stack([h[0] ** 2, 1e6 * h[0] ** 4])


RECORD = {"fourth": _fourth, "error": _output, "both": _both}


@pytest.fixture(scope="module")
def theory() -> dt.Trajectory:
    """Predict the reference law once for all that is recorded."""
    law = dt.TeacherStudent(2.0, "sin_mixture", 0.3)
    return dt.predict(law, SGD, key=jax.random.key(2026), record=RECORD, **SIZES)


def _recorded(result: dt.Trajectory | None) -> dict[str, Any]:
    assert result is not None and result.recorded is not None
    return result.recorded


def test_a_predicted_order_parameter_is_the_mean_over_the_nodes(theory: dt.Trajectory) -> None:
    for step in (0, 3):
        rows = theory.preactivations(step)
        power = rows.weights @ rows.values**4
        np.testing.assert_allclose(_recorded(theory)["fourth"]["power"][step], power, rtol=1e-12)
        unweighted = np.mean(rows.values**4, axis=0)  # the nodes have weights: their plain mean is another number
        assert np.all(np.abs(unweighted / power - 1) > 1e-6)
    np.testing.assert_allclose(_recorded(theory)["error"], theory.train_error, rtol=1e-12)
    bars = _recorded(theory.standard_error)["fourth"]["power"]
    assert bars.shape == (4, 2) and np.all(np.abs(_recorded(theory)["fourth"]["power"][0] - 3.0) < 5 * bars[0])


def test_it_is_that_of_simulations(theory: dt.Trajectory, law: dt.TeacherStudent, key: jax.Array) -> None:
    """z-scores after a gate; h⁴ is heavier than errors, and the finite size is allowed for as in `compare`."""
    runs = dt.simulate(law, SGD, key=key, record={"fourth": _fourth}, **{**RUNS, "num_features": 200, "num_runs": 20})
    found, bars = (_recorded(one)["fourth"]["power"] for one in (runs, runs.standard_error))
    wanted = _recorded(theory)["fourth"]["power"]
    assert np.all(bars < 0.1 * wanted)
    assert np.all(np.abs(found - wanted) < 4.5 * bars + 10 / 200 * wanted)


def test_means_over_features_need_features(law: dt.TeacherStudent, key: jax.Array) -> None:
    record = {"moment": FeatureMean(_moment)}
    theory = dt.predict(law, ADAM, key=key, record=record, **SIZES)
    runs = dt.simulate(law, ADAM, key=key, record=record, **RUNS)
    for one in (theory, runs):
        np.testing.assert_allclose(_recorded(one)["moment"], one.weight_overlap, rtol=1e-10, atol=1e-12)
    with pytest.raises(ValueError, match="mean over features, and this optimizer is linear"):
        dt.predict(law, SGD, key=key, record=record, **SIZES)


def test_heads_are_averaged_and_checkpoints_know_what_is_recorded(
    law: dt.TeacherStudent, key: jax.Array, tmp_path: Path
) -> None:
    options: dict[str, Any] = {**SIZES, "key": key, "num_heads": 2, "record": RECORD}
    first = dt.predict(law, SGD, checkpoint=tmp_path, **options)
    again = dt.predict(law, SGD, checkpoint=tmp_path, resume=True, **options)
    np.testing.assert_array_equal(_recorded(first)["fourth"]["power"], _recorded(again)["fourth"]["power"])
    with pytest.raises(ValueError, match="another computation"):
        dt.predict(law, SGD, checkpoint=tmp_path, resume=True, **{**options, "record": {"error": _output}})
    kept = {**RUNS, "key": key, "record": {"fourth": _fourth}, "checkpoint": tmp_path / "runs"}
    runs = dt.simulate(law, SGD, **kept)
    resumed = dt.simulate(law, SGD, resume=True, **kept)
    np.testing.assert_array_equal(_recorded(runs)["fourth"]["label"], _recorded(resumed)["fourth"]["label"])


@pytest.mark.parametrize(
    ("record", "error", "told"),
    [
        ([_fourth], TypeError, "`record` must be a dictionary, name: a function"),
        ({"preactivations": _fourth}, ValueError, "cannot use the names preactivations"),
        (
            {"wrong": lambda shared, h: h},
            TypeError,
            r"`record\['wrong'\]` must be a function \(shared, h, y\) .* it failed",
        ),
        ({"small": lambda shared, h, y: h.astype("float16")}, TypeError, "float32 or wider"),
        ({"empty": lambda shared, h, y: h[:0]}, TypeError, "must return arrays of real numbers"),
        ({"text": lambda shared, h, y: {}}, TypeError, "must return arrays of real numbers"),
        ({"bool": SampleMean(lambda shared, h, y: h > 0)}, TypeError, "must return arrays of real numbers"),
    ],
)
def test_bad_records_are_named(record: Any, error: type, told: str, law: dt.TeacherStudent, key: jax.Array) -> None:
    with pytest.raises(error, match=told):
        dt.predict(law, SGD, key=key, record=record, **SIZES)
    with pytest.raises(error, match=told):
        dt.simulate(law, SGD, key=key, record=record, **RUNS)


def _agrees(shared: Any, h: jax.Array, y: jax.Array) -> jax.Array:
    del shared
    return (y * h[0] > 0).astype(float)


def _solved(law: dt.TeacherStudent, rate: float, record: Any) -> Any:
    method = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=rate)
    shape = Shape.of(law, method, 2)
    samples = draw_nodes(2**9, shape.sample_dimensions, num_heavy=1, seed=0)
    test = draw_nodes(2**9, shape.test_dimensions, num_heavy=1, seed=1)
    return dt.state_evolution(law, method, {}, jnp.eye(2), samples, test, num_steps=2, record=record)


@pytest.mark.full
@pytest.mark.usefixtures("double")
def test_the_pure_core_takes_the_same_functions_and_warns_of_their_jumps(law: dt.TeacherStudent) -> None:
    """A pathwise derivative of a step is zero; nobody said that this function has one."""

    def agreement(rate: float) -> jax.Array:
        return _solved(law, rate, {"agrees": _agrees}).records.recorded["agrees"]

    assert float(agreement(0.6)[2]) != float(agreement(0.3)[2])
    with pytest.warns(dt.DyntheoryWarning, match="the function recorded as 'agrees' jumps somewhere"):
        jax.jacfwd(agreement)(0.5)
    jax.jacfwd(lambda rate: _solved(law, rate, ()).test_error)(0.5)


def test_components_of_different_scale_have_bars_of_their_own(theory: dt.Trajectory) -> None:
    bars = _recorded(theory.standard_error)["both"] / _recorded(theory)["both"]
    assert np.all(bars[:, 0] < 0.2)


def test_what_is_recorded_counts_as_memory(law: dt.TeacherStudent, key: jax.Array) -> None:
    record = {"large": lambda shared, h, y: jnp.ones((300, 300)) * h[0]}
    with pytest.raises(ValueError, match="may be used"):
        dt.predict(law, SGD, key=key, record=record, max_memory=50_000_000, **SIZES)
    with pytest.raises(ValueError, match="may be used"):
        dt.simulate(law, SGD, key=key, record=record, max_memory=50_000_000, **RUNS)
