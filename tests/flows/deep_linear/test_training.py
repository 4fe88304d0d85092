"""Deep linear networks as matrices: flow, exact solution and steps, against each other and against plain programs."""

from typing import Any

import numpy as np
import pytest
from scipy import integrate

import dyntheory as dt
from dyntheory.flows import deep_linear
from tests.oracles import deep_linear as limit

RNG = np.random.default_rng(8)
TIMES = np.linspace(0.0, 3.0, 13)
TARGET = RNG.normal(size=(3, 4))
LAYERS = [0.4 * RNG.normal(size=shape) for shape in ((5, 4), (2, 5), (3, 2))]
SQUARE = RNG.normal(size=(4, 4))
COVARIANCE = SQUARE @ SQUARE.T / 4 + 0.2 * np.eye(4)


def balanced(hidden: int, scale: float, outputs: int = 3, inputs: int = 4) -> list[np.ndarray]:
    """Return two layers with W₁W₁ᵀ = W₂ᵀW₂ in no relation to the target."""
    rng = np.random.default_rng(21)
    size = min(hidden, outputs, inputs)
    rotation = np.linalg.qr(rng.normal(size=(hidden, hidden)))[0][:, :size]
    left, right = (np.linalg.qr(rng.normal(size=(n, n)))[0][:, :size] for n in (outputs, inputs))
    roots = scale * np.sqrt(np.arange(1, size + 1))
    return [rotation * roots @ right.T, left * roots @ rotation.T]


def plain_descent(layers: list[np.ndarray], target: np.ndarray, moment: np.ndarray) -> list[np.ndarray]:
    """Return minus the gradient by finite sums, no shortcuts: differentiate ½ tr(W C Wᵀ) − tr(W Σᵀ) entry by entry."""
    found = []
    for index, layer in enumerate(layers):
        slope = np.empty_like(layer)
        for place in np.ndindex(layer.shape):
            moved = [np.array(one) for one in layers]
            moved[index] = np.zeros_like(layer)
            moved[index][place] = 1.0
            towards = np.linalg.multi_dot([np.eye(len(target)), *moved[::-1], np.eye(target.shape[1])])
            whole = np.linalg.multi_dot([np.eye(len(target)), *layers[::-1], np.eye(target.shape[1])])
            slope[place] = np.sum(towards * (target - whole @ moment))
        found.append(slope)
    return found


@pytest.fixture(scope="module")
def paths() -> deep_linear.LinearPaths:
    return deep_linear.flow(TARGET, LAYERS, times=TIMES, covariance=COVARIANCE)


def test_the_flow_is_that_of_a_plain_program(paths: deep_linear.LinearPaths) -> None:
    """Three layers, a bottleneck, inputs that are not whitened."""
    sizes = np.cumsum([0, *(layer.size for layer in LAYERS)])

    def unpacked(flat: np.ndarray) -> list[np.ndarray]:
        pairs = zip(sizes[:-1], sizes[1:], LAYERS, strict=True)
        return [flat[begin:end].reshape(layer.shape) for begin, end, layer in pairs]

    def right_side(_: float, flat: np.ndarray) -> np.ndarray:
        return np.concatenate([one.ravel() for one in plain_descent(unpacked(flat), TARGET, COVARIANCE)])

    start = np.concatenate([layer.ravel() for layer in LAYERS])
    exact = integrate.solve_ivp(right_side, (0, 3), start, "DOP853", TIMES[::6], rtol=1e-8, atol=1e-9).y.T
    assert paths.status.ok
    for index, state in enumerate(exact):
        for layer, wanted in zip(paths.weights, unpacked(state), strict=True):
            np.testing.assert_allclose(layer[0, 6 * index], wanted, atol=1e-7)


def test_losses_are_above_that_of_the_best_map(paths: deep_linear.LinearPaths) -> None:
    rng = np.random.default_rng(22)
    x = np.linalg.cholesky(COVARIANCE) @ np.linalg.qr(rng.normal(size=(64, 4)))[0].T * 8  # of exactly that covariance
    best = TARGET @ np.linalg.inv(COVARIANCE)
    for time in (0, 12):
        off = (paths.products[0, time] - best) @ x
        assert paths.loss[0, time] == pytest.approx(0.5 * np.sum(off**2) / 64, rel=1e-9)
    np.testing.assert_allclose(paths.target_strengths, np.linalg.svd(best)[1], rtol=1e-12)
    assert np.all(np.diff(paths.loss[0]) < 0)


