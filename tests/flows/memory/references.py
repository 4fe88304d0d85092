"""The equations of the papers, by quadrature and iteration of SciPy: another route than the library's."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq, minimize_scalar
from scipy.special import erf


def mean(function: Callable[[float], float], signal: float, noise: float) -> float:
    """Return E f(signal + noise Z) by adaptive quadrature."""

    def integrand(z: float) -> float:
        return function(signal + noise * z) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    edge = -signal / noise
    points = sorted({-9.0, 9.0, *(p for k in (-8, -2, 0, 2, 8) if -9 < (p := edge + k / max(noise, 1e-3)) < 9)})
    pairs = itertools.pairwise(points)
    return sum(quad(integrand, low, high, epsabs=1e-14, epsrel=1e-13, limit=200)[0] for low, high in pairs)


def log_2_cosh(h: float) -> float:
    return abs(h) + math.log1p(math.exp(-2 * abs(h)))


def saddle(load: float, temperature: float, overlap: float, square: float) -> tuple[float, float]:
    """Iterate m = E tanh β(m + √(αr)Z), q = E tanh², r = q/(1 − β(1 − q))² from a start until nothing moves."""
    beta = 1 / temperature
    for _ in range(2000):
        r = square / (1 - beta * (1 - square)) ** 2
        noise = beta * math.sqrt(load * r)
        new = mean(math.tanh, beta * overlap, noise), mean(lambda h: math.tanh(h) ** 2, beta * overlap, noise)
        moved = max(abs(new[0] - overlap), abs(new[1] - square))
        overlap, square = new
        if moved < 1e-13:
            break
    return overlap, square


def free_energy(load: float, temperature: float, overlap: float, square: float, r: float) -> float:
    """Return f of Amit, Gutfreund and Sompolinsky as a function of all three order parameters."""
    beta = 1 / temperature
    d = 1 - beta * (1 - square)
    entropic = mean(log_2_cosh, beta * overlap, beta * math.sqrt(load * r))
    determinant = load * temperature / 2 * (math.log(d) - beta * square / d)
    return load / 2 + overlap**2 / 2 + determinant + load * beta * r * (1 - square) / 2 - temperature * entropic


def cold_load(y: float) -> float:
    """Return α of y = m/√(2αr) without temperature."""
    return ((erf(y) - 2 / math.sqrt(math.pi) * y * math.exp(-y * y)) / (math.sqrt(2) * y)) ** 2


def cold_capacity() -> tuple[float, float]:
    """Return α_c and y_c."""
    found = minimize_scalar(lambda y: -cold_load(y), bracket=(1.0, 1.5, 2.0), tol=1e-12)
    return -found.fun, found.x


def cold_field(load: float) -> float:
    """Return y of retrieval without temperature."""
    found: Any = brentq(lambda y: cold_load(y) - load, cold_capacity()[1], 100.0, xtol=1e-15)
    return float(found)


def cold_overlap(load: float) -> float:
    """Return m of retrieval without temperature."""
    return float(erf(cold_field(load)))


def cold_energy(load: float, y: float) -> float:
    """Return the energy per spin of a state whose fields have the ratio y = m/√(2αr): of the glass at y = 0."""
    if y == 0:
        ratio = math.sqrt(2 / (math.pi * load))
        c = ratio / (1 + ratio)
        m = 0.0
    else:
        m = float(erf(y))
        c = 2 / math.sqrt(math.pi) * y * math.exp(-y * y) / m
    return load / 2 - m * m / 2 - load / (2 * (1 - c)) - load * c / (2 * (1 - c) ** 2)


def known(ratio: float) -> float:
    """Return T(E) = E tanh(E + √E Z)."""
    return mean(math.tanh, ratio, math.sqrt(ratio))


def user_ratio(load: float, variance: float, start: float) -> float:
    """Iterate E = 1/(σ² + β(1 − T(E))) from m = start."""
    m, ratio = start, 0.0
    for _ in range(5000):
        ratio = 1 / (variance + load * (1 - m))
        new = known(ratio)
        if abs(new - m) < 1e-14:
            break
        m = new
    return ratio


def user_information(ratio: float, load: float, variance: float) -> float:
    """Return I of the bit in its channel and what the channel costs, in nats."""
    own = ratio - mean(lambda h: log_2_cosh(h) - math.log(2), ratio, math.sqrt(ratio))
    return own + (variance * ratio - 1 - math.log(variance * ratio)) / (2 * load)


def descent(patterns: np.ndarray, spins: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Align single spins of J = ξξᵀ/N without diagonal until none moves."""
    size = len(spins)
    coupling = patterns @ patterns.T / size
    np.fill_diagonal(coupling, 0.0)
    spins = spins.copy()
    for _ in range(200):
        before = spins.copy()
        for i in rng.permutation(size):
            field = coupling[i] @ spins
            spins[i] = spins[i] if abs(field) < 1e-12 else np.sign(field)
        if (spins == before).all():
            break
    return spins
