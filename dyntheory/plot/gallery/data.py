"""What the figures of the gallery show, computed: formulas beside plain least squares on random data.

The simulations use NumPy only, so that nothing is shared between the two sides of a figure.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from dyntheory import closed_forms
from dyntheory.closed_forms import Curve, RandomFeaturesRisk, Risk
from dyntheory.ground.checks import check_count
from dyntheory.ground.kinds import check_arguments

Columns: TypeAlias = tuple[np.ndarray, ...]
RIDGES = (0.01, 0.1)
NUM_CURVE_SAMPLES = 60  # of the benign-overfitting pictures
WIDTHS = (2, 3, 50, 2000)
CURVE_NOISE = 0.2
FEATURE_PENALTIES = (0.0, 1e-3, 1e-2)
MEASURED_PENALTY = 1e-2
SAMPLES_PER_INPUT = 3.0
GRID = np.linspace(-1.0, 1.0, 801)


class DoubleDescent(NamedTuple):
    """Errors against γ = d/n, by formula on a fine grid and measured on a coarse one.

    Args:
        features_per_sample: γ of the lines.
        ridgeless: risk of the minimum-norm solution.
        ridges: risk at each penalty, and at the best one under None.
        measured_at: γ of the points.
        measured: means of the test error of ridgeless least squares, and of ridge at the best penalty.
        standard_errors: theirs.
        num_samples: n of the simulations.
        noise_std: σ.
    """

    features_per_sample: np.ndarray
    ridgeless: Risk
    ridges: dict[float | None, Risk]
    measured_at: np.ndarray
    measured: Columns
    standard_errors: Columns
    num_samples: int
    noise_std: float


class Fit(NamedTuple):
    """One fitted function of the benign-overfitting pictures.

    Args:
        num_parameters: p.
        values: on `GRID`.
        train_error: on the samples.
        test_error: against the noiseless target, over the grid.
    """

    num_parameters: int
    values: np.ndarray
    train_error: float
    test_error: float


class BenignOverfitting(NamedTuple):
    """Samples of one function, and fits of it with few and with very many parameters."""

    inputs: np.ndarray
    labels: np.ndarray
    target: np.ndarray
    fits: tuple[Fit, ...]


class EarlyStopping(NamedTuple):
    """Test error over (α, t) of gradient flow from zero.

    Args:
        samples_per_feature: α, (a,).
        times: t, (t,).
        curve: errors, (a, t).
        best_time: to stop at, by a parabola through the three lowest points, (a,).
        best_error: test error there, (a,).
        ridge_error: test error of ridge at its best penalty, (a,).
        ridgeless_error: at infinite time, (a,).
        noise_std: σ.
    """

    samples_per_feature: np.ndarray
    times: np.ndarray
    curve: Curve
    best_time: np.ndarray
    best_error: np.ndarray
    ridge_error: np.ndarray
    ridgeless_error: np.ndarray
    noise_std: float


class RandomFeatures(NamedTuple):
    """Errors of ridge regression on random ReLU features against N/n, by formula and measured.

    Args:
        features_per_sample: N/n of the lines.
        risks: by penalty.
        best: lowest test error over all penalties.
        measured_at: N/n of the points.
        measured: means of the test error without penalty, the training error, and the test error at `MEASURED_PENALTY`.
        standard_errors: theirs.
        num_inputs: d of the simulations.
        noise_std: σ.
    """

    features_per_sample: np.ndarray
    risks: dict[float, RandomFeaturesRisk]
    best: np.ndarray
    measured_at: np.ndarray
    measured: Columns
    standard_errors: Columns
    num_inputs: int
    noise_std: float


def double_descent(
    *, num_samples: int = 150, num_runs: int = 30, noise_std: float = 0.5, seed: int = 0
) -> DoubleDescent:
    """Return the two sides of the double-descent figure, at |β|² = 1.

    Args:
        num_samples: n of the simulations; d = γn.
        num_runs: at every γ, at least 2.
        noise_std: σ.
        seed: of the simulations.
    """
    check_arguments(double_descent, locals())
    num_samples = check_count("num_samples", num_samples, minimum=20)
    num_runs, seed = check_count("num_runs", num_runs, minimum=2), check_count("seed", seed, minimum=0)
    gammas = np.unique(np.concatenate([np.logspace(-1, 1, 401), 1 + np.linspace(-0.3, 0.3, 120)]))
    gammas = gammas[np.abs(gammas - 1) > 1e-9]
    ridgeless = closed_forms.ridgeless(1 / gammas, noise_std=noise_std)
    ridges: dict[float | None, Risk] = {
        penalty: closed_forms.ridge(1 / gammas, penalty, noise_std=noise_std) for penalty in RIDGES
    }
    ridges[None] = closed_forms.optimal_ridge(1 / gammas, noise_std=noise_std)
    counts = np.unique(np.round(num_samples * np.array([0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 1.1, 1.25, 1.6, 2.5, 4, 6])))
    generator = np.random.default_rng(seed)
    means, errors = _over_runs(lambda d: _errors(generator, num_samples, d, noise_std), counts, num_runs)
    at = counts / num_samples
    return DoubleDescent(gammas, ridgeless, ridges, at, means, errors, num_samples, noise_std)


def _over_runs(draw: Callable[[int], tuple[float, ...]], counts: np.ndarray, num_runs: int) -> tuple[Columns, Columns]:
    """Return means over runs at every count, one array for each number that `draw` returns, and standard errors."""
    runs = np.array([[draw(int(count)) for _ in range(num_runs)] for count in counts])
    return tuple(runs.mean(axis=1).T), tuple(runs.std(axis=1, ddof=1).T / np.sqrt(num_runs))


def _errors(generator: np.random.Generator, n: int, d: int, sigma: float) -> tuple[float, float]:
    """Return the test errors of minimum-norm least squares and of ridge at λ = σ²d/n on one draw."""
    inputs, target = generator.standard_normal((n, d)), generator.standard_normal(d)
    target /= np.linalg.norm(target)
    labels = inputs @ target + sigma * generator.standard_normal(n)
    fitted = np.linalg.lstsq(inputs, labels, rcond=None)[0]
    if d <= n:
        shrunk = np.linalg.solve(inputs.T @ inputs + sigma**2 * d * np.eye(d), inputs.T @ labels)
    else:
        shrunk = inputs.T @ np.linalg.solve(inputs @ inputs.T + sigma**2 * d * np.eye(n), labels)
    floor = sigma**2
    return float(np.sum((fitted - target) ** 2)) + floor, float(np.sum((shrunk - target) ** 2)) + floor


def benign_overfitting(*, seed: int = 1) -> BenignOverfitting:
    """Return fits of noisy samples of a smooth function with 2, 3, 50 and 2000 parameters.

    The features are a constant, a line and cosines weighted as 1/k, fitted by least squares of minimum norm: 50 of them
    chase the noise of 60 samples, 2000 pass through every one of them and are close to the function in between.

    Args:
        seed: of inputs and noise.

    Reference: `bartlett2020benign`; `hastie2022surprises`.
    """
    check_arguments(benign_overfitting, locals())
    generator = np.random.default_rng(check_count("seed", seed, minimum=0))
    inputs = np.sort(generator.uniform(-1, 1, NUM_CURVE_SAMPLES))
    labels = _target(inputs) + CURVE_NOISE * generator.standard_normal(NUM_CURVE_SAMPLES)
    fits = tuple(_fit(inputs, labels, count) for count in WIDTHS)
    return BenignOverfitting(inputs, labels, _target(GRID), fits)


def _target(x: np.ndarray) -> np.ndarray:
    return np.sin(2.5 * x) + 0.4 * np.cos(5 * x)


def _fit(inputs: np.ndarray, labels: np.ndarray, count: int) -> Fit:
    coefficients = np.linalg.lstsq(_features(inputs, count), labels, rcond=None)[0]
    values = _features(GRID, count) @ coefficients
    residual = _features(inputs, count) @ coefficients - labels
    return Fit(count, values, float(np.mean(residual**2)), float(np.mean((values - _target(GRID)) ** 2)))


def _features(x: np.ndarray, count: int) -> np.ndarray:
    """Return 1, x, then cos(πk(x + 1)/2)/k for k = 1, 2, …: (rows, count)."""
    order = np.arange(1, max(count - 1, 1))
    waves = np.cos(np.pi * order * (x[:, None] + 1) / 2) / order
    return np.concatenate([np.ones((len(x), 1)), x[:, None], waves], axis=1)[:, :count]


def early_stopping(*, noise_std: float = 0.5) -> EarlyStopping:
    """Return the test error of gradient flow from zero over α and time, at |w*|² = 1.

    Args:
        noise_std: σ.
    """
    check_arguments(early_stopping, locals())
    alphas, times = np.logspace(-1, 1, 161), np.logspace(-1.5, 3.5, 201)
    curve = closed_forms.least_squares_flow(alphas, times=times, noise_std=noise_std)
    best = _lowest(times, curve.test_error)
    at_best = closed_forms.least_squares_flow(alphas, times=best[:, None], noise_std=noise_std).test_error[:, 0]
    best_ridge = closed_forms.optimal_ridge(alphas, noise_std=noise_std).test_error
    late = closed_forms.ridgeless(alphas, noise_std=noise_std).test_error
    return EarlyStopping(alphas, times, curve, best, at_best, best_ridge, late, noise_std)


def _lowest(times: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Return where each row is lowest: the vertex of the parabola in log t through the lowest point and its sides."""
    logs, at = np.log(times), np.clip(np.argmin(errors, axis=-1), 1, len(times) - 2)
    rows = np.arange(len(errors))
    before, here, after = (errors[rows, at + shift] for shift in (-1, 0, 1))
    spacing = logs[1] - logs[0]
    return np.exp(logs[at] + 0.5 * spacing * (before - after) / (before - 2 * here + after))


