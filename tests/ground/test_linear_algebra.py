import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyntheory.ground.linear_algebra import rank_aware_cholesky

pytestmark = pytest.mark.usefixtures("double")


def _moment(rank: int, size: int = 5) -> np.ndarray:
    draws = np.random.default_rng(rank).standard_normal((size, rank))
    return draws @ draws.T


@pytest.mark.parametrize("rank", [0, 1, 3, 5])
def test_factor_reproduces_a_matrix_of_any_rank(rank: int) -> None:
    moment = jnp.asarray(_moment(rank))
    factor = rank_aware_cholesky(moment)
    np.testing.assert_allclose(factor @ factor.T, moment, atol=1e-12)
    assert np.allclose(factor, np.tril(factor))
    assert int((np.abs(np.diag(factor)) > 0).sum()) == rank


def test_plain_cholesky_fails_where_ours_does_not() -> None:
    moment = jnp.asarray(_moment(3)) * 1.0
    deficient = moment.at[4].set(moment[3]).at[:, 4].set(moment[:, 3]).at[4, 4].set(moment[3, 3])
    deficient = deficient.at[:].set(jnp.outer(jnp.arange(5.0), jnp.arange(5.0)))
    assert not np.all(np.isfinite(jnp.linalg.cholesky(deficient)))
    assert np.all(np.isfinite(rank_aware_cholesky(deficient)))


def test_gradient_is_finite_at_rank_deficiency_and_right() -> None:
    def loss(scale: jax.Array) -> jax.Array:
        draws = jnp.asarray(np.random.default_rng(0).standard_normal((4, 2)))
        return jnp.sum(jnp.sin(rank_aware_cholesky(scale * draws @ draws.T)))

    derivative = jax.grad(loss)(1.3)
    difference = (loss(jnp.asarray(1.3 + 1e-6)) - loss(jnp.asarray(1.3 - 1e-6))) / 2e-6
    np.testing.assert_allclose(derivative, difference, rtol=1e-7)
