"""Adam and other row-wise optimizers in one pass: against exact least squares, against runs, and what is refused."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import special

import dyntheory as dt
from dyntheory.flows.online import long_run
from dyntheory.ground.precision import double_precision

KEY = jax.random.key(0)
LAW = dt.TeacherStudent(1.0, noise_std=0.5)
TIMES = np.array([0.0, 0.5, 1.0, 2.0])


@pytest.fixture(autouse=True)
def few_chains(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer chains, and so larger bars."""
    monkeypatch.setattr(long_run, "NUM_CHAINS", 504)
    monkeypatch.setattr(long_run, "NUM_GROUPS", 12)
    monkeypatch.setattr(long_run, "NUM_FORGOTTEN", 32)
    monkeypatch.setattr(long_run, "NUM_WINDOWS", 128)


def predicted(optimizer: Any, rate: float, **numbers: Any) -> dt.OnlineTrajectory:
    return dt.online.adaptive_least_squares(LAW, optimizer, learning_rate=rate, time=TIMES, key=KEY, **numbers)


@pytest.mark.parametrize("momentum", [0.8, pytest.param(0.0, marks=pytest.mark.full)])
def test_plain_steps_and_momentum_are_those_of_exact_least_squares(momentum: float) -> None:
    found = predicted(optax.sgd, 0.6 * (1 - momentum), momentum=momentum)
    exact = dt.online.least_squares(LAW, learning_rate=0.6, time=TIMES)
    assert found.status.ok
    for name in ("excess_error", "weight_overlap", "teacher_overlap"):
        off, bar = (
            np.ravel(one)[1:]
            for one in (getattr(found, name) - getattr(exact, name), getattr(found.standard_error, name))
        )
        assert np.all(bar < 0.02) and np.all(np.abs(off) < 4 * bar), name


CASES = {
    "adam": (optax.adam, 0.6, {"b1": 0.9, "b2": 0.95}),
    "adam with a large epsilon": (optax.adam, 0.6, {"b1": 0.9, "b2": 0.95, "eps": 0.5}),
    "signs": (optax.sign_sgd, 0.4, {}),
}


@pytest.mark.parametrize(
    "case", ["adam", *(pytest.param(one, marks=pytest.mark.full) for one in CASES if one != "adam")]
)
def test_runs_agree_with_the_limit(case: str) -> None:
    optimizer, rate, numbers = CASES[case]
    theory = predicted(optimizer, rate, **numbers)
    runs = dt.online.simulate_adaptive_least_squares(
        LAW, optimizer, num_features=300, learning_rate=rate, time=TIMES, num_runs=40, key=KEY, **numbers
    )
    assert theory.status.ok and runs.num_diverged == 0
    scores = runs.z_scores(theory)["excess_error"]
    bars: Any = runs.standard_error
    assert np.max(bars.excess_error[1:] / runs.excess_error[1:]) < 0.025
    assert np.max(np.abs(scores)) < 4
    # Negative control: as if it were SGD of the same size of steps.
    plain = dt.online.least_squares(LAW, learning_rate=rate, time=TIMES)
    assert np.max(np.abs(runs.z_scores(plain)["excess_error"])) > 6


def clipped(learning_rate: Any) -> optax.GradientTransformation:
    """Gradients clipped entry by entry: c and D are no powers of s."""
    return optax.chain(optax.clip(0.5), optax.scale(-learning_rate))


def clipped_after(learning_rate: Any) -> optax.GradientTransformation:
    return optax.chain(optax.scale(-learning_rate), optax.clip(5.0))


def lopsided(learning_rate: Any) -> optax.GradientTransformation:
    half = optax.stateless(lambda updates, _: jax.tree.map(lambda g: jnp.where(g > 0, g, 0.5 * g), updates))
    return optax.chain(half, optax.scale(-learning_rate))


def stopping(learning_rate: Any) -> optax.GradientTransformation:
    stop = optax.scale_by_schedule(lambda count: jnp.where(jnp.asarray(count) > 10**6, 0.0, 1.0))
    return optax.chain(stop, optax.scale(-learning_rate))


def found_for(optimizer: Any, ends: tuple[float, float]) -> long_run.LongRun:
    with double_precision():
        return long_run.long_run(optimizer, (), {"learning_rate": jnp.asarray(1.0)}, ends, KEY)


