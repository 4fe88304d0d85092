"""Perceptrons on given inputs: mistakes below Novikoff's bound, margins proved from both sides, classes, counts."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linprog, minimize

import dyntheory as dt
from dyntheory import perceptron


def _shifted(seed: int, shift: float, n: int = 200, d: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """Return Gaussian inputs that are moved away from a plane by `shift`."""
    rng = np.random.default_rng(seed)
    teacher = rng.normal(size=d)
    teacher /= np.linalg.norm(teacher)
    inputs = rng.normal(size=(n, d))
    labels = np.sign(inputs @ teacher)
    return inputs + shift * labels[:, None] * teacher, labels


def _plain_perceptron(inputs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, int]:
    weights, count, moved = np.zeros(inputs.shape[1]), 0, True
    while moved:
        moved = False
        for x, y in zip(inputs, labels, strict=True):
            if y * (weights @ x) <= 0:
                weights, count, moved = weights + y * x, count + 1, True
    return weights, count


def test_mistakes_are_below_the_bound_and_those_of_a_plain_loop() -> None:
    """0 violations of 60; the bound is true but loose, about five times the mistakes on these inputs."""
    looseness = []
    for seed in range(60):
        inputs, labels = _shifted(seed, (0.5, 0.2)[seed % 2])
        run = perceptron.train(inputs, labels)
        assert run.is_separated and run.status.ok and run.num_updates <= run.bound
        looseness.append(run.bound / run.num_updates)
        if seed < 4:
            weights, count = _plain_perceptron(inputs, labels)
            np.testing.assert_allclose(run.weights, weights, rtol=1e-12)
            assert run.num_updates == count == run.updates.sum()
    assert 4 < np.mean(looseness) < 7


def test_negative_control_of_the_bound() -> None:
    """With the margin of another plane in its place, the teacher's moved by a little, it would be none."""
    inputs, labels = _shifted(1, 0.2)
    run = perceptron.train(inputs, labels)
    assert run.largest_margin is not None and run.num_updates > (2.5 * run.largest_margin.margin) ** -2 * 1.0
    assert run.margin <= run.largest_margin.margin
    assert run.num_updates > (run.largest_margin.radius / (3 * run.largest_margin.margin)) ** 2


