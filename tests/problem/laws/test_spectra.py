"""Correlated features: predictions and simulations against closed forms, the isotropic case, and each other."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory import closed_forms
from dyntheory.dynamics.curves import Curves
from dyntheory.gaussian.nodes import draw_nodes
from dyntheory.ground.linear_algebra import gauss_rule
from dyntheory.ground.precision import double_precision
from dyntheory.matrix.scaled import ScaledMatrix
from dyntheory.matrix.spectral_frame import num_spectral_nodes
from dyntheory.problem.prepared import prepare
from dyntheory.problem.shape import Shape
from dyntheory.spectra import Spectrum, power_law, spectrum_of, two_level
from dyntheory.verbs.prediction.pieces import LimitProblem, nets_for, solve
from tests.oracles import correlated_linear

LINEAR = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.3)
TANH = dt.gradient_descent(dt.MLP((2,)), optax.sgd, learning_rate=0.3, momentum=0.5)
ADAM = dt.gradient_descent(dt.MLP((2,)), optax.adam, learning_rate=0.1)
with double_precision():
    TWO = two_level(0.25, 9.0, alignment=(2.0, 0.5))
    GIVEN = Spectrum([3.0, 1.0, 0.3, 0.0], alignment=[0.2, 1.5, 0.0, 1.0], shares=[0.1, 0.4, 0.3, 0.2])
    POWER = power_law(1.2, num_modes=200, target_exponent=1.8)
    MILD = power_law(0.5, num_modes=50, target_exponent=1.0)


def _arrays(spectrum: Spectrum) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return λ, a and shares in double precision."""
    with double_precision():
        return np.asarray(spectrum.values), np.asarray(spectrum.powers), np.asarray(spectrum.weights)


def _solve(
    law: dt.TeacherStudent,
    method: dt.GeneralFirstOrderMethod,
    first: dt.FirstLayer,
    steps: int,
    *,
    has_feature_nodes: bool = False,
) -> Curves:
    """Return the limit on one small set of nodes, without its error bars."""
    with double_precision():
        ready = prepare(law, method, jax.random.key(0), head=None, first_layer=first, num_heads=1)
        problem = LimitProblem(ready.law, ready.method, ready.heads[0], ready.joint_second_moment)
        test = draw_nodes(2**10, Shape.of(law, method, 0).test_dimensions, num_heavy=1, seed=0)
        numbers: dict[str, Any] = {"num_steps": steps, "num_nodes": 2**10, "has_feature_nodes": has_feature_nodes}
        nets = nets_for(law, method, key=jax.random.key(1), **numbers)
        return solve(problem, nets, test, num_steps=steps)


def _least_squares(spectrum: Spectrum, steps: int) -> tuple[Curves, correlated_linear.Curves]:
    """Predict from w⁰ = 0.3 w* + rest, and the two-time equations for the same."""
    law = dt.TeacherStudent(1.3, "linear", 0.4, features=spectrum)
    values, powers, shares = _arrays(spectrum)
    rate = 0.5 / float(values.max())
    method = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=rate)
    theory = _solve(law, method, dt.FirstLayer(second_moment=[[0.5]], teacher_overlap=[[0.3]]), steps)
    apart = 0.49 * powers + (0.5 - 0.09)
    numbers: dict[str, Any] = {"alpha": 1.3, "rate": rate, "noise_std": 0.4, "num_steps": steps}
    return theory, correlated_linear.curves(values, shares, apart, **numbers)


@pytest.mark.parametrize(
    "spectrum",
    [GIVEN, POWER, pytest.param(TWO, marks=pytest.mark.full)],
    ids=["given", "power_law", "two_level"],
)
def test_least_squares_follows_the_two_time_equations(spectrum: Spectrum) -> None:
    theory, exact = _least_squares(spectrum, 12)
    np.testing.assert_allclose(theory.test_error, exact.test_error, rtol=1e-10)
    np.testing.assert_allclose(theory.records.train_error, exact.train_error, rtol=1e-10)


def test_the_two_time_equations_notice_a_missing_factor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: without √λ after Zᵀ."""

    def unscaled(self: ScaledMatrix, state: Any, g: Any) -> Any:
        return self.matrix.transpose_times(state, g)

    monkeypatch.setattr(ScaledMatrix, "transpose_times", unscaled)
    theory, exact = _least_squares(GIVEN, 13)
    assert np.max(np.abs(theory.test_error / exact.test_error - 1)) > 0.02


@pytest.mark.full
def test_long_runs_need_fewer_nodes_than_steps() -> None:
    """Beyond what is exact, Gauss's rule is so to rounding as long as training is stable."""
    steps = 160
    with double_precision():
        spectrum = power_law(0.8, num_modes=400, target_exponent=1.4)
    assert num_spectral_nodes(spectrum, steps) == 134
    theory, exact = _least_squares(spectrum, steps)
    np.testing.assert_allclose(theory.test_error, exact.test_error, rtol=1e-9)
    np.testing.assert_allclose(theory.records.train_error, exact.train_error, rtol=1e-9)