def test_the_imbalance_is_conserved(paths: deep_linear.LinearPaths) -> None:
    np.testing.assert_allclose(paths.imbalance, paths.imbalance[:, :1] + np.zeros((1, 13)), rtol=1e-6)
    steps = deep_linear.descend(TARGET, LAYERS, learning_rate=0.03, num_steps=60, covariance=COVARIANCE)
    assert abs(steps.imbalance[0, -1] / steps.imbalance[0, 0] - 1) > 1e-3  # steps do not conserve it


@pytest.mark.parametrize(
    ("hidden", "scale"), [(5, 0.02), *(pytest.param(*one, marks=pytest.mark.full) for one in ((2, 0.3), (3, 1.0)))]
)
def test_the_exact_solution_is_the_flow(hidden: int, scale: float) -> None:
    layers = balanced(hidden, scale)
    found = deep_linear.exact(TARGET, layers, times=TIMES)
    solved = deep_linear.flow(TARGET, layers, times=TIMES, rtol=1e-10)
    np.testing.assert_allclose(found, solved.products[0], atol=2e-9)


def test_the_exact_solution_keeps_its_digits() -> None:
    """Strong and weak modes, e^{2st} from 1 to 1e130: aligned modes are known."""
    s = np.array([15.0, 2.0, 0.1, 0.0])
    found = deep_linear.exact(np.diag(s), [1e-3 * np.eye(4)] * 2, times=[0.0, 1.0, 5.0, 10.0])
    aligned = deep_linear.modes(s, initial=1e-6, times=[0.0, 1.0, 5.0, 10.0])
    np.testing.assert_allclose(np.diagonal(found, axis1=1, axis2=2).T, aligned, rtol=1e-9)


@pytest.mark.full
def test_aligned_layers_are_modes() -> None:
    rng = np.random.default_rng(23)
    left, right = np.linalg.qr(rng.normal(size=(3, 3)))[0], np.linalg.qr(rng.normal(size=(3, 3)))[0]
    s, starts = np.array([3.0, 1.5, 0.5]), np.array([[0.3, 0.1, 0.2], [0.2, 0.2, 0.2], [0.4, 0.1, 0.5]])
    layers = [np.diag(starts[:, 0]) @ right.T, np.diag(starts[:, 1]), left @ np.diag(starts[:, 2])]
    found = deep_linear.flow(left @ np.diag(s) @ right.T, layers, times=TIMES)
    exact = deep_linear.modes(s, initial=starts, times=TIMES, depth=3)
    np.testing.assert_allclose(found.strengths[0].T, exact, atol=1e-7)
    np.testing.assert_allclose(found.alignment, 1.0, atol=1e-9)


def test_modes_are_learned_one_after_the_other_after_they_are_aligned() -> None:
    """From a small start at random: half times follow 1/s, and directions are right before the loss has fallen."""
    rng = np.random.default_rng(24)
    target, layers = np.diag([4.0, 2.0, 1.0]), [1e-3 * rng.normal(size=shape) for shape in ((6, 3), (3, 6))]
    times = np.linspace(0, 12, 301)
    found = deep_linear.flow(target, layers, times=times)
    halves = found.half_times[0]
    assert halves[0] < halves[1] / 1.5 and halves[1] < halves[2] / 1.5
    start = deep_linear.effective_start(target, layers)
    np.testing.assert_allclose(halves, deep_linear.half_time([4.0, 2.0, 1.0], initial=start), rtol=0.01)
    fallen = np.argmax(found.loss[0] < 0.95 * found.loss[0, 0])
    assert found.alignment[0, fallen, 0] > 0.99 > 0.9 > found.alignment[0, 0, 0]
    # Negative control: a large start is not aligned when its loss has fallen.
    large = deep_linear.flow(target, [1000 * layer for layer in layers], times=times)
    fallen = np.argmax(large.loss[0] < 0.95 * large.loss[0, 0])
    assert large.alignment[0, fallen, 0] < 0.9


