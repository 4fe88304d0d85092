"""Ensembles: input laws, conditioning on a draw, heads, and runs that diverge."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.problem.laws.inputs import INPUTS, Sparse, StudentT

METHOD = dt.gradient_descent(dt.MLP((2,), "tanh"), optax.sgd, learning_rate=0.3)
LINEAR = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.3)


@pytest.mark.parametrize("name", INPUTS)
def test_input_laws_have_mean_zero_and_variance_one(name: str, key: jax.Array) -> None:
    draws = np.asarray(INPUTS[name](key, (400, 500)))
    assert abs(draws.mean()) < 5 / np.sqrt(draws.size)
    fourth = np.mean(draws**4)
    assert abs(draws.var() - 1) < 5 * np.sqrt(max(fourth - 1, 1e-3) / draws.size)


@pytest.mark.parametrize(("name", "law"), [("student_t", StudentT(5.0)), ("sparse", Sparse(0.1))])
def test_a_named_law_is_that_function(name: str, law: StudentT | Sparse, key: jax.Array) -> None:
    np.testing.assert_array_equal(INPUTS[name](key, (20, 30)), law(key, (20, 30)))
    assert law == dataclasses.replace(law) and hash(law) == hash(dataclasses.replace(law))


@pytest.mark.parametrize("make", [lambda: StudentT(2.0), lambda: Sparse(0.0), lambda: Sparse(1.5)])
def test_laws_without_variance_one_are_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        make()


def test_runs_do_not_depend_on_their_number(law: dt.TeacherStudent, key: jax.Array) -> None:
    few, many = (dt.simulate(law, METHOD, num_steps=3, num_features=30, num_runs=runs, key=key) for runs in (2, 6))
    assert few.per_run is not None and many.per_run is not None
    np.testing.assert_allclose(few.per_run.test_error, many.per_run.test_error[:2], rtol=1e-12)


def test_standard_error_is_the_spread_over_the_root_of_runs(law: dt.TeacherStudent, key: jax.Array) -> None:
    runs = dt.simulate(law, METHOD, num_steps=3, num_features=30, num_runs=8, key=key)
    assert runs.per_run is not None and runs.standard_error is not None
    values = np.asarray(runs.per_run.train_error)
    np.testing.assert_allclose(runs.train_error, values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(runs.standard_error.train_error, values.std(axis=0, ddof=1) / np.sqrt(8), rtol=1e-10)
    single = dt.simulate(law, METHOD, num_steps=3, num_features=30, num_runs=1, key=key)
    assert single.standard_error is None
    assert single.status.ok and str(single.status) == (
        "ok: one run has no standard errors, raise `num_runs` to two or more for every head"
    )
    assert not runs.status.message


@pytest.mark.full
def test_conditioning_on_a_draw_removes_most_of_the_spread(key: jax.Array) -> None:
    law = dt.TeacherStudent(3.0, "linear", 0.1)
    random = np.random.default_rng(0)
    draw = dt.FirstLayer.from_weights(random.standard_normal((200, 1)), random.standard_normal((200, 1)))
    options = {"num_steps": 4, "num_features": 200, "num_runs": 60, "key": key}
    free = dt.simulate(law, LINEAR, **options)
    given = dt.simulate(law, LINEAR, first_layer=draw, **options)
    theory = dt.predict(law, LINEAR, num_steps=4, key=key, first_layer=draw, num_nodes=2**12)
    assert given.standard_error is not None and free.standard_error is not None
    assert given.standard_error.test_error[1] < 0.6 * free.standard_error.test_error[1]
    assert given.standard_error.test_error[0] < 1e-12
    np.testing.assert_allclose(given.test_error[0], theory.test_error[0], rtol=1e-10)
    assert dt.compare(theory, given).verdict == "agree"


@pytest.mark.full
def test_heads_are_averaged_the_same_way(law: dt.TeacherStudent, key: jax.Array) -> None:
    options = {"num_steps": 3, "key": key, "num_heads": 3}
    theory = dt.predict(law, METHOD, num_nodes=2**11, **options)
    runs = dt.simulate(law, METHOD, num_features=300, num_runs=12, **options)
    assert theory.head is None and theory.provenance["num_heads"] == 3
    assert dt.compare(theory, runs).verdict != "disagree"
    single = dt.predict(law, METHOD, num_nodes=2**11, num_steps=3, key=key)
    assert abs(single.at(3)["test_error"] - theory.at(3)["test_error"]) > 1e-3


def test_divergence_is_reported_and_the_finite_part_kept(law: dt.TeacherStudent, key: jax.Array) -> None:
    wild = dt.gradient_descent(dt.MLP((2,), "quadratic"), optax.sgd, learning_rate=3.0)
    with pytest.warns(dt.DyntheoryWarning, match="diverged"):
        runs = dt.simulate(law, wild, num_steps=30, num_features=30, num_runs=4, key=key)
    assert runs.status.code == "diverged" and runs.num_diverged == 4
    assert runs.status.step is not None and 0 < runs.status.step < 30
    assert np.isfinite(runs.test_error[: runs.status.step]).all()
    assert np.isnan(runs.test_error[-1])
    with pytest.warns(dt.DyntheoryWarning, match="diverged: "):
        theory = dt.predict(law, wild, num_steps=30, key=key, num_nodes=2**12)
    assert theory.status.code == "diverged" and theory.status.step is not None
    assert np.isfinite(theory.test_error[: theory.status.step]).all()
    assert np.isnan(theory.test_error[-1])


def test_some_diverging_runs_are_counted_and_kept_apart() -> None:
    """Built by hand: two of four runs stop being finite at step 2, in two batches."""
    from dyntheory.dynamics.curves import Curves
    from dyntheory.dynamics.loop import Records
    from dyntheory.verbs.simulation.ensemble import Ensemble, Kept

    curve = np.arange(1.0, 13.0).reshape(4, 3)
    broken = curve.copy()
    broken[:2, 2] = np.inf
    ensemble = Ensemble({}, num_heads=1, num_steps=2, num_units=1, num_teacher_units=1, kept=Kept(True, False, True))
    for part in (slice(0, 1), slice(1, 4)):
        values, gram = broken[part], np.zeros((len(broken[part]), 3, 2, 2))
        records: Records = Records(values, values, gram, {}, values, {})  # pyright: ignore
        ensemble.add(Curves(records, values, values))  # pyright: ignore
    result = ensemble.result({})
    assert result.num_diverged == 2 and result.status.step == 2
    assert "2 of 4 runs diverged" in str(result.status)
    assert result.provenance["diverged_runs"] == [[0, 2], [1, 2]]
    np.testing.assert_allclose(result.train_error, curve[2:].mean(axis=0))
    assert result.covariance is not None and result.standard_error is not None
    np.testing.assert_allclose(result.covariance["test_error"], np.cov(curve[2:], rowvar=False))
    np.testing.assert_allclose(result.standard_error.test_error, curve[2:].std(axis=0, ddof=1) / np.sqrt(2))


def test_zero_steps_report_the_start(law: dt.TeacherStudent, key: jax.Array) -> None:
    theory = dt.predict(law, LINEAR, num_steps=0, key=key, num_nodes=2**11)
    runs = dt.simulate(law, LINEAR, num_steps=0, num_features=50, num_runs=2, key=key)
    assert theory.test_error is not None and theory.test_error.shape == (1,)
    assert runs.test_error is not None and runs.test_error.shape == (1,)


def test_rows_that_are_not_standardised_are_reported(law: dt.TeacherStudent, key: jax.Array) -> None:
    rows = 3 + np.random.default_rng(0).standard_normal((100, 20))
    with pytest.warns(dt.DyntheoryWarning, match="whiten them first"):
        dt.simulate(law, LINEAR, num_steps=1, num_features=20, num_runs=2, key=key, inputs=rows)


def test_progress_is_reported(law: dt.TeacherStudent, key: jax.Array) -> None:
    seen: list[float] = []
    dt.simulate(law, LINEAR, num_steps=1, num_features=20, num_runs=2, key=key, progress=lambda f, text: seen.append(f))
    assert seen[0] == 0.0 and seen[-1] == 1.0 and seen == sorted(seen)


def test_a_draw_in_single_precision_is_taken_in_double(key: jax.Array) -> None:
    law = dt.TeacherStudent(2.0, "sin_mixture", 0.3)
    method = dt.gradient_descent(dt.MLP((2,)), optax.sgd, learning_rate=0.3)
    rows = np.random.default_rng(1).standard_normal((40, 3))
    means = []
    for kind in (np.float32, np.float64):
        exact = rows.astype(np.float32).astype(kind)
        start = dt.FirstLayer(weights=exact[:, 1:], teacher_weights=exact[:, :1])
        sizes: dict[str, Any] = {"num_features": 40, "num_runs": 2, "num_steps": 2, "num_test_nodes": 2**6}
        means.append(dt.simulate(law, method, first_layer=start, key=key, **sizes).test_error)
    np.testing.assert_array_equal(*means)
