"""The finite random problems of `validation.closed_forms`: formula and runs of every quantity, as one kind of case."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.special import erf

from dyntheory import closed_forms
from validation.claim import Verdict
from validation.record import Outcome

SIGMA = 0.5
TIMES = (0, 1, 3, 10, 40, 200)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes and runs."""

    num_samples: int = 300
    num_runs: int = 100
    num_data_runs: int = 200
    num_units: int = 600
    num_networks: int = 80
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Case:
    """Formula and runs of one quantity along an axis; arrays (points, quantities) and (runs, points, quantities).

    `scale` is what allowances and resolution are relative to.
    """

    axis: np.ndarray
    names: tuple[str, ...]
    expected: np.ndarray
    runs: np.ndarray
    allowance: np.ndarray
    scale: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """Return the standard errors of the means."""
        return self.runs.std(axis=0, ddof=1) / np.sqrt(len(self.runs))

    def excess(self, expected: np.ndarray | None = None) -> float:
        """Return the largest difference over what is allowed; at most 1 passes."""
        held = self.expected if expected is None else expected
        allowed = 4 * self.errors + self.allowance * self.scale + 1e-9
        return float(np.max(np.abs(self.runs.mean(axis=0) - held) / allowed))

    @property
    def resolution(self) -> float:
        """Return the largest standard error relative to the scale."""
        return float(np.max(self.errors / self.scale))


Found = tuple[dict[str, Case], dict[str, float]]  # the cases, and how far beyond its rule each control is


def summary(found: Found) -> dict[str, Any]:
    """Return what decides."""
    cases, controls = found
    return {
        "difference over allowance": {name: held.excess() for name, held in cases.items()},
        "controls": controls,
        "resolution": {name: held.resolution for name, held in cases.items()},
    }


def verdict(found: Found) -> Verdict:
    """Ask every case to hold and every control to fail; keep formulas and means."""
    numbers = summary(found)
    passed = max(numbers["difference over allowance"].values()) <= 1 < min(numbers["controls"].values())
    resolved = Outcome.PASSED if max(numbers["resolution"].values()) <= 0.1 else Outcome.UNRESOLVED
    for name, held in found[0].items():
        means = {"axis": held.axis, "formula": held.expected, "mean of runs": held.runs.mean(axis=0)}
        numbers[name] = {"quantities": held.names, **means, "standard error": held.errors}
    return (resolved if passed else Outcome.FAILED), numbers


def case(
    axis: Sequence[float],
    names: tuple[str, ...],
    expected: Sequence[Any],
    runs: Any,
    allowance: Any,
    *,
    scale: Any = None,
) -> Case:
    """Return a case; the scale is the formula's value unless given."""
    held = np.stack([np.broadcast_to(np.asarray(e, dtype=float), (len(axis),)) for e in expected], axis=-1)
    allowed = np.broadcast_to(np.reshape(allowance, (-1, 1)), held.shape)
    sizes = np.maximum(np.abs(held), 1e-3) if scale is None else np.broadcast_to(scale, held.shape)
    return Case(np.asarray(axis, float), names, held, np.asarray(runs), allowed, sizes)


def regression_cases(settings: Settings) -> dict[str, Case]:
    """Return rule 1: parts of the error measured by fitting target and noise apart, which is linear in both."""
    gammas, n = np.array([0.3, 0.6, 0.8, 1.25, 2.0, 3.0]), settings.num_samples
    sizes = np.round(gammas * n).astype(int)
    chosen: dict[str, Callable[[float], float]] = {
        "ridgeless": lambda gamma: 1e-12,
        "ridge 0.05": lambda gamma: 0.05,
        "best ridge": lambda gamma: SIGMA**2 * gamma,
        "misspecified": lambda gamma: 1e-12,
    }
    runs: dict[str, np.ndarray] = {name: np.zeros((settings.num_runs, len(gammas), 3)) for name in chosen}
    rng = np.random.default_rng(settings.seed)
    for i in range(settings.num_runs):
        for j, d in enumerate(sizes):
            x, beta, noise = rng.normal(size=(n, d)), rng.normal(size=d), SIGMA * rng.normal(size=n)
            beta, hidden = beta / np.linalg.norm(beta), rng.normal(size=n)
            for name, penalty in chosen.items():
                if name == "misspecified":
                    runs[name][i, j] = _parts(x, beta * np.sqrt(0.6), noise + np.sqrt(0.4) * hidden, 1e-12, extra=0.4)
                else:
                    runs[name][i, j] = _parts(x, beta, noise, penalty(gammas[j]))
    numbers: dict[str, Any] = {"noise_std": SIGMA}
    risks = {
        "ridgeless": closed_forms.ridgeless(1 / gammas, **numbers),
        "ridge 0.05": closed_forms.ridge(1 / gammas, 0.05, **numbers),
        "best ridge": closed_forms.optimal_ridge(1 / gammas, **numbers),
        "misspecified": closed_forms.misspecified(1 / gammas, visible_fraction=0.6, **numbers),
    }
    names, margin = ("bias", "variance", "train_error"), 3 / np.minimum(n, sizes) / np.abs(1 - gammas)
    return {
        name: case(list(gammas), names, [getattr(risk, part) for part in names], runs[name], margin, scale=1.0)
        for name, risk in risks.items()
    }


