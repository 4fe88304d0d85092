"""Learning a teacher perceptron: published asymptotics, exact solutions, another integrator, and networks."""

import dataclasses
import itertools
import math
from pathlib import Path

import jax
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import dyntheory as dt
from dyntheory import perceptron
from dyntheory.flows.perceptron.online_prediction import FIELDS
from dyntheory.ground.precision import double_precision

FULL = pytest.mark.full
RULES = ("hebb", "perceptron", "adatron")


def _forces(rule: str, h: np.ndarray, v: np.ndarray) -> np.ndarray:
    if rule == "hebb":
        return np.sign(v)
    wrong = (h * v < 0).astype(float)
    return wrong * np.sign(v) * (np.abs(h) if rule == "adatron" else 1.0)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("angle", [1.2, 0.02])
def test_averages_of_the_rules_are_those_of_a_grid(rule: str, angle: float) -> None:
    """d(R, Q)/dα = (η⟨F v⟩, 2η⟨F h⟩ + η²⟨F²⟩) by a rule over the two Gaussian fields in polar form."""
    rate, length = 0.7, 1.6
    radii, weights = np.polynomial.legendre.leggauss(200)
    radii, weights = 6 * (radii + 1), 6 * weights
    turns: list[np.ndarray] = []
    heights: list[np.ndarray] = []
    kinks = sorted({0.0, math.pi / 2, 3 * math.pi / 2, 2 * math.pi, math.pi / 2 + angle, 3 * math.pi / 2 + angle})
    points, parts = np.polynomial.legendre.leggauss(40)
    for low, high in itertools.pairwise(kinks):
        turns.append((high + low) / 2 + (high - low) / 2 * points)
        heights.append((high - low) / 2 * parts)
    turn, height = np.concatenate(turns), np.concatenate(heights)
    density = weights * radii * np.exp(-(radii**2) / 2) / (2 * math.pi)
    v = radii[:, None] * np.cos(turn)[None]
    h = length * radii[:, None] * np.cos(turn - angle)[None]
    force = _forces(rule, h, v)

    def mean(values: np.ndarray) -> float:
        return float(density @ values @ height)

    growth = (rate * mean(force * h) + rate**2 * mean(force**2) / 2) / length**2
    cosine = rate * mean(force * v) / length - math.cos(angle) * growth
    state = {"angle": np.asarray(angle), "log_length": np.asarray(math.log(length))}
    with double_precision():
        found = FIELDS[rule](0.0, state, rate)  # pyright: ignore[reportArgumentType]
    np.testing.assert_allclose(float(found["log_length"]), growth, rtol=1e-8)
    np.testing.assert_allclose(float(found["angle"]), -cosine / math.sin(angle), rtol=1e-6)


def test_hebb_is_solved_in_closed_form() -> None:
    """R = R₀ + η √(2/π) α, Q = Q₀ + 2η √(2/π) (R₀ α + η √(2/π) α²/2) + η² α."""
    times, c, rate, overlap, length = np.array([0.5, 3.0, 40.0]), math.sqrt(2 / math.pi), 0.3, 0.4, 1.7
    found = perceptron.predict(
        "hebb", times, learning_rate=rate, initial_overlap=overlap, initial_length=length, rtol=1e-10
    )
    R = overlap * length + rate * c * times
    Q = length**2 + 2 * rate * c * (overlap * length * times + rate * c * times**2 / 2) + rate**2 * times
    np.testing.assert_allclose(found.length, np.sqrt(Q), rtol=1e-9)
    np.testing.assert_allclose(found.overlap, R / np.sqrt(Q), rtol=1e-9)
    assert found.status.ok


LATE = 1e5
TIMES = [1.0, 10.0, LATE]
PUBLISHED = {
    "hebb": (1 / math.sqrt(2 * math.pi * LATE), 1e-4),
    "perceptron": ((2 / 3) ** (1 / 3) / math.pi * LATE ** (-1 / 3), 2e-3),
    "adatron": (1.5 / LATE, 1e-3),
}


@pytest.mark.parametrize("rule", [pytest.param("hebb", marks=FULL), pytest.param("perceptron", marks=FULL), "adatron"])
def test_late_errors_fall_as_published(rule: str) -> None:
    """1/√(2πα) of Hebb, (2/3)^{1/3}/π α^{−1/3} of the perceptron, 3/(2α) of AdaTron at α = 1e5, to the next order."""
    value, next_order = PUBLISHED[rule]
    np.testing.assert_allclose(perceptron.predict(rule, TIMES).test_error[-1], value, rtol=next_order)