@pytest.mark.full
def test_signs_have_their_known_constants() -> None:
    """ψ = sign p: c = (2/π)/s and D = 1, straight lines that two deviations tell."""
    found = found_for(optax.sign_sgd, (0.5, 2.0))
    assert found.far.shape[-1] == 2 and np.abs(found.missed).max() < 1e-12
    for values, known in ((found.pull, 2 / np.pi / found.deviations), (found.spread, np.ones(28))):
        mean, error = np.mean(values, axis=0), np.std(values, axis=0, ddof=1) / np.sqrt(len(values))
        assert np.all(error < 0.02 * known) and np.all(np.abs(mean - known) < 4.5 * error + 1e-12)


def test_clipped_gradients_agree_with_integrals(monkeypatch: pytest.MonkeyPatch) -> None:
    """|p|/s has the density (2/π) K₀: no straight lines, which a look at all deviations must see."""
    monkeypatch.setattr(long_run, "EVERY", (27, 9))
    found = found_for(clipped, (0.1, 10.0))
    line = np.linspace(1e-6, 40.0, 200_001)
    density = 2 / np.pi * special.k0(line)
    for place in range(0, 28, 9):
        s = found.deviations[place]
        step = np.minimum(s * line, 0.5)
        known = [np.trapezoid(density * step * other, line) for other in (line / s, step)]
        for values, exact in zip((found.pull[:, place], found.spread[:, place]), known, strict=True):
            error = np.std(values, ddof=1) / np.sqrt(len(values))
            assert error < 0.02 * exact and abs(np.mean(values) - exact) < 4.5 * error
    assert found.far.shape[-1] == 4 and 0.01 < np.abs(found.missed).max() < 0.3
    ends = np.interp(np.log(found.deviations), np.log(found.deviations[[0, -1]]), np.log(found.pull.mean(0)[[0, -1]]))
    assert np.abs(ends - np.log(found.pull.mean(0))).max() > 0.2, "negative control: two deviations do not tell it"


@pytest.mark.parametrize(
    ("optimizer", "numbers", "told"),
    [
        (optax.adam, {"b1": 0.998}, "remembers more than"),
        (optax.adam, {"b2": 0.9999}, "still change"),
        pytest.param(stopping, {}, "still change", marks=pytest.mark.full),
    ],
)
def test_memories_that_are_too_long_are_unresolved(optimizer: Any, numbers: dict[str, Any], told: str) -> None:
    numbers = {"b1": 0.9, "b2": 0.95, **numbers} if optimizer is optax.adam else numbers
    with pytest.warns(dt.DyntheoryWarning, match=told):
        assert predicted(optimizer, 0.3, **numbers).status.code == "unresolved"


@pytest.mark.full
def test_memories_of_half_a_window_are_in_the_bars() -> None:
    """Momentum .985: a share of .985^256 is beyond the longest windows; known c = 1/(1 − β), D = s²/(1 − β)²."""
    found = predicted(optax.sgd, 0.6 * 0.015, momentum=0.985)
    exact = dt.online.least_squares(LAW, learning_rate=0.6, time=TIMES)
    bars: Any = found.standard_error
    assert np.max(np.abs(found.excess_error - exact.excess_error)[1:] / bars.excess_error[1:]) < 4


def test_rates_that_are_too_large_are_said() -> None:
    with pytest.warns(dt.DyntheoryWarning, match="leave the table|blew up"):
        assert not predicted(optax.sgd, 0.6, momentum=0.8).status.ok


@pytest.mark.parametrize(
    ("optimizer", "numbers", "told"),
    [
        (optax.adamw, {}, "look at the weights"),
        (optax.lion, {}, "look at the weights"),
        (clipped_after, {}, "in proportion"),
        (lopsided, {}, "opposite gradients"),
        (optax.adam, {"b3": 0.9}, "b3"),
        (optax.adam(0.1), {}, "factory"),
        (optax.lars, {}, "row"),
    ],
)
def test_other_optimizers_are_refused(optimizer: Any, numbers: dict[str, Any], told: str) -> None:
    with pytest.raises((TypeError, ValueError), match=told):
        predicted(optimizer, 0.3, **numbers)


def test_correlated_features_are_refused() -> None:
    law = dt.TeacherStudent(1.0, features=dt.spectra.two_level(0.5, 4.0))
    with pytest.raises(ValueError, match="uncorrelated"):
        dt.online.adaptive_least_squares(law, optax.adam, learning_rate=0.3, time=TIMES, key=KEY)
