"""A sweep is a loop of `predict` in fewer programs: the same numbers, bars and outcomes at every point."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.ground.sealed_files import CheckpointError
from dyntheory.results.trajectory import CURVES
from tests.verbs.killing import Killed, die_after

KEY = jax.random.key(3)
LAW = dt.TeacherStudent(2.0, link="sin", noise_std=0.3)
METHOD = dt.gradient_descent(dt.MLP((2,), "tanh"), optax.sgd, learning_rate=0.5)
OPTIONS: dict[str, Any] = {"num_nodes": 2**10, "key": KEY}
STEPS = 3  # of as many tests as can: they share programs
FIELDS = (*CURVES, "teacher_overlap", "weight_overlap")
RTOL = 1e-9


def check_point(point: Any, law: dt.TeacherStudent, method: Any, num_steps: int, **options: Any) -> None:
    """Compare one point of a sweep with `predict`."""
    wanted = dt.predict(law, method, num_steps=num_steps, **OPTIONS, **options)
    assert wanted.standard_error is not None
    states, units = num_steps + 1, method.num_units
    for name in FIELDS:
        there = point[name].values[:states]
        there = there[:, :units] if name in ("teacher_overlap", "weight_overlap") else there
        there = there[..., :units] if name == "weight_overlap" else there
        np.testing.assert_allclose(there, getattr(wanted, name), rtol=RTOL, atol=RTOL)
        errors = getattr(wanted.standard_error, name)
        found = point[f"{name}_standard_error"].values[:states]
        np.testing.assert_allclose(found[tuple(map(slice, errors.shape))], errors, rtol=1e-6, atol=1e-9)
    assert str(point.status.values) == wanted.status.code


def test_every_point_of_a_grid_is_what_predict_says() -> None:
    over = {"samples_per_feature": [1.0, 3.0], "learning_rate": [0.2, 0.7], "noise_std": [0.0, 0.5]}
    found = dt.sweep(LAW, METHOD, over=over, num_steps=STEPS, **OPTIONS)
    assert found.test_error.dims == (*over, "step")
    assert found.weight_overlap.dims == (*over, "step", "unit", "unit_")
    for alpha, rate, noise in ((1.0, 0.2, 0.0), (3.0, 0.7, 0.5), (1.0, 0.7, 0.5)):
        point = found.sel(samples_per_feature=alpha, learning_rate=rate, noise_std=noise)
        law = dt.TeacherStudent(alpha, link="sin", noise_std=noise)
        check_point(point, law, dt.gradient_descent(dt.MLP((2,), "tanh"), optax.sgd, learning_rate=rate), STEPS)


@pytest.mark.parametrize(
    ("method", "name", "values"),
    [
        pytest.param(
            dt.gradient_descent(dt.MLP((2,), "tanh"), optax.adam, learning_rate=0.1),
            "learning_rate",
            [0.05, 0.2],
            marks=pytest.mark.full,
        ),
        (dt.mini_batches(METHOD, 0.5), "fraction", [0.25, 1.0]),
        pytest.param(
            dt.gradient_descent(dt.MLP((2,)), optax.sgd, learning_rate=0.1, momentum=0.5),
            "momentum",
            [0.0, 0.9],
            marks=pytest.mark.full,
        ),
        pytest.param(
            dt.gradient_descent(dt.LinearModel(), dt.ista, learning_rate=0.3, penalty=0.1),
            "penalty",
            [0.05, 0.3],
            marks=pytest.mark.full,
        ),
    ],
    ids=["adam", "mini-batches", "momentum", "ista"],
)
def test_numbers_of_methods(method: Any, name: str, values: list[float]) -> None:
    law = dt.TeacherStudent(2.0, noise_std=0.3, teacher_prior=dt.priors.bernoulli_gauss(0.5))
    found = dt.sweep(law, method, over={name: values}, num_steps=3, **OPTIONS)

    def replaced(tree: Any, value: float) -> Any:
        return {
            key: replaced(branch, value) if isinstance(branch, dict) else value if key == name else branch
            for key, branch in tree.items()
        }

    for place, value in enumerate(values):
        point = dataclasses.replace(method, hyperparameters=replaced(method.hyperparameters, value))
        check_point(found.isel({name: place}), law, point, 3)


def test_functions_make_widths_activations_and_starts() -> None:
    def method(width: int, activation: str) -> Any:
        return dt.gradient_descent(dt.MLP((width,), activation), optax.sgd, learning_rate=0.1)

    def start(width: int, scale: float) -> dt.FirstLayer:
        return dt.FirstLayer(second_moment=scale**2 * np.eye(width))

    over = {"width": [1, 2], "activation": ["relu"], "learning_rate": [0.1, 0.4], "scale": [0.5, 1.0]}
    found = dt.sweep(LAW, method, over=over, first_layer=start, num_steps=2, **OPTIONS)
    assert list(found.activation.values) == ["relu"]
    point = found.sel(width=2, activation="relu", learning_rate=0.1, scale=1.0)
    check_point(point, LAW, method(2, "relu"), 2, first_layer=start(2, 1.0))
    rest = {name: over[name] for name in ("learning_rate", "scale")}
    plain = dt.sweep(
        LAW, method(1, "relu"), over=rest, first_layer=lambda scale: start(1, scale), num_steps=2, **OPTIONS
    )
    narrow = found.sel(width=1, activation="relu")
    np.testing.assert_array_equal(narrow.test_error, plain.test_error)
    np.testing.assert_array_equal(narrow.teacher_overlap.isel(unit=[0]), plain.teacher_overlap)
    assert np.isnan(found.teacher_overlap.sel(width=1).isel(unit=1)).all()


@pytest.mark.full
def test_lists_of_points_and_numbers_of_steps() -> None:
    points = [{"num_steps": 2, "link": "sin"}, {"num_steps": 4, "link": "tanh"}, {"num_steps": 0, "link": "sin"}]
    found = dt.sweep(LAW, METHOD, over=points, **OPTIONS)
    assert found.test_error.dims == ("point", "step")
    assert list(found.link.values) == ["sin", "tanh", "sin"]
    for place, point in enumerate(points):
        steps = int(point["num_steps"])
        check_point(found.isel(point=place), dataclasses.replace(LAW, link=point["link"]), METHOD, steps)
        assert np.isnan(found.test_error.isel(point=place).values[steps + 1 :]).all()


@pytest.fixture(scope="module")
def drawn() -> tuple[Any, dict[str, Any]]:
    """Return a sweep over n/d with a draw, a head and order parameters, and these options."""
    rng = np.random.default_rng(0)
    draw = dt.FirstLayer.from_weights(rng.standard_normal((40, 2)), rng.standard_normal((40, 1)))
    record = {"h2": lambda shared, h, y: h**2, "both": lambda shared, h, y: {"a": h[0], "b": h[0] * y}}
    head = jax.tree.map(lambda leaf: 0.5 + 0.0 * leaf, METHOD.init_head(KEY))
    options = {"head": head, "first_layer": draw, "record": record}
    return dt.sweep(LAW, METHOD, over={"samples_per_feature": [1.0, 2.0]}, num_steps=2, **OPTIONS, **options), options


def test_order_parameters_have_errors(drawn: tuple[Any, dict[str, Any]]) -> None:
    found, options = drawn
    wanted = dt.predict(LAW, METHOD, num_steps=2, **OPTIONS, **options)
    assert wanted.recorded is not None
    point = found.isel(samples_per_feature=1)
    np.testing.assert_allclose(point.h2, wanted.recorded["h2"], rtol=RTOL)
    np.testing.assert_allclose(point["both['b']"], wanted.recorded["both"]["b"], rtol=RTOL, atol=RTOL)
    assert (found.h2_standard_error > 0).all()


def test_draws_and_heads_are_shared_by_all_points(drawn: tuple[Any, dict[str, Any]]) -> None:
    found, options = drawn
    check_point(found.isel(samples_per_feature=1), LAW, METHOD, 2, **options)
    assert np.abs(found.test_error.values[0] - found.test_error.values[1]).max() > 1e-3


def test_a_point_that_diverges_stops_nobody() -> None:
    with pytest.warns(dt.DyntheoryWarning, match="Of 3 results 1 diverged") as told:
        found = dt.sweep(LAW, METHOD, over={"learning_rate": [0.5, 1e20, 0.6]}, num_steps=STEPS, **OPTIONS)
    assert len(told) == 1
    assert list(found.status.values) == ["ok", "diverged", "ok"]
    assert found.status_step.values[1] > 0
    assert "learning rate" in str(found.status_message.values[1])
    assert found.test_error.values[1, -1] > 1e100
    check_point(found.isel(learning_rate=2), LAW, dt.gradient_descent(dt.MLP((2,)), learning_rate=0.6), STEPS)


def test_points_of_one_program_compile_once() -> None:
    from dyntheory.verbs.studies.sweep import programs

    before = sum(one.num_programs for one in programs._SOLVE.values())
    method = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.5)
    dt.sweep(LAW, method, over={"learning_rate": np.linspace(0.1, 1.0, 17)}, num_steps=5, **OPTIONS)
    assert sum(one.num_programs for one in programs._SOLVE.values()) == before + 1


HEADS = dt.gradient_descent(dt.MLP((2,)), optax.sgd, learning_rate=0.5, head_learning_rate=0.1)


@pytest.mark.parametrize(
    ("over", "error", "words"),
    [
        ({"learning_rat": [0.1]}, ValueError, "Did you mean 'learning_rate'"),
        ({"sample_per_feature": [1.0]}, ValueError, "Did you mean 'samples_per_feature'"),
        ({"learning_rate": [0.1, -0.2]}, ValueError, "learning_rate"),
        ({"noise_std": [0.1, -0.2]}, ValueError, "noise_std"),
        ({"samples_per_feature": [0.0, 1.0]}, ValueError, "samples_per_feature"),
        ({"learning_rate": [0.1, float("nan")]}, ValueError, "finite"),
        ({"learning_rate": ["a"]}, TypeError, "numbers"),
        ({"learning_rate": []}, ValueError, "no values"),
        ({"learning_rate": 0.1}, TypeError, "list of values"),
        ({"noise_std": [0.1, 0.1]}, ValueError, "twice"),
        ({"num_steps": [1, 2.5]}, TypeError, "num_steps"),
        ({"step": [1]}, ValueError, "dimension"),
        ({}, ValueError, "nothing"),
        ([], ValueError, "no points"),
        ([{"noise_std": 0.1}, {"learning_rate": 0.1}], ValueError, "same things"),
        ([0.1], TypeError, "dictionary"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_anything_runs(over: Any, error: type[Exception], words: str) -> None:
    def forbidden(fraction: float, text: str) -> None:
        raise AssertionError("it ran")

    steps = None if isinstance(over, dict) and "num_steps" in over else 2
    with pytest.raises(error, match=words):
        dt.sweep(LAW, METHOD, over=over, num_steps=steps, progress=forbidden, **OPTIONS)


def test_heads_with_rates_of_their_own_must_be_named() -> None:
    with pytest.raises(ValueError, match=r"first_layer.learning_rate, head.learning_rate"):
        dt.sweep(LAW, HEADS, over={"learning_rate": [0.1, 0.2]}, num_steps=1, **OPTIONS)
    names = ("head.learning_rate", "head_learning_rate", "first_layer.learning_rate")
    found = [dt.sweep(LAW, HEADS, over={name: [0.1, 0.9]}, num_steps=2, **OPTIONS) for name in names]
    own = dt.gradient_descent(dt.MLP((2,)), optax.sgd, learning_rate=0.5, head_learning_rate=0.9)
    wanted = dt.sweep(LAW, own, over={"noise_std": [0.1, 0.3]}, num_steps=2, **OPTIONS)
    np.testing.assert_array_equal(found[0].test_error[1], wanted.test_error[1])
    np.testing.assert_array_equal(found[0].test_error, found[1].test_error)
    assert not np.allclose(found[0].test_error.values[1], found[2].test_error.values[1])


def test_functions_need_what_they_take() -> None:
    with pytest.raises(ValueError, match="`method` takes width"):
        dt.sweep(LAW, lambda width: METHOD, over={"noise_std": [0.1]}, num_steps=1, **OPTIONS)
    with pytest.raises(TypeError, match="`law` must make a TeacherStudent"):
        dt.sweep(lambda x: x, METHOD, over={"x": [0.1]}, num_steps=1, **OPTIONS)  # pyright: ignore[reportArgumentType]
    both = dt.generalized_amp("gaussian", noise_std=0.3)
    with pytest.raises(ValueError, match="Law and method both have 'noise_std'"):
        dt.sweep(LAW, both, over={"noise_std": [0.1]}, num_steps=1, **OPTIONS)
    with pytest.raises(ValueError, match="`fraction` is `fraction` of mini_batches"):
        dt.sweep(LAW, dt.mini_batches(METHOD, 0.5), over={"fraction": [0.0, 0.5]}, num_steps=1, **OPTIONS)
    with pytest.raises(ValueError, match="num_steps"):
        dt.sweep(LAW, METHOD, over={"noise_std": [0.1]}, **OPTIONS)
    with pytest.raises(ValueError, match="memory"):
        dt.sweep(LAW, METHOD, over={"noise_std": [0.1]}, num_steps=9, max_memory=1e3, **OPTIONS)


OVER = {"samples_per_feature": [1.0, 2.0, 3.0], "link": ["sin", "tanh"]}


@pytest.mark.parametrize("count", [1, pytest.param(4, marks=pytest.mark.full)])
def test_a_killed_sweep_goes_on_to_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    def run(**options: Any) -> Any:
        return dt.sweep(LAW, METHOD, over=OVER, num_steps=STEPS, **OPTIONS, **options)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        die_after(patch, count)
        run(checkpoint=tmp_path / "kept")
    with pytest.raises(CheckpointError, match="resume"):
        run(checkpoint=tmp_path / "kept")
    kept = len(list((tmp_path / "kept").glob("points_*")))
    assert kept == count
    resumed = run(checkpoint=tmp_path / "kept", resume=True)
    assert resumed.identical(run())
    other = OVER | {"samples_per_feature": [1.0, 2.0, 3.0 + 1e-15]}
    with pytest.raises(CheckpointError, match="another computation"):
        dt.sweep(LAW, METHOD, over=other, num_steps=STEPS, checkpoint=tmp_path / "kept", resume=True, **OPTIONS)


class Dying(ThreadPoolExecutor):
    """Workers of which the first that works on each piece dies."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        piece, tried = args[0], self.__dict__.setdefault("tried", set())
        if piece.name in tried:
            return super().submit(fn, *args, **kwargs)
        tried.add(piece.name)

        def die() -> None:
            raise OSError("the worker died")

        return super().submit(die)


def test_a_piece_whose_worker_dies_is_done_by_another() -> None:
    def run(**options: Any) -> Any:
        return dt.sweep(LAW, METHOD, over=OVER, num_steps=STEPS, **OPTIONS, **options)

    with Dying(2) as executor:
        assert run(executor=executor).identical(run())


def test_one_that_always_dies_is_told() -> None:
    class Dead(ThreadPoolExecutor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            def die() -> None:
                raise OSError("no machine")

            return super().submit(die)

    with Dead(1) as executor, pytest.raises(OSError, match="no machine"):
        dt.sweep(LAW, METHOD, over=OVER, num_steps=STEPS, executor=executor, **OPTIONS)


def test_progress_tells_points_and_time() -> None:
    told: list[tuple[float, str]] = []
    dt.sweep(LAW, METHOD, over=OVER, num_steps=STEPS, progress=lambda *now: told.append(now), **OPTIONS)
    assert [fraction for fraction, _ in told] == sorted(fraction for fraction, _ in told)
    assert told[-1] == (1.0, "6 of 6 points, 0 s left")