def test_adatron_learns_at_rates_below_three_only() -> None:
    """3/(2α) at η = 2 and no learning at η = 3.2, where the length grows above all numbers."""
    found = perceptron.predict("adatron", TIMES, learning_rate=2.0)
    np.testing.assert_allclose(found.test_error[-1], 1.5 / LATE, rtol=1e-3)
    wild = perceptron.predict("adatron", TIMES, learning_rate=3.2)
    assert wild.test_error[-1] > 0.01 and wild.status.code == "diverged" and "angles are right" in wild.status.message


@pytest.mark.parametrize("rule", [pytest.param(rule, marks=FULL) for rule in RULES])
def test_against_another_integrator_in_other_variables(rule: str) -> None:
    """R and Q by DOP853, with averages of the textbook in the overlap."""

    def field(_: float, state: np.ndarray) -> list[float]:
        R, Q = state
        ell = math.sqrt(Q)
        rho = R / ell
        theta = math.acos(rho)
        s = math.sqrt(1 - rho**2)
        half, wedge = (1 - rho) / math.sqrt(2 * math.pi), (theta - rho * s) / math.pi
        fv, fh, ff = {
            "hebb": (math.sqrt(2 / math.pi), R * math.sqrt(2 / math.pi), 1.0),
            "perceptron": (half, -ell * half, theta / math.pi),
            "adatron": (ell * (s - rho * theta) / math.pi, -Q * wedge, Q * wedge),
        }[rule]
        return [0.8 * fv, 2 * 0.8 * fh + 0.64 * ff]

    times = np.array([1.0, 5.0, 20.0])
    other = solve_ivp(field, (0, 20), [0.1 * 1.2, 1.44], t_eval=times, method="DOP853", rtol=1e-11, atol=1e-12).y
    found = perceptron.predict(rule, times, learning_rate=0.8, initial_overlap=0.1, initial_length=1.2, rtol=1e-9)
    np.testing.assert_allclose(found.length, np.sqrt(other[1]), rtol=1e-8)
    np.testing.assert_allclose(found.overlap, other[0] / np.sqrt(other[1]), rtol=1e-8)


@pytest.mark.parametrize("rule", ["adatron", *(pytest.param(rule, marks=FULL) for rule in ("hebb", "perceptron"))])
def test_perceptrons_follow_the_limit(rule: str) -> None:
    """z-scores of error and length at d = 200, 30 runs, allowance 2/d of each."""
    times = [0.0, 1.0, 4.0]
    theory = perceptron.predict(rule, times, learning_rate=0.8)
    runs = perceptron.simulate(rule, times, num_features=200, num_runs=30, key=jax.random.key(3), learning_rate=0.8)
    error = runs.standard_error
    assert error is not None and runs.per_run is not None and runs.per_run.length.shape == (30, 3)
    assert (error.test_error[1:] < 0.02 * theory.test_error[0]).all()
    for name in ("test_error", "length"):
        off = np.abs(getattr(runs, name) - getattr(theory, name))[1:]
        allowed = 3.5 * getattr(error, name)[1:] + 2 / 200 * getattr(theory, name)[1:]
        assert (off < allowed).all(), name
    other = perceptron.predict("hebb" if rule != "hebb" else "adatron", times, learning_rate=0.8)
    assert (np.abs(runs.test_error - other.test_error)[1:] > 8 * error.test_error[1:]).any(), "the control passes"


def test_results_are_kept(tmp_path: Path) -> None:
    one = perceptron.predict("hebb", [0.5, 3.0, 40.0])
    single = np.ones((2, 3)) * np.arange(3.0)
    several = perceptron.OnlineCurve(one.times, single, single, single)
    curve = dataclasses.replace(one, per_run=several)
    loaded = dt.load(curve.save(tmp_path / "a.nc"))
    np.testing.assert_array_equal(loaded.per_run.length, curve.per_run.length)  # pyright: ignore


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"rule": "hebbs"}, "hebb"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"initial_overlap": 1.0}, "initial_overlap"),
        ({"initial_length": 0.0}, "initial_length"),
        ({"times": [2.0, 1.0]}, "times"),
    ],
)
def test_bad_input_is_named(options: dict[str, object], named: str) -> None:
    given = {"rule": "hebb", "times": [1.0], **options}
    with pytest.raises(ValueError, match=named):
        perceptron.predict(**given)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="times"):
        perceptron.simulate("hebb", [0.0, 1e-6], num_features=10, key=jax.random.key(0))
