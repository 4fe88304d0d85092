"""The effective ridge solves its equation to all digits."""

import jax.numpy as jnp
import numpy as np
import pytest

from dyntheory.closed_forms.effective_ridge import effective_ridge

pytestmark = pytest.mark.usefixtures("double")


def test_kappa_solves_its_equation() -> None:
    values = jnp.exp(-0.3 * jnp.arange(200.0))
    for total in (1e-300, 1e-9, 2.0, 1e6):
        kappa = effective_ridge(values, jnp.asarray(37.0), total)
        np.testing.assert_allclose(jnp.sum(values / (values + kappa)) + total / kappa, 37.0, rtol=1e-12)