def test_equal_eigenvalues_are_the_isotropic_law() -> None:
    law = dt.TeacherStudent(2.0, "sin", 0.3)
    flat = dataclasses.replace(law, features=Spectrum(np.ones(5), shares=[0.1, 0.2, 0.3, 0.3, 0.1]))
    first = dt.FirstLayer(teacher_overlap=0.3 * np.ones((2, 1)))
    one, other = (_solve(it, TANH, first, 6) for it in (law, flat))
    np.testing.assert_allclose(one.records.train_error, other.records.train_error, rtol=1e-12)
    np.testing.assert_allclose(one.test_error, other.test_error, rtol=1e-12)
    np.testing.assert_allclose(one.records.gram, other.records.gram, rtol=1e-12, atol=1e-14)


@pytest.mark.full
def test_ridge_is_where_weight_decay_ends(key: jax.Array) -> None:
    penalty, alpha = 1.0, 1.5
    law = dt.TeacherStudent(alpha, "linear", 0.5, features=TWO)
    chain = lambda learning_rate: optax.chain(optax.add_decayed_weights(penalty), optax.sgd(learning_rate))  # noqa: E731
    method = dt.gradient_descent(dt.LinearModel(), chain, learning_rate=0.18)
    first = dt.FirstLayer(second_moment=[[0.0]])
    theory = dt.predict(law, method, num_steps=100, key=key, first_layer=first, keep_preactivations=False)
    values, powers, shares = _arrays(TWO)
    count = 4000  # features; the formula needs ratios only
    modes = np.repeat(np.arange(2), np.round(shares * count).astype(int))
    risk = closed_forms.ridge_general(
        alpha * count,
        penalty,
        eigenvalues=values[modes],
        target_coefficients=np.sqrt(powers[modes] / count),
        noise_std=0.5,
    )
    np.testing.assert_allclose(theory.test_error[-1], risk.test_error, rtol=1e-7)
    np.testing.assert_allclose(theory.train_error[-1], risk.train_error, rtol=1e-7)


def _z_scores(
    law: dt.TeacherStudent, method: Any, key: jax.Array, *, sizes: tuple[int, int], **options: Any
) -> np.ndarray:
    """Return z-scores at steps 0..8, for (d, runs), after a gate on the standard errors."""
    numbers: dict[str, Any] = {"num_steps": 8, "key": key, "keep_preactivations": False, **options}
    theory = dt.predict(law, method, **numbers, num_nodes=2**13)
    simulated = dt.simulate(
        law, method, **numbers, num_features=sizes[0], num_runs=sizes[1], matrix="revealed", num_test_nodes=2**11
    )
    assert theory.standard_error is not None and simulated.standard_error is not None
    scores = []
    for name in ("train_error", "test_error"):
        bar = np.hypot(getattr(theory.standard_error, name), getattr(simulated.standard_error, name))
        assert np.all(bar < 0.025 * getattr(theory, name))
        scores.append((getattr(theory, name) - getattr(simulated, name)) / bar)
    return np.abs(np.concatenate(scores))


@pytest.mark.full
@pytest.mark.parametrize("spectrum", [MILD, TWO], ids=["power_law", "two_level"])
def test_networks_follow_their_simulation(spectrum: Spectrum, key: jax.Array) -> None:
    law = dt.TeacherStudent(2.0, "sin", 0.3, features=spectrum)
    assert _z_scores(law, TANH, key, sizes=(1000, 24)).max() < 4


@pytest.mark.full
def test_adam_follows_its_simulation(key: jax.Array) -> None:
    law = dt.TeacherStudent(2.0, "sin", 0.3, features=TWO)
    assert _z_scores(law, ADAM, key, sizes=(1000, 24)).max() < 4


@pytest.mark.full
def test_steep_spectra_need_many_features(key: jax.Array) -> None:
    """With an eigenvalue of 52 on one feature in 200 the gap to the limit closes as 1/d: 16 %, 3.5 %, none seen."""
    law = dt.TeacherStudent(2.0, "sin", 0.3, features=POWER)
    theory = dt.predict(law, TANH, num_steps=8, key=key)
    gaps = []
    for d, runs in ((400, 100), (1600, 100)):
        simulated = dt.simulate(law, TANH, num_steps=8, key=key, num_features=d, num_runs=runs, matrix="revealed")
        gaps.append(theory.train_error[-1] / simulated.train_error[-1] - 1)
    assert 0.1 < gaps[0] < 0.3
    assert 2.0 < gaps[0] / gaps[1] < 8.0
    assert _z_scores(law, TANH, key, sizes=(12_800, 12)).max() < 4


