import jax.numpy as jnp
import numpy as np
import pytest

from dyntheory.matrix.orthonormal import euclidean, extend, orthonormal_on_nodes

pytestmark = pytest.mark.usefixtures("double")


def _family() -> np.ndarray:
    basis, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((40, 6)))
    return np.concatenate([basis.T, np.zeros((4, 40))])


def test_extension_is_orthonormal_and_reproduces_the_vectors() -> None:
    family = _family()
    vectors = np.random.default_rng(1).standard_normal((3, 40))
    found, components = extend(jnp.asarray(vectors), jnp.asarray(family), euclidean)
    np.testing.assert_allclose(found @ found.T, np.eye(3), atol=1e-14)
    np.testing.assert_allclose(found @ family.T, 0, atol=1e-14)
    np.testing.assert_allclose(components @ family + vectors @ found.T @ found, vectors, atol=1e-13)


def test_nearly_contained_vectors_stay_orthogonal() -> None:
    family = _family()
    random = np.random.default_rng(2)
    vectors = random.standard_normal((2, 10)) @ family + 1e-7 * random.standard_normal((2, 40))
    found, _ = extend(jnp.asarray(vectors), jnp.asarray(family), euclidean)
    np.testing.assert_allclose(found @ family.T, 0, atol=1e-15)
    np.testing.assert_allclose(found @ found.T, np.eye(2), atol=1e-14)


def test_contained_repeated_and_zero_vectors_add_nothing() -> None:
    family = _family()
    outside = np.random.default_rng(3).standard_normal(40)
    vectors = np.stack([family[0] + 2 * family[3], outside, outside, np.zeros(40)])
    found, _ = extend(jnp.asarray(vectors), jnp.asarray(family), euclidean)
    np.testing.assert_array_equal(np.linalg.norm(found, axis=1).round(12), [0, 1, 0, 0])


def test_rows_on_nodes_have_unit_second_moment() -> None:
    random = np.random.default_rng(4)
    weights = random.random(50)
    weights /= weights.sum()
    rows = orthonormal_on_nodes(jnp.asarray(random.standard_normal((3, 50))), jnp.asarray(weights))
    np.testing.assert_allclose((np.asarray(rows) * weights) @ np.asarray(rows).T, np.eye(3), atol=1e-13)
