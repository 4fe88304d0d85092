"""The class of a parametrisation: its table, its symmetry, and how features of trained networks move with width."""

import itertools
from typing import Any

import numpy as np
import pytest

import dyntheory as dt
from dyntheory.wide.classes import classify
from tests.wide.cases import INPUTS, LABELS

NTK = ((0, 0.5, 0.5), (0, 0, 0), 0)
STANDARD = ((0, 0, 0), (0, 0.5, 0.5), 0)
SLOW_STANDARD = (*STANDARD[:2], 1)
MUP = ((-0.5, 0, 0.5), (0.5, 0.5, 0.5), 0)
MEAN_FIELD = ((0, 1), (0, 0), -1)
TABLE: dict[str, tuple[Any, str, float]] = {
    "ntk": (NTK, "kernel limit", 0.5),
    "standard": (STANDARD, "exploding", -1.0),
    "standard, rates 1/n": (SLOW_STANDARD, "kernel limit", 0.5),
    "mup": (MUP, "feature learning", 0.0),
    "mean field": (MEAN_FIELD, "feature learning", 0.0),
    "mup, readout zero": (((0, 0, 0), (0, 0.5, 2), (-1, 0, 1)), "feature learning", 0.0),
    "slower ntk": (((0, 0.5, 0.5), (0, 0, 0), 1), "frozen", 1.5),
    "between": (((0, 0.5, 0.75), (0, 0, 0), (-0.5, -0.5, -0.5)), "kernel limit", 0.25),
    "small start": (((0, 1, 1), (0, 0, 0), 0), "vanishing at the start", 1.0),
    "large start": (((0, 0, 0), (0, 0.4, 0.5), 0), "exploding", -1.0),
    "large readout": (((0, 0.5, 0.3), (0, 0, 0), 0), "exploding", 0.3),
}
TRAINED = [name for name, (_, kind, _) in TABLE.items() if kind in ("feature learning", "kernel limit", "frozen")]
NETWORKS = 12
QUICK = ("ntk", "mup", "mean field")


@pytest.mark.parametrize("name", TABLE)
def test_parametrisations_of_the_literature(name: str) -> None:
    exponents, kind, feature_exponent = TABLE[name]
    found = classify(*exponents)
    assert found.kind == kind
    assert found.feature_exponent == pytest.approx(feature_exponent)


@pytest.mark.parametrize("name", TABLE)
def test_a_shift_changes_nothing(name: str) -> None:
    (a, b, c), _, _ = TABLE[name]
    shift = np.array([0.3, -0.7, 1.1])[: len(a)]
    assert classify(list(a + shift), list(b - shift), c - 2 * shift) == classify(a, b, c)


def test_names_and_advice() -> None:
    for exponents, name in ((NTK, '"ntk"'), (STANDARD, '"standard"'), (SLOW_STANDARD, "∝ 1/width"), (MUP, '"mup"')):
        assert name in classify(*exponents).reason
    assert '"mup"' in classify(*MEAN_FIELD).reason
    assert "first layer learns does not reach" in classify(*SLOW_STANDARD).reason
    assert "output layer moves outputs by n^1: its 2a + c is 0" in classify(*STANDARD).reason
    assert "A of the hidden layer is 0.4" in classify((0, 0, 0), (0, 0.4, 0.5), 0).reason


