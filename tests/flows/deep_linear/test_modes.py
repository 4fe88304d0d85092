"""Modes of deep linear networks: closed forms against others, against equations, and in their digits."""

from typing import Any

import mpmath
import numpy as np
import pytest
from scipy import integrate

from dyntheory.flows import deep_linear

TIMES = np.linspace(0.0, 6.0, 25)
STRENGTHS = np.array([3.0, 1.0, 0.4])


def test_balanced_modes_are_logistic() -> None:
    found = deep_linear.modes(STRENGTHS, initial=1e-3, times=TIMES)
    s = STRENGTHS[:, None]
    np.testing.assert_allclose(found, s / (1 + (s / 1e-3 - 1) * np.exp(-2 * s * TIMES)), rtol=1e-13)


@pytest.mark.parametrize(("one", "other"), [(0.3, -0.2), (1.5, 0.1), (-0.4, 0.9), (2.0, 2.5), (0.5, 0.0)])
def test_two_layers_that_are_not_balanced(one: float, other: float) -> None:
    """Against the solution by hyperbolic functions: u = (c₀/2) sinh 2 artanh x."""
    s, c0 = 1.3, abs(one**2 - other**2)
    k = np.sqrt(c0**2 + 4 * s**2)
    upper, lower = (-c0 + k) / (2 * s), (-c0 - k) / (2 * s)
    start = np.tanh(np.arcsinh(2 * one * other / c0) / 2)
    fade = (start - upper) / (start - lower) * np.exp(-k * TIMES)
    exact = 0.5 * c0 * np.sinh(2 * np.arctanh((upper - fade * lower) / (1 - fade)))
    found = deep_linear.modes([s], initial=[[one, other]], times=TIMES)[0]
    np.testing.assert_allclose(found, exact, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(
    ("s", "one", "other", "time"),
    [
        (2.0, 1e-9, 1e-9, 10.0),
        (2.0, 1e-9, 3e-9, 12.0),
        (1.0, 1e-6, 1.0, 0.1),
        (1e160, 1e-3, 2e-3, 1e-160),
        (1.0, 1e-150, 1e-150, 300.0),
        (1.0, 1e90, 1e-90, 1.0),
        (1.0, 1e6, 0.0, 1.0),
        (1.0, 1.0, 1e-12, 0.0),
        (2.0, 1e4, -1e-3, 1e-6),
        (1.0, 0.3, -0.3000001, 20.0),
        (0.0, 0.5, 0.5, 100.0),
        (0.0, 2.0, 0.1, 9.0),
        (1e-9, 0.3, 0.3, 1e6),
        (5.0, 40.0, -30.0, 0.01),
    ],
)
def test_digits_of_two_layers(s: float, one: float, other: float, time: float) -> None:
    """Against 400 digits of the equation of its growth: small, late, huge, and layers of very different size."""
    with mpmath.workdps(400):
        plus, minus, target = (mpmath.mpf(one) + other) ** 2, (mpmath.mpf(one) - other) ** 2, mpmath.mpf(s)
        root = mpmath.sqrt(target**2 + plus * minus / 4)
        slope = mpmath.tanh(root * time) / root if root else mpmath.mpf(time)
        growth = (1 + (minus / 2 + target) * slope) / (1 + (plus / 2 - target) * slope)
        exact = float((plus * growth - minus / growth) / 4)
    found = deep_linear.modes([s], initial=[[one, other]], times=[time])[0, 0]
    assert found == pytest.approx(exact, rel=1e-12, abs=0.0)


def test_starts_at_rest_and_at_the_end() -> None:
    found = deep_linear.modes([2.0, 2.0], initial=[[0.0, 0.0], [0.3, -0.3]], times=[0.0, 1.0, 400.0])
    assert found[0].tolist() == [0.0, 0.0, 0.0]
    assert found[1, 0] == pytest.approx(-0.09) and abs(found[1, 2]) < 1e-15  # opposite layers die, and never turn
    assert deep_linear.modes([2.0], initial=2.0, times=[5.0])[0, 0] == 2.0


@pytest.mark.parametrize("depth", [3, pytest.param(4, marks=pytest.mark.full)])
def test_deeper_modes_obey_their_equation(depth: int) -> None:
    found = deep_linear.modes(STRENGTHS, initial=0.05, times=TIMES, depth=depth, input_variance=[1.0, 0.5, 2.0])
    for mode, (s, c) in enumerate(zip(STRENGTHS, [1.0, 0.5, 2.0], strict=True)):

        def slope(_: float, u: np.ndarray, s: float = s, c: float = c) -> np.ndarray:
            return depth * u ** (2 - 2 / depth) * (s - c * u)

        exact = integrate.solve_ivp(slope, (0, 6), [0.05], "DOP853", TIMES, rtol=1e-11, atol=1e-14).y[0]
        np.testing.assert_allclose(found[mode], exact, rtol=3e-8)


@pytest.mark.full
def test_four_layers_have_an_implicit_form() -> None:
    def passage(u: Any, s: float) -> Any:
        return 0.25 * (-2 / (s * np.sqrt(u)) + s**-1.5 * np.log((np.sqrt(s) + np.sqrt(u)) / (np.sqrt(s) - np.sqrt(u))))

    u = deep_linear.modes([1.7], initial=0.02, times=TIMES[1:], depth=4)[0]
    early = u < 1.6
    np.testing.assert_allclose(passage(u[early], 1.7) - passage(0.02, 1.7), TIMES[1:][early], rtol=1e-7)


@pytest.mark.parametrize("depth", [1, 2, *(pytest.param(depth, marks=pytest.mark.full) for depth in (3, 5))])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_half_times_are_when_modes_are_there(depth: int, share: float) -> None:
    s, c = np.array([2.0, 0.7]), np.array([1.0, 1.6])
    when = deep_linear.half_time(s, initial=0.03, depth=depth, input_variance=c, share=share)
    for mode in range(2):
        u = deep_linear.modes(s, initial=0.03, times=[when[mode]], depth=depth, input_variance=c)[mode, 0]
        assert u == pytest.approx(share * s[mode] / c[mode], rel=1e-8)


def test_half_times_are_those_of_the_textbook() -> None:
    s, start = np.array([4.0, 2.0, 1.0]), 1e-4
    np.testing.assert_allclose(deep_linear.half_time(s, initial=start), np.log(s / start - 1) / (2 * s), rtol=1e-14)


@pytest.mark.full
def test_layers_of_any_sign_in_three_layers() -> None:
    """Two negative layers are two positive ones."""
    one = deep_linear.modes([1.0], initial=[[0.3, -0.4, -0.5]], times=[2.0], depth=3)
    other = deep_linear.modes([1.0], initial=[[0.3, 0.4, 0.5]], times=[2.0], depth=3)
    np.testing.assert_allclose(one, other, rtol=1e-8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"initial": -0.1}, "`initial` must be zero or positive"),
        ({"initial": np.ones((3, 3))}, r"`initial` must have shape \(3, 2\)"),
        ({"strengths": [-1.0]}, "`strengths` must be zero or positive"),
        ({"input_variance": 0.0}, "`input_variance` must be positive"),
        ({"times": [0.0, 0.0]}, "`times` must be a row"),
        ({"depth": 0}, "`depth` must be at least 1"),
        ({"depth": 3, "rtol": 1e-12}, "`rtol` must be from 3e-12 to 0.1, got 1e-12"),
    ],
)
def test_bad_modes_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        deep_linear.modes(**{"strengths": STRENGTHS, "initial": 0.1, "times": TIMES, **options})
    with pytest.raises(ValueError, match=r"`initial` must be below 0\.5 of the last strength"):
        deep_linear.half_time(1.0, initial=0.6)