def _parts(x: np.ndarray, beta: np.ndarray, noise: np.ndarray, penalty: float, extra: float = 0.0) -> np.ndarray:
    """Return bias, variance and train error of one ridge regression, from fits of target and noise apart."""
    n, d = x.shape
    if d <= n:
        inverse = np.linalg.solve(x.T @ x + n * penalty * np.eye(d), x.T)
    else:
        inverse = x.T @ np.linalg.inv(x @ x.T + n * penalty * np.eye(n))
    of_target, of_noise = inverse @ (x @ beta) - beta, inverse @ noise
    residual = x @ (of_target + of_noise) - noise
    return np.array([of_target @ of_target + extra, of_noise @ of_noise, np.mean(residual**2)])


def descent_cases(settings: Settings) -> dict[str, Case]:
    """Return rule 2 at α = 0.7 and 2, for η = 0.3 and its flow: time η · step."""
    cases: dict[str, Case] = {}
    rng, d, rate = np.random.default_rng(settings.seed + 1), settings.num_samples, 0.3
    for alpha in (0.7, 2.0):
        n, runs = round(alpha * d), np.zeros((2, settings.num_runs, len(TIMES), 2))
        for i in range(settings.num_runs):
            x, target, start = rng.normal(size=(n, d)), rng.normal(size=d), rng.normal(size=d)
            noise = SIGMA * rng.normal(size=n)
            difference = np.sqrt(2 * d) * (start - target) / np.linalg.norm(start - target)  # E(w⁰ − w*)² = 2
            noise *= SIGMA * np.sqrt(n) / np.linalg.norm(noise)
            values, vectors = np.linalg.eigh(x.T @ x / n)
            along, pull = vectors.T @ difference, vectors.T @ (x.T @ noise) * np.sqrt(d) / n
            for kind in (0, 1):
                for j, t in enumerate(TIMES):
                    kept = (1 - rate * values) ** t if kind == 0 else np.exp(-rate * t * values)
                    shrunk = np.divide(1 - kept, values, out=np.full_like(values, rate * t), where=values > 1e-10)
                    now = vectors @ (kept * along + shrunk * pull)
                    residual = x @ now / np.sqrt(d) - noise
                    runs[kind, i, j] = np.mean(residual**2), np.mean(now**2) + SIGMA**2
        numbers: dict[str, Any] = {"initial_power": 1.0, "noise_std": SIGMA}
        curves = (
            closed_forms.least_squares_gd(alpha, rate, steps=TIMES, **numbers),
            closed_forms.least_squares_flow(alpha, times=rate * np.array(TIMES), **numbers),
        )
        for kind, curve, found in zip(("descent", "flow"), curves, runs, strict=True):
            scale = np.maximum(np.stack(curve, axis=-1), 0.05)
            cases[f"{kind}, α = {alpha:g}"] = case(
                TIMES, ("train_error", "test_error"), curve, found, 3 / min(n, d), scale=scale
            )
    return cases


def spectrum_cases(settings: Settings) -> dict[str, Case]:
    """Return rule 3: s_i = i^{-1.5}, s_i b_i² = i^{-1.9}, 1200 modes, a small penalty."""
    index = np.arange(1.0, 1201)
    values, counts, penalty = index**-1.5, np.array([20, 40, 80, 160, 320]), 1e-3
    target = np.sqrt(index**-1.9 / values)
    rng, runs = np.random.default_rng(settings.seed + 2), np.zeros((settings.num_runs, len(counts), 2))
    for i in range(settings.num_runs):
        for j, n in enumerate(counts):
            x = rng.normal(size=(n, len(values))) * np.sqrt(values)
            labels = x @ target + 0.3 * rng.normal(size=n)
            fit = x.T @ np.linalg.solve(x @ x.T + n * penalty * np.eye(n), labels)
            runs[i, j] = np.mean((x @ fit - labels) ** 2), np.sum(values * (fit - target) ** 2) + 0.09
    risk = closed_forms.ridge_general(counts, penalty, eigenvalues=values, target_coefficients=target, noise_std=0.3)
    names = ("train_error", "test_error")
    return {
        "power law": case(
            list(counts),
            names,
            [risk.train_error, risk.test_error],
            runs,
            0.01 + 3 / counts,
            scale=risk.test_error[:, None],
        )
    }