@pytest.mark.parametrize("seed", range(3))
def test_advice_cures(seed: int) -> None:
    """Rates raised as the reason of an explosion says make training stable, and something still moves."""
    start, rates = np.array([0.0, 0.5, 0.5 + seed / 4]), np.array([-1.5, -0.5, 0.25 * seed])
    assert classify([0.0] * 3, list(start), rates).kind == "exploding"
    g = min(start[2], max(rates[2], 1.0))
    least = max(0.0, 1.0 - g)
    cured = np.maximum(rates, [least - g, least - g + 1, 1.0])
    reason = classify([0.0] * 3, list(start), rates).reason
    assert f"make it at least {cured[1]:.3g}" in reason and f"make it at least {cured[0]:.3g}" in reason
    assert classify([0.0] * 3, list(start), cured).kind in ("kernel limit", "feature learning")


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (((0,), (0,), 0), "`a` must hold 3 numbers"),
        (((0, 0, 0), (0, 0), 0), "`b` must hold 3 numbers"),
        (((0, 0), (0, 0), (0, 0, 0)), "`c` as many or one"),
        (((0, 0), (0, np.inf), 0), "`b` must be finite"),
    ],
)
def test_what_is_refused(given: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        dt.wide.classify(*given)


def _moves(exponents: Any, width: int, seed: int, rate: float = 0.5, steps: int = 3) -> tuple[float, float]:
    """Return how far the last preactivations and the outputs of a network moved, root mean square; plain NumPy."""
    (a, b, c), random = exponents, np.random.default_rng(seed)
    c = np.broadcast_to(c, len(a))
    sizes = [INPUTS.shape[1], *[width] * (len(a) - 1), 1]
    scales = [float(width) ** -exponent for exponent in a]
    weights = [
        float(width) ** -exponent * random.standard_normal((below, above))
        for exponent, (below, above) in zip(b, itertools.pairwise(sizes), strict=True)
    ]

    def forward() -> tuple[list[np.ndarray], np.ndarray]:
        below, last = [INPUTS / np.sqrt(INPUTS.shape[1])], np.zeros(())
        for scale, matrix in zip(scales, weights, strict=True):
            last = scale * below[-1] @ matrix
            below.append(np.tanh(last))
        return below[:-1], last

    below, start = forward()
    features = np.arctanh(below[-1])
    for _ in range(steps):
        below, outputs = forward()
        signal = (outputs - start - LABELS[:, None]) / len(LABELS)
        for layer in reversed(range(len(weights))):
            gradient = scales[layer] * below[layer].T @ signal
            signal = scales[layer] * signal @ weights[layer].T * (1 - below[layer] ** 2)
            weights[layer] = weights[layer] - rate * float(width) ** -c[layer] * gradient
    before_last, outputs = forward()
    moved = np.linalg.norm(_before_last(before_last, weights, scales) - features) / np.sqrt(features.size)
    return float(moved), float(np.linalg.norm(outputs - start))


def _before_last(below: list[np.ndarray], weights: list[np.ndarray], scales: list[float]) -> np.ndarray:
    """Return the last preactivations, which tanh would saturate."""
    return scales[-2] * below[-2] @ weights[-2]


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.full) for name in TRAINED]
)
def test_features_of_networks_move_by_the_exponent(name: str) -> None:
    """Slopes of log Δh and log Δf over log n, by their spread over networks."""
    exponents, kind, feature_exponent = TABLE[name]
    widths = (128, 256, 512)
    moved = np.log([[_moves(exponents, n, seed) for n in widths] for seed in range(NETWORKS)])
    slopes = np.array([np.polyfit(np.log(widths), of_network, 1)[0] for of_network in moved])
    _check_exponents(slopes, [-feature_exponent, -1.0 if kind == "frozen" else 0.0])


def test_features_of_networks_explode() -> None:
    """Standard networks at one rate for all widths: by one step, at which g is ½ yet, as √n, and outputs as n."""
    moved = np.log([[_moves(STANDARD, n, seed, rate=0.05, steps=1) for n in (64, 1024)] for seed in range(NETWORKS)])
    _check_exponents((moved[:, 1] - moved[:, 0]) / np.log(16), [0.5, 1.0])


def _check_exponents(slopes: np.ndarray, expected: list[float]) -> None:
    """Compare exponents (networks, 2) with what they should be; those of other classes are a quarter away or more."""
    mean, error = slopes.mean(axis=0), slopes.std(axis=0, ddof=1) / np.sqrt(len(slopes))
    assert error.max() < 0.05
    assert np.all(np.abs(mean - expected) < 4.5 * error)