def test_the_largest_margin_is_that_of_two_other_solvers() -> None:
    inputs, labels = _shifted(3, 0.3, n=40, d=6)
    found = perceptron.largest_margin(inputs, labels)
    rows = labels[:, None] * inputs
    primal = minimize(
        lambda w: w @ w / 2,
        found.weights + 0.1,
        jac=lambda w: w,
        constraints={"type": "ineq", "fun": lambda w: rows @ w - 1, "jac": lambda w: rows},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    np.testing.assert_allclose(found.weights, primal.x, rtol=1e-5)
    assert found.upper_bound - found.margin < 1e-12 * found.radius
    assert (found.duals >= 0).all()
    np.testing.assert_allclose(found.duals @ rows, found.weights, rtol=1e-10)
    np.testing.assert_allclose((rows @ found.weights)[found.support], 1.0, rtol=1e-10)
    svm = pytest.importorskip("sklearn.svm").LinearSVC(
        C=1e6, loss="hinge", fit_intercept=False, tol=1e-8, max_iter=10**6
    )
    trained = svm.fit(inputs, labels).coef_[0]
    np.testing.assert_allclose(trained / np.linalg.norm(trained), np.asarray(found.direction), atol=1e-3)


def test_what_no_plane_separates_has_a_proof() -> None:
    """The duals are a convex combination of rows that vanishes; linear programming agrees in all of 40 draws."""
    rng, seen = np.random.default_rng(5), []
    for _ in range(40):
        inputs, labels = rng.normal(size=(20, 10)), np.sign(rng.normal(size=20))
        rows, found = labels[:, None] * inputs, perceptron.largest_margin(inputs, labels)
        program = linprog(np.zeros(10), A_ub=-rows, b_ub=-np.ones(20), bounds=(None, None))
        assert found.is_separable == (program.status == 0) and found.status.ok
        if not found.is_separable:
            np.testing.assert_allclose(found.duals @ rows, 0.0, atol=1e-12)
            assert found.mistake_bound == np.inf and found.weights is None
        seen.append(found.is_separable)
    assert 8 < sum(seen) < 32
    run = perceptron.train(np.array([[1.0, 0.0], [-1.0, 0.0]]), [1, 1], max_updates=50)
    assert not run.is_separated and run.status.code == "unresolved" and "No plane" in run.status.message
    slow = perceptron.train(*_shifted(1, 0.0), max_updates=5)
    assert "max_updates" in slow.status.message


def test_rows_of_very_different_size_are_not_called_inseparable() -> None:
    """(1, 1) separates them all; a margin that is not found is said, and never proved away or off by a factor."""
    for rows in ([[1e16, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1e-200]], [[1.0, 3e-11], [0.0, 1e-10]]):
        found = perceptron.largest_margin(np.array(rows), [1, 1])
        assert found.is_separable is not False
        assert found.status.code == "unresolved" or found.margin > 0.999 * found.upper_bound
    for size in (1e-200, 1e200):
        with pytest.raises(ValueError, match="choose another unit"):
            perceptron.largest_margin(size * np.eye(2), [1, 1])


def test_a_margin_at_rounding_is_said_to_be_one() -> None:
    """Rows that separate by 1e-13 of their size are neither separable nor not: the status says so."""
    rows = np.array([[1.0, 1e-13], [-1.0, 1e-13]])
    found = perceptron.largest_margin(rows, [1, 1])
    assert found.is_separable is not False or found.status.code == "unresolved"
    assert found.upper_bound < 1e-12


def test_classes() -> None:
    """Three classes: all right at the end, within twice the squared ratio; two classes are the plain perceptron."""
    rng = np.random.default_rng(2)
    centres = rng.normal(size=(3, 5)) * 4
    classes = rng.integers(0, 3, 90)
    inputs = centres[classes] + 0.5 * rng.normal(size=(90, 5))
    run = perceptron.train(inputs, classes, num_classes=3)
    assert run.weights.shape == (3, 5) and run.is_separated
    assert (np.argmax(inputs @ run.weights.T, axis=1) == classes).all()
    assert run.num_updates <= run.bound and run.largest_margin is not None
    np.testing.assert_allclose(run.largest_margin.radius, np.sqrt(2) * np.linalg.norm(inputs, axis=1).max())
    binary, labels = _shifted(0, 0.5)
    two = perceptron.train(binary, (labels > 0).astype(int), num_classes=2)
    one = perceptron.train(binary, labels)
    np.testing.assert_allclose(two.weights[1] - two.weights[0], 2 * one.weights, rtol=1e-12)


def test_cover_counts_the_labellings_of_real_points() -> None:
    """Five points in three dimensions: those of 32 labellings that are separable; the recursion of the proof."""
    points = np.random.default_rng(0).normal(size=(5, 3))
    count = sum(
        bool(perceptron.largest_margin(points, signs).is_separable) for signs in itertools.product((-1, 1), repeat=5)
    )
    assert count == perceptron.num_dichotomies(5, 3) == 22
    for n in range(2, 12):
        for d in range(2, 12):
            step = perceptron.num_dichotomies(n - 1, d) + perceptron.num_dichotomies(n - 1, d - 1)
            assert perceptron.num_dichotomies(n, d) == step
            np.testing.assert_allclose(
                perceptron.separable_fraction(n, d), perceptron.num_dichotomies(n, d) / 2**n, rtol=1e-12
            )
    assert perceptron.separable_fraction(4000, 2000) == pytest.approx(0.5, rel=1e-12)


def test_gardner_capacity_is_the_published_integral() -> None:
    """Published: two at no margin; the integral by quadrature; and the inverse."""
    from scipy.integrate import quad

    margins = np.array([0.0, 0.3, 0.5, 1.0, 2.0])
    for margin, capacity in zip(margins, perceptron.gardner_capacity(margins), strict=True):
        integral = quad(lambda z, k=margin: math.exp(-z * z / 2) * (z + k) ** 2, -margin, 12, epsabs=1e-13)[0]
        np.testing.assert_allclose(capacity, math.sqrt(2 * math.pi) / integral, rtol=1e-10)
    alphas = np.array([1e-6, 0.3, 1.0, 1.99, 2.0])
    np.testing.assert_allclose(perceptron.gardner_capacity(perceptron.gardner_margin(alphas)), alphas, rtol=1e-11)


@pytest.mark.full
def test_margins_of_coin_tosses_are_those_of_gardner() -> None:
    """Twelve labellings at n = d = 200, allowance 3/d."""
    rng, found = np.random.default_rng(8), []
    for _ in range(12):
        inputs, labels = rng.normal(size=(200, 200)), np.sign(rng.normal(size=200))
        found.append(perceptron.largest_margin(inputs, labels).margin)
    error = np.std(found, ddof=1) / np.sqrt(12)
    assert error < 0.02
    assert abs(np.mean(found) - perceptron.gardner_margin(1.0)) < 3.5 * error + 3 / 200


def test_results_are_kept(tmp_path: Path) -> None:
    inputs, labels = _shifted(0, 0.5)
    run = perceptron.train(inputs, labels)
    loaded = dt.load(run.save(tmp_path / "a.nc"))
    np.testing.assert_array_equal(loaded.largest_margin.duals, run.largest_margin.duals)  # pyright: ignore
    assert loaded.num_updates == run.num_updates


@pytest.mark.parametrize(
    ("inputs", "labels", "options", "named"),
    [
        ([[1.0, 2.0]], [2.0], {}, "labels"),
        ([[1.0, 2.0]], [1.0, 1.0], {}, "labels"),
        ([1.0, 2.0], [1.0], {}, "inputs"),
        ([[np.nan, 2.0]], [1.0], {}, "inputs"),
        ([[1.0, 2.0]], [3], {"num_classes": 3}, "labels"),
        ([[1.0, 2.0]], [0], {"num_classes": 1}, "num_classes"),
        ([[1.0, 2.0]], [1], {"max_updates": 0}, "max_updates"),
    ],
)
def test_bad_input_is_named(inputs: list[float], labels: list[float], options: dict[str, int], named: str) -> None:
    with pytest.raises(ValueError, match=f"`{named}`"):
        perceptron.train(inputs, labels, **options)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="margin"):
        perceptron.gardner_capacity(-0.1)
    with pytest.raises(ValueError, match="samples_per_feature"):
        perceptron.gardner_margin(2.1)
    with pytest.raises(ValueError, match="num_inputs"):
        perceptron.separable_fraction(2.5, 2)
