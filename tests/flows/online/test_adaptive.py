"""Adam and other row-wise optimizers in one pass: against exact least squares, against runs, and what is refused."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.flows.online import adaptive, long_run
from dyntheory.ground.precision import double_precision

KEY = jax.random.key(0)
LAW = dt.TeacherStudent(1.0, noise_std=0.5)
TIMES = np.array([0.0, 0.5, 1.0, 2.0])


@pytest.fixture(autouse=True)
def few_chains(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer chains, and so larger bars."""
    monkeypatch.setattr(long_run, "NUM_CHAINS", 512)
    monkeypatch.setattr(long_run, "NUM_FORGOTTEN", 1024)
    monkeypatch.setattr(adaptive, "NUM_DEVIATIONS", 5)


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
        assert np.all(bar < 0.03) and np.all(np.abs(off) < 4 * bar), name


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
        LAW, optimizer, num_features=400, learning_rate=rate, time=TIMES, num_runs=60, key=KEY, **numbers
    )
    assert theory.status.ok and runs.num_diverged == 0
    scores = runs.z_scores(theory)["excess_error"]
    bars: Any = runs.standard_error
    assert np.max(bars.excess_error[1:] / runs.excess_error[1:]) < 0.02
    assert np.max(np.abs(scores)) < 4
    # Negative control: as if it were SGD of the same size of steps.
    plain = dt.online.least_squares(LAW, learning_rate=rate, time=TIMES)
    assert np.max(np.abs(runs.z_scores(plain)["excess_error"])) > 6


def test_signs_have_their_known_constants() -> None:
    """ψ = sign p: c = (2/π)/s and D = 1."""
    with double_precision():
        numbers = {"learning_rate": jnp.asarray(1.0)}
        found = long_run.long_run(optax.sign_sgd, (), numbers, jnp.array([0.5, 2.0]), KEY)
        found = jax.tree.map(np.asarray, found)
    for values, known in ((found.pull, np.array([4.0, 1.0]) / np.pi), (found.spread, np.ones(2))):
        mean, error = np.mean(values, axis=0), np.std(values, axis=0, ddof=1) / np.sqrt(len(values))
        assert np.all(error < 0.04 * known) and np.all(np.abs(mean - known) < 4.5 * error + 1e-12)


def test_long_memories_are_unresolved() -> None:
    with pytest.warns(dt.DyntheoryWarning, match="remembers more than"):
        assert predicted(optax.adam, 0.3, b1=0.998).status.code == "unresolved"


def test_rates_that_are_too_large_are_said() -> None:
    with pytest.warns(dt.DyntheoryWarning, match="leave the table|blew up"):
        assert not predicted(optax.sgd, 3.0).status.ok


@pytest.mark.parametrize(
    ("optimizer", "numbers", "told"),
    [
        (optax.adamw, {}, "looks at the weights"),
        (optax.lion, {}, "looks at the weights"),
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