def test_modes_without_a_hidden_direction_are_not_learned() -> None:
    """A bottleneck of one unit: the strongest mode takes it, whatever else the start says."""
    rng = np.random.default_rng(25)
    layers = [0.01 * rng.normal(size=shape) for shape in ((1, 3), (3, 1))]
    start = deep_linear.effective_start(np.diag([3.0, 2.0, 1.0]), layers)
    assert start[0] > 0 and np.all(start[1:] == 0)


def test_equal_strengths_have_no_modes_of_their_own() -> None:
    with pytest.raises(ValueError, match="`correlation` must have strengths that are apart"):
        deep_linear.effective_start(np.eye(2), [np.ones((2, 2))] * 2)


def test_a_network_of_nothing_rests() -> None:
    nothing = [0 * layer for layer in LAYERS]
    found = deep_linear.flow(0 * TARGET, nothing, times=TIMES, covariance=COVARIANCE)
    assert found.status.ok and not found.products.any()


def test_losses_that_overflow_before_layers_do_are_told() -> None:
    with pytest.warns(dt.DyntheoryWarning, match="1 of 1 runs are not finite from state 0"):
        found = deep_linear.descend(np.eye(1), [np.full((1, 1), 1e80)] * 2, learning_rate=1e-300, num_steps=1)
    assert np.isfinite(found.weights[0]).all() and found.status.code == "diverged"


def test_steps_approach_the_flow_at_first_order(paths: deep_linear.LinearPaths) -> None:
    off = []
    for rate in (0.01, 0.005):
        steps = deep_linear.descend(
            TARGET, LAYERS, learning_rate=rate, num_steps=round(3 / rate), covariance=COVARIANCE
        )
        off.append(np.abs(steps.products[0, -1] - paths.products[0, -1]).max())
    assert off[1] > 1e-5 and off[0] / off[1] == pytest.approx(2.0, rel=0.15)


def test_many_samples_in_the_limit_are_whitened_inputs() -> None:
    """At n/d → ∞ the proportional limit of linear networks, by its own oracle, is descent on the population."""
    rng = np.random.default_rng(26)
    k, slope, head = 3, np.array([0.7]), rng.normal(size=(1, 3))
    curves = limit.solve_spectral(
        [head], slope, alpha=1e12, learning_rate=0.1, noise_std=0.0, num_steps=12, second_moment=np.eye(k),
        teacher_overlap=np.zeros((k, 1)), teacher_second_moment=np.eye(1),
    )  # fmt: skip
    first = np.concatenate([np.zeros((k, 1)), np.eye(k)], axis=1)  # features: the teacher, then the start of each unit
    target = np.concatenate([slope[None], np.zeros((1, k))], axis=1)
    found = deep_linear.descend(target, [first, head], learning_rate=0.1, num_steps=12)
    weights = found.weights[0][0]
    np.testing.assert_allclose(weights @ np.swapaxes(weights, 1, 2), curves.weight_overlap, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(2 * found.loss[0], curves.test_error, rtol=1e-5, atol=1e-12)  # of differences there


def test_steps_that_are_too_large_diverge() -> None:
    with pytest.warns(dt.DyntheoryWarning, match="lower `learning_rate`"):
        found = deep_linear.descend(100 * TARGET, LAYERS, learning_rate=1.0, num_steps=200)
    assert found.status.code == "diverged"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: deep_linear.flow(TARGET, LAYERS[:2], times=TIMES), "`weights` must be layers W_1, …, W_L"),
        (lambda: deep_linear.flow(TARGET, LAYERS, times=TIMES, covariance=-np.eye(4)), "positive semidefinite"),
        (lambda: deep_linear.flow(TARGET, LAYERS, times=TIMES, covariance=np.diag([1, 1, 1, 0.0])), "must vanish for"),
        (lambda: deep_linear.flow(TARGET[0], LAYERS, times=TIMES), "`correlation` must have shape"),
        (lambda: deep_linear.exact(TARGET, LAYERS, times=TIMES), "`weights` must be two layers"),
        (lambda: deep_linear.exact(TARGET, [LAYERS[0], np.ones((3, 5))], times=TIMES), "`weights` must be balanced"),
        (lambda: deep_linear.exact(np.eye(2), [np.eye(2)] * 2, times=[400.0]), "`times` must end by 300/s"),
        (lambda: deep_linear.descend(TARGET, LAYERS, learning_rate=0, num_steps=1), "`learning_rate` must be positive"),
    ],
)
def test_bad_networks_are_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
