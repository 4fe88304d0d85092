"""A design is what the theory says is best: for one step of least squares the best rate is known exactly."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.ground.precision import double_precision
from dyntheory.verbs.studies.sweep.descent import Descent
from dyntheory.verbs.studies.sweep.points import Points, Question

KEY = jax.random.key(0)
NOISE, ALPHA = 0.5, 2.0
LAW, SINE = dt.TeacherStudent(ALPHA, noise_std=NOISE), dt.TeacherStudent(2.0, link="sin", noise_std=0.2)
METHOD = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.3)
NAMES = ("rate_0", "rate_1", "rate_2")


def _scheduled(num_steps: int, **rates: Any) -> Any:
    return dt.gradient_descent(dt.MLP((2,), "tanh"), dt.piecewise_sgd(num_steps, 3), **rates)


def _predicted(optimizer: Any, **rates: Any) -> np.ndarray:
    method = dt.gradient_descent(dt.LinearModel(), optimizer, **rates)
    found = dt.predict(LAW, method, num_steps=5, num_nodes=2**10, key=KEY).test_error
    assert found is not None
    return found


def _listed(a: Any, b: Any, c: Any, d: Any, e: Any) -> optax.GradientTransformation:
    """Descend with one rate for each step: what both schedules are compared with."""
    return optax.sgd(lambda count: jax.numpy.stack([a, b, c, d, e])[count])


def test_rates_are_linear_between_knots() -> None:
    rates = {"rate_0": 0.8, "rate_1": 0.2, "rate_2": 0.6}
    found = _predicted(dt.piecewise_sgd(5, 3), **rates)
    np.testing.assert_allclose(found, _predicted(_listed, a=0.8, b=0.5, c=0.2, d=0.4, e=0.6), rtol=1e-9)
    constant = _predicted(dt.piecewise_sgd(5, 3), **dict.fromkeys(rates, 0.5))
    assert np.abs(found[-1] / constant[-1] - 1) > 1e-3


def test_rates_rise_and_fall_along_a_cosine() -> None:
    rates = [0.4, 0.8, *(0.8 * (0.25 + 0.75 * (1 + np.cos(np.pi * part)) / 2) for part in (1 / 3, 2 / 3, 1.0))]
    found = _predicted(dt.cosine_sgd(5), peak=0.8, warmup=0.4, final=0.25)
    np.testing.assert_allclose(found, _predicted(_listed, **dict(zip("abcde", rates, strict=True))), rtol=1e-9)


@pytest.mark.parametrize(("name", "value"), [("peak", -0.1), ("final", -0.1), ("warmup", 1.5), ("warmup", -0.5)])
def test_parts_of_a_run_lie_inside_it(name: str, value: float) -> None:
    numbers: dict[str, Any] = {"peak": 0.5, "warmup": 0.2, "final": 0.1}
    method = dt.gradient_descent(dt.LinearModel(), dt.cosine_sgd(4), **numbers)
    with pytest.raises(ValueError, match=name):
        dt.sweep(LAW, method, over={name: [0.5, value]}, num_steps=2, num_nodes=2**10, key=KEY)
    if name != "peak":
        with pytest.raises((TypeError, ValueError), match=name):
            dt.gradient_descent(dt.LinearModel(), dt.cosine_sgd(4), **{**numbers, name: value})


def test_rates_of_knots_are_not_negative() -> None:
    method = dt.gradient_descent(dt.LinearModel(), dt.piecewise_sgd(2, 2), rate_0=0.1, rate_1=0.1)
    with pytest.raises(ValueError, match="`rate_0` must be zero or positive"):
        dt.sweep(LAW, method, over={"rate_0": [-0.5]}, num_steps=2, num_nodes=2**10, key=KEY)


@pytest.mark.full
def test_the_constant_choice_is_the_best_of_its_kind() -> None:
    """With numbers beside the tied ones: here the best is constant, so that nothing can be gained."""
    method = dt.gradient_descent(dt.LinearModel(), dt.piecewise_sgd(2, 2), rate_0=0.1, rate_1=0.1)
    over = {"rate_0": (0.0, 0.1), "rate_1": (0.0, 0.1), "noise_std": (0.1, 2.0)}
    options: dict[str, Any] = {"num_steps": 2, "num_nodes": 2**10, "key": KEY, "max_sweeps": 12, "population": 24}
    found = dt.design(LAW, method, over=over, tied=("rate_0", "rate_1"), **options)
    assert found.constant is not None
    assert found.best.values["noise_std"] == pytest.approx(0.1, abs=0.08)
    assert found.constant.values["noise_std"] == pytest.approx(0.1, abs=0.08)
    assert abs(found.gain) < 0.05 * found.best.predicted


def test_knots_must_fit_the_steps() -> None:
    with pytest.raises(ValueError, match="num_knots"):
        dt.piecewise_sgd(3, 4)
    with pytest.raises(ValueError, match="num_knots"):
        dt.piecewise_sgd(3, 1)


@pytest.mark.parametrize("search", [pytest.param("auto", marks=pytest.mark.full), "gradient"])
def test_the_best_rate_of_one_step_of_least_squares(search: str) -> None:
    """f(η) = 2 ((1 − η)² + η²/α) + η² σ²/α + σ² is least at η = 2/(2 + (2 + σ²)/α)."""
    best = 2 / (2 + (2 + NOISE**2) / ALPHA)
    options: dict[str, Any] = {"num_steps": 1, "num_nodes": 2**10, "key": KEY, "search": search}
    options |= {"max_sweeps": 6, "population": 8} if search == "gradient" else {"max_sweeps": 20}
    found = dt.design(LAW, METHOD, over={"learning_rate": (0.0, 2.0)}, **options)
    assert found.best.values["learning_rate"] == pytest.approx(best, abs=0.02)
    least = 2 * ((1 - best) ** 2 + best**2 / ALPHA) + best**2 * NOISE**2 / ALPHA + NOISE**2
    assert found.best.predicted == pytest.approx(least, rel=1e-3)
    assert found.constant is None
    assert list(found.history) == sorted(found.history, reverse=True)
    with pytest.raises(ValueError, match="tied"):
        found.gain  # noqa: B018


def test_gradients_of_a_search_are_those_of_sweeps() -> None:
    """Of log(error + two standard errors), by reverse differentiation and by differences of whole sweeps."""
    law, method = SINE, _scheduled(3, **dict.fromkeys(NAMES, 0.5))
    question = Question({"law": law, "method": method, "first_layer": None}, None, 3)
    bounds = {**dict.fromkeys(NAMES, (0.0, 2.0)), "noise_std": (0.0, 1.0)}
    with double_precision():
        descent = Descent(Points(question), bounds, KEY, 2**11, 0.0, early_stopping=False)
    at, step = np.array([0.4, 0.6, 0.5, 0.3]), 1e-5
    value, slope = descent(at)
    moved = [at, *(at + sign * step * row for row in np.eye(4) for sign in (1, -1))]
    points = [dict(zip(bounds, row, strict=True)) for row in moved]
    found = np.log(dt.sweep(law, method, over=points, num_steps=3, num_nodes=2**11, key=KEY).test_error.values[:, -1])
    assert value == pytest.approx(found[0], abs=1e-9)
    np.testing.assert_allclose(slope, (found[1::2] - found[2::2]) / (2 * step), rtol=1e-5, atol=1e-7)


def test_what_has_no_gradient_is_not_searched_by_one() -> None:
    relu = dt.gradient_descent(dt.MLP((2,), "relu"), optax.sgd, learning_rate=0.3)
    given: dict[str, Any] = {"num_steps": 1, "num_nodes": 2**10, "key": KEY, "search": "gradient"}
    with pytest.raises(ValueError, match=r"relu.*jumps.*search='evolution'"):
        dt.design(LAW, relu, over={"learning_rate": (0.0, 1.0)}, **given)

    def made(scale: float) -> dt.TeacherStudent:
        return dt.TeacherStudent(2.0, noise_std=scale**2)

    with pytest.raises(ValueError, match=r"scale is not a number.*search='evolution'"):
        dt.design(made, METHOD, over={"scale": (0.1, 1.0)}, **given)
    with pytest.raises(ValueError, match="search"):
        dt.design(LAW, METHOD, over={"learning_rate": (0.0, 1.0)}, **{**given, "search": "gradients"})


def test_training_may_stop_early() -> None:
    """With much noise and few samples the error of least squares rises again; the best step is not the last."""
    law = dt.TeacherStudent(1.0, noise_std=1.5)
    options: dict[str, Any] = {"num_steps": 6, "num_nodes": 2**12, "key": KEY, "max_sweeps": 2, "population": 6}
    found = dt.design(law, METHOD, over={"learning_rate": (0.1, 0.4)}, early_stopping=True, **options)
    whole = dt.design(law, METHOD, over={"learning_rate": (0.1, 0.4)}, **options)
    assert 0 < found.best.step < 6
    assert whole.best.step == 6
    assert found.best.predicted < whole.best.predicted


@pytest.fixture(scope="module")
def schedule() -> dt.Design:
    return dt.design(
        SINE,
        _scheduled(3, **dict.fromkeys(NAMES, 0.5)),
        over=dict.fromkeys(NAMES, (0.0, 4.0)),
        tied=NAMES,
        num_steps=3,
        num_nodes=2**11,
        population=12,
        max_sweeps=4,
        key=KEY,
        confirm={"num_features": 200, "num_runs": 16, "num_test_nodes": 2**11},
    )


def test_a_schedule_is_compared_with_the_best_constant_rate(schedule: dt.Design) -> None:
    assert schedule.constant is not None
    (constant,) = set(schedule.constant.values.values())
    assert 0.0 < constant < 4.0
    assert len(set(schedule.best.values.values())) == 3
    assert schedule.gain > -2 * schedule.gain_error
    assert schedule.history[-1] <= schedule.history[0]


def test_what_is_reported_comes_from_other_nodes_and_the_same_head(schedule: dt.Design) -> None:
    searched = schedule.history[-1]  # with two standard errors of the search
    assert 0 < searched - schedule.best.predicted < 6 * schedule.best.standard_error


def test_a_design_is_confirmed_by_training(schedule: dt.Design) -> None:
    gain = schedule.confirmed_gain
    assert gain is not None
    for choice in (schedule.best, schedule.constant):
        assert choice is not None and choice.simulated is not None and choice.simulated_error is not None
        error = np.hypot(choice.simulated_error, choice.standard_error)
        assert abs(choice.simulated - choice.predicted) < 4 * error + 0.05 * choice.predicted  # 1/d at d = 200
    assert "predicted gain" in str(schedule) and "simulated" in str(schedule)


def test_designs_are_saved(schedule: dt.Design, tmp_path: Path) -> None:
    assert dt.load(schedule.save(tmp_path / "design.nc")) == schedule


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"over": {"learning_rate": (2.0, 1.0)}}, ValueError, "lower and a higher"),
        ({"over": {"learning_rate": (1.0,)}}, TypeError, "two bounds"),
        ({"over": {}}, ValueError, "nothing to design"),
        ({"over": {"learning_rte": (0.0, 1.0)}}, ValueError, "Did you mean 'learning_rate'"),
        ({"over": {"learning_rate": (-1.0, 1.0)}}, ValueError, "learning_rate"),
        ({"tied": ("momentum", "learning_rate")}, ValueError, "not designed"),
        ({"tied": ("learning_rate",)}, ValueError, "two names or more"),
        ({"over": {"num_steps": (1.0, 4.0)}}, ValueError, "a whole number"),
        ({"confirm": {"num_features": 50, "num_runs": 1}}, ValueError, "num_runs of at least 2"),
        ({"confirm": {"num_features": "50", "num_runs": 2}}, TypeError, "num_features"),
        ({"confirm": {"num_feature": 100}}, ValueError, "Did you mean 'num_features'"),
        ({"confirm": {"num_runs": 4}}, ValueError, "`confirm` needs num_features"),
        ({"population": 2}, ValueError, "population"),
        ({"confirm": {"num_features": 50, "num_runs": 4, "num_heads": 2}}, ValueError, "num_heads"),
    ],
)
def test_what_makes_no_sense_is_refused(change: dict[str, Any], error: type[Exception], words: str) -> None:
    given: dict[str, Any] = {"over": {"learning_rate": (0.0, 1.0)}, "num_steps": 1, "num_nodes": 2**10, "key": KEY}
    with pytest.raises(error, match=words):
        dt.design(LAW, METHOD, **{**given, **change})
