"""The threshold of recovery against high precision and published values."""

import mpmath as mp
import numpy as np
import pytest

from dyntheory.closed_forms import compressed_sensing_threshold


def test_recovery_threshold() -> None:
    delta = np.array([1e-100, 1e-3, 0.3, 0.5, 0.9, 1 - 1e-9])
    found = compressed_sensing_threshold(delta)
    for value, rho in zip(delta, found.nonzeros_per_sample, strict=True):
        with mp.workdps(130):
            d, guess = mp.mpf(float(value)), mp.mpf(float(found.threshold[list(delta).index(value)]))
            z = mp.findroot(lambda x, d=d: mp.log(x * mp.erf(x / mp.sqrt(2)) / (2 * mp.npdf(x)) * d / (1 - d)), guess)
            exact = float(1 - z * mp.ncdf(-z) / mp.npdf(z))
        np.testing.assert_allclose(rho, exact, rtol=1e-12)
    with pytest.raises(ValueError, match="below 1"):
        compressed_sensing_threshold(1.0)
