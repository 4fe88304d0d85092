"""The packed basis: it holds what it was given, stays orthonormal, and drops what is small."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyntheory.wide.neurons import draw, expand, fresh_neurons, new_directions, take_in
from dyntheory.wide.weights import Memory as Remembers
from dyntheory.wide.weights import Start, ask, downward, not_asked, upward

pytestmark = pytest.mark.usefixtures("double")
NODES = 200


def _rows(count: int, seed: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).standard_normal((count, NODES)))


def test_vectors_come_back_and_the_basis_stays_orthonormal() -> None:
    neurons = draw(fresh_neurons(NODES, 80), _rows(20, 0), jnp.asarray(0), jnp.asarray(3), 3)
    for seed in (1, 2):
        vectors = _rows(18, seed) + 2.0
        neurons, coordinates, gram = take_in(neurons, vectors, 1e-6)
        np.testing.assert_allclose(expand(neurons, coordinates), vectors, atol=1e-10)
        np.testing.assert_allclose(gram, vectors @ vectors.T / NODES, rtol=1e-12)
    used = int(neurons.num_used)
    assert used == 1 + 3 + 36
    found = neurons.basis @ neurons.basis.T / NODES
    np.testing.assert_allclose(found[:used, :used], np.eye(used), atol=1e-12)
    assert not np.asarray(neurons.basis[used:]).any()


def test_what_is_known_adds_nothing_and_what_is_small_is_dropped() -> None:
    neurons, _, _ = take_in(fresh_neurons(NODES, 40), _rows(4, 0), 1e-6)
    before = int(neurons.num_used)
    neurons, _, _ = take_in(neurons, jnp.asarray([[1.0, 2, 3, 4]]) @ _rows(4, 0), 1e-6)
    assert int(neurons.num_used) == before
    mixed = _rows(4, 0) + 1e-3 * _rows(4, 7)
    assert int(take_in(neurons, mixed, 1e-2)[0].num_used) == before
    assert int(take_in(neurons, mixed, 1e-4)[0].num_used) == before + 4


def test_no_vector_loses_more_than_the_threshold() -> None:
    """Whether directions are shared or not, and relative to the size of each."""
    factors = np.random.default_rng(3).standard_normal((30, 30)) * 0.5 ** np.arange(30)
    gram, sizes = jnp.asarray(factors @ factors.T), jnp.asarray(np.linalg.norm(factors, axis=1))
    for threshold in (0.3, 0.03):
        combinations, count = new_directions(gram, sizes, threshold)
        seen = combinations @ factors
        np.testing.assert_allclose((seen @ seen.T)[:count, :count], np.eye(int(count)), atol=1e-9)
        left = np.linalg.norm(factors - factors @ seen.T @ seen, axis=1) / sizes
        assert left.max() <= threshold
        fewer = seen[: count - 1]
        assert (np.linalg.norm(factors - factors @ fewer.T @ fewer, axis=1) / sizes).max() > threshold


def test_both_questions_are_answered_by_one_matrix() -> None:
    """⟨g, W φ⟩ = ⟨Wᵀ g, φ⟩ whatever was asked first; α stands with the transpose."""
    ratio = jnp.asarray(0.5)
    lower, upper = fresh_neurons(NODES, 60), fresh_neurons(NODES, 60)
    start = Start(not_asked(60, 60), not_asked(60, 60))
    for seed in range(3):
        lower, phi, _ = take_in(lower, _rows(3, seed), 1e-6)
        asked, upper = ask(start.lower, phi, upper, (_rows(40, 10), jnp.asarray(0)), 1e-6)
        start = start._replace(lower=asked)
        up = upward(start, ratio, Remembers(), phi)
        upper, g, _ = take_in(upper, jnp.tanh(expand(upper, up)), 1e-6)
        asked, lower = ask(start.upper, g, lower, (_rows(40, 11), jnp.asarray(0)), 1e-6)
        start = start._replace(upper=asked)
        down = downward(start, ratio, Remembers(), g)
        up = upward(start, ratio, Remembers(), phi)
        np.testing.assert_allclose(ratio * g @ up.T, down @ phi.T, atol=1e-10)
