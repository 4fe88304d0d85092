"""Bounds lie above exact curves, touch them where they are tight, and are refused where nothing is proved."""

import numpy as np
import pytest

from dyntheory.closed_forms import accelerated_bounds, descent_bounds, noise_floor, quadratic_descent

CURVATURES = np.array([0.01, 0.1, 0.4, 1.0])
START = np.array([3.0, 1.0, -1.0, 2.0])
STEPS = np.arange(1, 300)
GAP, DISTANCE = float(np.sum(CURVATURES * START**2) / 2), float(np.linalg.norm(START))


def _loss(rate: float, noise: float) -> np.ndarray:
    squares = quadratic_descent(CURVATURES, rate, steps=STEPS[:, None], initial=START, noise_std=noise)
    return np.sum(CURVATURES * squares, axis=-1) / 2


@pytest.mark.parametrize("rate", [0.1, 1.0])
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_bounds_hold_on_a_quadratic(rate: float, noise: float) -> None:
    total = noise * np.sqrt(len(CURVATURES))
    bounds = descent_bounds(STEPS, rate, strong_convexity=0.01, gap=GAP, distance=DISTANCE, noise_std=total)
    loss = _loss(rate, noise)
    assert np.all(loss <= bounds.strongly_convex)
    # f at the mean of iterates is below the mean of f.
    assert np.all(np.cumsum(loss) / STEPS <= bounds.convex)
    squares = quadratic_descent(CURVATURES, rate, steps=(STEPS - 1)[:, None], initial=START, noise_std=noise)
    gradients = np.cumsum(np.sum(CURVATURES**2 * squares, axis=-1)) / STEPS
    assert np.all(gradients <= bounds.stationary)


def test_one_flat_direction_makes_the_strongly_convex_bound_tight() -> None:
    """Along the smallest curvature the exact loss falls by (1 − ημ)², the bound by 1 − ημ; at ημ = 1 both are zero."""
    exact = quadratic_descent(1.0, 1.0, steps=1) / 2
    assert exact == descent_bounds(1, 1.0, strong_convexity=1.0, gap=0.5).strongly_convex == 0.0
    floor = noise_floor(1.0, 0.1) / 2
    bound = descent_bounds(10**6, 0.1, strong_convexity=1.0, noise_std=1.0).strongly_convex
    np.testing.assert_allclose(floor / bound, 1 / (2 - 0.1) / (1.0), rtol=1e-9)  # ησ²/(2(2 − η)) over ησ²/2


def test_accelerated_bounds_hold() -> None:
    smooth, convex = 1.0, 0.01
    momentum = (1 - np.sqrt(convex)) / (1 + np.sqrt(convex))
    squares = quadratic_descent(CURVATURES, 1.0, steps=STEPS[:, None], initial=START, momentum=momentum, nesterov=True)
    bounds = accelerated_bounds(STEPS, smoothness=smooth, strong_convexity=convex, gap=GAP, distance=DISTANCE)
    assert np.all(np.sum(CURVATURES * squares, axis=-1) / 2 <= bounds.strongly_convex)
    x, y, t, losses = START.copy(), START.copy(), 1.0, []
    for _ in STEPS:  # FISTA without a penalty
        new, following = y - CURVATURES * y, (1 + np.sqrt(1 + 4 * t * t)) / 2
        y, x, t = new + (t - 1) / following * (new - x), new, following
        losses.append(np.sum(CURVATURES * x**2) / 2)
    assert np.all(np.array(losses) <= bounds.convex)
    assert np.isnan(accelerated_bounds(3).strongly_convex) and np.isnan(descent_bounds(3, 0.5).strongly_convex)


def test_bad_numbers_are_named() -> None:
    with pytest.raises(ValueError, match="`learning_rate` must be at most 1/smoothness"):
        descent_bounds(3, 0.6, smoothness=2.0)
    with pytest.raises(ValueError, match="`strong_convexity` must be at most"):
        accelerated_bounds(3, smoothness=1.0, strong_convexity=2.0)
    for options in ({"learning_rate": [0.1, 0.2, 0.3]}, {"smoothness": [1.0, 1.0, 1.0]}):
        with pytest.raises(ValueError, match=r"shapes of the numbers must broadcast .* got .*\(2,\).*\(3,\)"):
            descent_bounds(**{"steps": [1, 2], "learning_rate": 0.1, **options})  # pyright: ignore