def _moments(spectrum: Spectrum, weights: Any, modes: Any = slice(None)) -> np.ndarray:
    """Return the means of 1, λ, λ a and λ² over modes with these weights."""
    values, powers = np.asarray(spectrum.values)[modes], np.asarray(spectrum.powers)[modes]
    return np.asarray(weights) @ np.stack([np.ones_like(values), values, values * powers, values**2], axis=1)


def _many_modes() -> dict[str, Spectrum]:
    """Return 20,000 modes: two power laws, a teacher that is wild along the modes, modes in no order."""
    random = np.random.default_rng(0)
    steep, flat = power_law(1.2, num_modes=20_000, target_exponent=1.8), power_law(0.5, num_modes=20_000)
    wild = Spectrum(flat.eigenvalues, random.chisquare(1, 20_000))
    return {"steep": steep, "flat": flat, "wild": wild, "mixed": Spectrum(random.permutation(wild.values))}


def test_few_nodes_stand_for_many_modes() -> None:
    """2048 nodes, one tenth of the modes; without the weights of the neighbours moments are off by 20 % and more."""
    with double_precision():
        places = (np.arange(2048) + np.random.default_rng(1).random(2048)) / 2048
        for name, spectrum in _many_modes().items():
            modes, weights = spectrum.modes_on_nodes(jnp.asarray(places))
            exact = _moments(spectrum, spectrum.weights)
            found = _moments(spectrum, weights, modes)
            np.testing.assert_allclose(found[:3], exact[:3], rtol=5e-3 if name == "wild" else 1e-3)
            np.testing.assert_allclose(found[3], exact[3], rtol=0.03)
            hits = np.bincount(modes, minlength=spectrum.num_modes)[modes]
            equal = _moments(spectrum, 1.0 / hits / np.sum(1.0 / hits), modes)
            assert abs(equal[1] / exact[1] - 1) > 0.05


def test_many_modes_on_nodes_are_those_of_the_frame() -> None:
    """Descent has an exact frame, so its nodes can be judged: 20,000 modes on 1024 of them."""
    law = dt.TeacherStudent(1.3, "linear", 0.3, features=_many_modes()["steep"])
    first = dt.FirstLayer(teacher_overlap=[[0.3]])
    exact, found = (_solve(law, LINEAR, first, 3, has_feature_nodes=nodes) for nodes in (False, True))
    np.testing.assert_allclose(found.test_error, exact.test_error, rtol=0.02)
    np.testing.assert_allclose(found.records.train_error, exact.records.train_error, rtol=0.02)


@pytest.mark.full
def test_adam_follows_its_simulation_on_thousands_of_modes(key: jax.Array) -> None:
    with double_precision():
        law = dt.TeacherStudent(2.0, "sin", 0.3, features=power_law(0.5, num_modes=3000, target_exponent=1.0))
    assert _z_scores(law, ADAM, key, sizes=(3000, 24)).max() < 4


@pytest.mark.full
@pytest.mark.parametrize("method", [TANH, ADAM], ids=["frame", "nodes"])
def test_a_given_draw_predicts_its_own_runs(method: dt.GeneralFirstOrderMethod, key: jax.Array) -> None:
    """A draw whose powers do not follow the law: large weights where the eigenvalue is large."""
    d = 1200
    law = dt.TeacherStudent(2.0, "sin", 0.3, features=TWO)
    random = np.random.default_rng(5)
    is_strong = np.arange(d) < d / 4
    teacher = random.normal(size=(d, 1)) * np.where(is_strong, 1.6, 0.4)[:, None]
    weights = random.normal(size=(d, 2)) * np.where(is_strong, 0.3, 1.2)[:, None] + 0.5 * teacher
    first = dt.FirstLayer.from_weights(weights, teacher)
    assert _z_scores(law, method, key, sizes=(d, 60), first_layer=first).max() < 4
    without = dt.FirstLayer(second_moment=weights.T @ weights / d, teacher_overlap=weights.T @ teacher / d)
    wrong = dt.predict(law, method, num_steps=8, key=key, first_layer=without)
    right = dt.predict(law, method, num_steps=8, key=key, first_layer=first)
    assert abs(wrong.test_error[-1] / right.test_error[-1] - 1) > 0.1


