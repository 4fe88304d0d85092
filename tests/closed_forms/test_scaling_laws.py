"""Power laws: the limit of their sums, the best penalty, constants to all digits."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from dyntheory import closed_forms
from dyntheory.ground.precision import double_precision
from tests.closed_forms import references


@pytest.mark.parametrize(
    ("source", "rate"),
    [(0.7, 0.6), *(pytest.param(*pair, marks=pytest.mark.full) for pair in ((0.3, 0.9), (1.6, 0.6)))],
)
def test_power_law_is_the_limit_of_its_spectrum(source: float, rate: float) -> None:
    """The difference from the sums over 400 000 modes falls as n grows, at least as n^-rate."""
    capacity, counts = 2.0, np.array([20.0, 80.0, 320.0])
    index = np.arange(1.0, 400_001)
    values = index**-capacity
    target = np.sqrt(index ** -(1 + 2 * capacity * source) / values)
    for relative in (0.0, 0.5):
        penalty = relative * (math.pi / 2 / counts) ** capacity
        law = closed_forms.power_law(counts, penalty, capacity=capacity, source=source, noise_std=0.2)
        sums = closed_forms.ridge_general(
            counts, penalty, eigenvalues=values, target_coefficients=target, noise_std=0.2
        )
        for name in ("bias", "variance", "kappa"):
            gaps = np.abs(getattr(law, name) / getattr(sums, name) - 1)
            slope = np.polyfit(np.log(counts), np.log(gaps), 1)[0]
            assert gaps[-1] < 0.02 and slope < -rate, (name, gaps)


@pytest.mark.parametrize("source", [0.2, 1.4, pytest.param(0.5, marks=pytest.mark.full)])
@pytest.mark.parametrize("noise_std", [0.05, pytest.param(1.0, marks=pytest.mark.full)])
def test_best_penalty_is_best_and_its_exponent_is_known(source: float, noise_std: float) -> None:
    numbers = {"capacity": 1.8, "source": source, "noise_std": noise_std}
    best = closed_forms.power_law(1e5, **numbers)
    factors = np.concatenate([[0.0], np.logspace(-3, 3, 61)])
    others = closed_forms.power_law(1e5, factors * (best.penalty or 1e-9), **numbers)
    assert np.all(best.test_error <= others.test_error * (1 + 1e-13))
    again = closed_forms.power_law(1e5, best.penalty, **numbers)
    np.testing.assert_allclose(again.test_error, best.test_error, rtol=1e-13)
    errors = closed_forms.power_law([1e20, 1e22], **numbers).excess_error
    decay = 2 * 1.8 * min(source, 1.0)
    np.testing.assert_allclose(np.log(errors[1] / errors[0]) / np.log(100), -decay / (1 + decay), rtol=2e-3)


def test_zeta_and_gamma_of_the_amplitude() -> None:
    from dyntheory.closed_forms.scaling_laws import _amplitude  # pyright: ignore[reportPrivateUsage]

    mp = references.mp
    with double_precision():
        for source in (1e-6, 0.2, 0.4999, 0.5, 0.77, 1 - 1e-9, 1 + 1e-7, 1.3, 4.0, 60.0):
            found = float(_amplitude(jnp.asarray(1.7), jnp.asarray(source)))
            with mp.workdps(40):
                r, a = mp.mpf(source), mp.mpf(1.7)
                exact = mp.gamma(2 - 2 * r) * mp.gamma(2 * r) / a if r < 1 else mp.zeta(1 + 2 * a * (r - 1))
            np.testing.assert_allclose(found, float(exact), rtol=1e-11)


def test_power_laws_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="trace"):
        closed_forms.power_law(10.0, capacity=1.0, source=0.5)
    with pytest.raises(ValueError, match="logarithm"):
        closed_forms.power_law(10.0, capacity=2.0, source=1.0)