def data_cases(settings: Settings) -> dict[str, Case]:
    """Return rule 4."""
    from sklearn.datasets import load_diabetes, load_digits
    from sklearn.linear_model import Ridge

    images, digits = map(np.asarray, load_digits(return_X_y=True))
    patients, progression = map(np.asarray, load_diabetes(return_X_y=True))
    images = images[:, images.std(axis=0) > 0]
    sets = {
        "diabetes": (_standard(patients), _standard(progression), (20, 40, 80, 160), 0.05),
        "digits": ((images - images.mean(axis=0)) / 8, _standard(1.0 * (digits % 2)), (50, 100, 200, 400), 0.05),
    }
    cases = {}
    for name, (rows, labels, counts, penalty) in sets.items():
        rng, runs = np.random.default_rng(settings.seed + 3), np.zeros((settings.num_data_runs, len(counts), 2))
        for i in range(settings.num_data_runs):
            order = rng.permutation(len(rows))
            for j, n in enumerate(counts):
                model = Ridge(alpha=n * penalty, fit_intercept=False, solver="cholesky")
                model.fit(rows[order[:n]], labels[order[:n]])
                squares = (model.predict(rows) - labels) ** 2
                runs[i, j] = squares[order[:n]].mean(), squares[order[n:]].mean()
        risk = closed_forms.ridge_general(counts, penalty, **closed_forms.from_data(rows, labels)._asdict())
        expected = [risk.train_error, risk.test_error]
        cases[name] = case(
            counts,
            ("train_error", "test_error"),
            expected,
            runs,
            0.03,
            scale=np.broadcast_to(risk.test_error, (2, len(counts))).T,
        )
    return cases


def _standard(values: np.ndarray) -> np.ndarray:
    return (values - values.mean(axis=0)) / values.std(axis=0)


def eigenvalue_cases(settings: Settings) -> dict[str, Case]:
    """Return rule 5."""
    n, rng = settings.num_samples, np.random.default_rng(settings.seed + 4)
    ratios, strengths = (0.3, 1.0, 2.5), (1.5, 2.0, 3.0)
    moments = np.zeros((settings.num_runs, len(ratios), 4))
    spikes = np.zeros((settings.num_runs, len(strengths), 2))
    for i in range(settings.num_runs):
        for j, ratio in enumerate(ratios):
            x = rng.normal(size=(n, round(ratio * n)))
            values = np.linalg.svd(x, compute_uv=False) ** 2 / n
            moments[i, j] = [np.sum(values**k) / x.shape[1] for k in (1, 2, 3, 4)]
        noise = rng.normal(size=(n, n))
        noise = (noise + noise.T) / np.sqrt(2 * n)
        for j, strength in enumerate(strengths):
            sign = rng.choice([-1.0, 1.0], n)
            values, vectors = np.linalg.eigh(strength * np.outer(sign, sign) / n + noise)
            spikes[i, j] = values[-1], (vectors[:, -1] @ sign) ** 2 / n
    exact = [closed_forms.marchenko_pastur.moment(k, np.array(ratios)) for k in (1, 2, 3, 4)]
    limits = closed_forms.spiked_wigner(np.array(strengths))
    return {
        "spectral moments": case(ratios, ("1", "2", "3", "4"), exact, moments, 3 / (0.3 * n)),
        "spike": case(strengths, ("top_eigenvalue", "eigenvector_overlap"), limits[:2], spikes, 3 / n),
    }


def network_case(name: str, edge: tuple[float, float], variance: float, settings: Settings) -> Case:
    """Return rule 6 for one activation: 12 layers, variance over layers 5 to 12, growth from layer 4 on."""
    function, slope = ACTIVATIONS[name]
    rng, size, runs = np.random.default_rng(settings.seed + 5), settings.num_units, []
    for _ in range(settings.num_networks):
        h, tangent = np.sqrt(variance) * rng.normal(size=size), rng.normal(size=size)
        squares, norms = [], []
        for _ in range(12):
            w = np.sqrt(edge[0] / size) * rng.normal(size=(size, size))
            tangent = w @ (tangent * slope(h))
            h = w @ function(h) + np.sqrt(edge[1]) * rng.normal(size=size)
            squares.append(np.mean(h**2))
            norms.append(np.log(np.mean(tangent**2)))
        runs.append([[np.mean(squares[4:]), (norms[-1] - norms[3]) / 8]])
    names, scale = ("variance", "growth"), np.array([variance, 0.5])
    return case((variance,), names, (variance, 0.0), runs, 0.02, scale=scale)


ACTIVATIONS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]] = {
    "tanh": (np.tanh, lambda h: 1 - np.tanh(h) ** 2),
    "erf": (erf, lambda h: 2 / np.sqrt(np.pi) * np.exp(-(h**2))),
    "relu": (lambda h: np.maximum(h, 0), lambda h: 1.0 * (h > 0)),
}