def test_gauss_rule_has_the_moments_of_its_measure() -> None:
    with double_precision():
        points, masses = jnp.asarray(np.arange(1, 41) ** -1.5), jnp.asarray(np.linspace(0.0, 2.0, 40))
        nodes, weights = gauss_rule(points, masses, 7)
        for power in range(14):
            exact = math.fsum((points**power * masses).tolist())
            assert abs(float(weights @ nodes**power) / exact - 1) < 1e-12
        assert abs(float(weights @ nodes**14) / math.fsum((points**14 * masses).tolist()) - 1) > 1e-15
        few = gauss_rule(jnp.asarray([1.0, 2.0, 3.0, 4.0]), jnp.asarray([0.0, 1.0, 0.0, 2.0]), 3)
        np.testing.assert_allclose([few[1].sum(), few[1] @ few[0], few[1] @ few[0] ** 2], [3.0, 10.0, 36.0], rtol=1e-13)


@pytest.mark.full
def test_dense_and_revealed_matrices_agree(key: jax.Array) -> None:
    law = dt.TeacherStudent(2.0, "linear", 0.3, features=GIVEN)
    numbers: dict[str, Any] = {"num_steps": 4, "num_features": 40, "num_runs": 400, "key": key, "num_test_nodes": 2**8}
    one, other = (dt.simulate(law, LINEAR, **numbers, matrix=name) for name in ("dense", "revealed"))
    assert one.standard_error is not None and other.standard_error is not None
    for name in ("train_error", "test_error"):
        bar = np.hypot(getattr(one.standard_error, name), getattr(other.standard_error, name))
        assert np.all(bar < 0.05 * getattr(one, name))
        assert np.all(np.abs(getattr(one, name) - getattr(other, name)) < 4 * bar)


def test_other_inputs_are_tested_on_correlated_rows(key: jax.Array) -> None:
    """With one step of nothing the test error is that of the start: E[λ a] + σ² on fresh rows."""
    law = dt.TeacherStudent(1.0, "linear", 0.3, features=GIVEN)
    first = dt.FirstLayer(second_moment=[[0.0]])
    runs = dt.simulate(
        law, LINEAR, num_steps=0, num_features=50, num_runs=400, key=key, first_layer=first, inputs="rademacher"
    )
    assert runs.standard_error is not None
    bar = runs.standard_error.test_error[0]
    assert bar < 0.03 * runs.test_error[0]
    assert abs(runs.test_error[0] - (0.1 * 0.6 + 0.4 * 1.5 + 0.09)) < 4 * bar


def test_features_are_shared_out_as_evenly_as_they_go() -> None:
    with double_precision():
        np.testing.assert_array_equal(np.bincount(GIVEN.modes_of(10)), [1, 4, 3, 2])
        np.testing.assert_array_equal(POWER.modes_of(200), np.arange(200))
        modes, weights = POWER.modes_on_nodes(jnp.asarray((np.arange(2048) + 0.5) / 2048))
        np.testing.assert_allclose(np.bincount(modes, np.asarray(weights)), np.full(200, 0.005), rtol=1e-12)
        values, powers, shares = _arrays(POWER)
    np.testing.assert_allclose([shares @ values, shares @ (values * powers)], 1.0, rtol=1e-12)
    slopes = [np.log(curve[99] / curve[0]) / np.log(100) for curve in (values, values * powers)]
    np.testing.assert_allclose(slopes, [-1.2, -1.8], rtol=1e-12)
    rows = np.random.default_rng(0).normal(size=(50, 8))
    np.testing.assert_allclose(
        np.sort(spectrum_of(rows).eigenvalues), np.linalg.eigvalsh(np.cov(rows.T, bias=True)), rtol=1e-12
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Spectrum([1.0, -1.0]), "zero or positive"),
        (lambda: Spectrum([0.0]), "must hold a positive one"),
        (lambda: Spectrum([1.0, 2.0], alignment=[1.0]), "one number for each of the 2 eigenvalues"),
        (lambda: Spectrum([1.0, 2.0], shares=[0.5, 0.4]), "must sum to one"),
        (lambda: Spectrum(2.0), r"must have shape \(p,\)"),
        (lambda: two_level(1.0, 2.0), "between 0 and 1"),
        (lambda: power_law(-1.0, num_modes=3), "zero or positive"),
        (lambda: spectrum_of([1.0]), r"must have shape \(N, p\)"),
    ],
)
def test_bad_spectra_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_features_must_be_a_spectrum() -> None:
    with pytest.raises(TypeError, match="spectrum_of"):
        dt.TeacherStudent(1.0, features=np.eye(3))  # pyright: ignore


def test_responses_refuse_correlated_features(key: jax.Array) -> None:
    law = dt.TeacherStudent(1.0, features=TWO)
    with pytest.raises(ValueError, match="independent features"):
        dt.responses(law, LINEAR, num_steps=2, key=key)