def random_features(
    *, num_inputs: int = 60, num_runs: int = 30, noise_std: float = 0.5, seed: int = 0
) -> RandomFeatures:
    """Return the two sides of the random-features figure: n = 3d samples of a linear target of power 1.

    Args:
        num_inputs: d of the simulations.
        num_runs: at every N, at least 2.
        noise_std: σ.
        seed: of the simulations.
    """
    check_arguments(random_features, locals())
    num_inputs = check_count("num_inputs", num_inputs, minimum=10)
    num_runs, seed = check_count("num_runs", num_runs, minimum=2), check_count("seed", seed, minimum=0)
    ratios = np.logspace(-1, 1, 240)
    formula = functools.partial(
        closed_forms.random_features, samples_per_input=SAMPLES_PER_INPUT, activation="relu", noise_std=noise_std
    )
    risks = {penalty: formula(SAMPLES_PER_INPUT * ratios, penalty=penalty) for penalty in FEATURE_PENALTIES}
    best = formula(SAMPLES_PER_INPUT * ratios[:, None], penalty=np.logspace(-6, 1, 141)).test_error.min(axis=1)
    n = round(SAMPLES_PER_INPUT * num_inputs)
    counts = np.round(n * np.array([0.1, 0.2, 0.4, 0.6, 0.75, 0.9, 1.1, 1.3, 1.7, 2.5, 4, 8])).astype(int)
    generator = np.random.default_rng(seed)
    means, errors = _over_runs(lambda m: _feature_errors(generator, num_inputs, n, m, noise_std), counts, num_runs)
    return RandomFeatures(ratios, risks, best, counts / n, means, errors, num_inputs, noise_std)


def _feature_errors(
    generator: np.random.Generator, d: int, n: int, count: int, sigma: float
) -> tuple[float, float, float]:
    """Return test and training error without penalty, and test error at `MEASURED_PENALTY`, on one draw."""
    draws = generator.standard_normal((count + n + 1000, d))
    draws *= np.sqrt(d) / np.linalg.norm(draws, axis=1, keepdims=True)
    features = np.maximum(draws[count:] @ draws[:count].T / np.sqrt(d), 0)
    clean = draws[count:, 0]
    labels = clean[:n] + sigma * generator.standard_normal(n)
    seen, errors = features[:n], []
    gram = seen.T @ seen if count <= n else seen @ seen.T
    for penalty in (0.0, MEASURED_PENALTY):
        shifted = gram + n * count / d * penalty * np.eye(len(gram))
        if count <= n:
            fitted = features @ np.linalg.solve(shifted, seen.T @ labels)
        else:
            fitted = features @ (seen.T @ np.linalg.solve(shifted, labels))
        errors.append((np.mean((fitted[n:] - clean[n:]) ** 2) + sigma**2, np.mean((fitted[:n] - labels) ** 2)))
    return float(errors[0][0]), float(errors[0][1]), float(errors[1][0])
