import numpy as np
import pytest
from scipy.special import ndtr

from dyntheory.gaussian.nodes import draw_nodes, heavy_quantile, heavy_weights


def test_quantile_inverts_the_heavier_law() -> None:
    uniforms = (np.arange(4096) + 0.5) / 4096
    values = heavy_quantile(uniforms)
    np.testing.assert_allclose(0.75 * ndtr(values) + 0.25 * ndtr(values / 2), uniforms, rtol=0, atol=1e-13)


def test_weights_turn_the_heavier_law_into_a_normal_one() -> None:
    values = heavy_quantile((np.arange(2**14) + 0.5) / 2**14)[None]
    weights = heavy_weights(values)
    moments = [np.sum(weights * values[0] ** power) for power in (1, 2, 4, 6)]
    np.testing.assert_allclose(moments, [0, 1, 3, 15], atol=2e-3)


def test_heavier_law_pays_on_heavy_links() -> None:
    nodes = draw_nodes(2**12, 3, num_heavy=1, seed=0)
    plain = draw_nodes(2**12, 3, num_heavy=0, seed=0)
    tilted = abs(np.sum(nodes.weights * nodes.coordinates[0] ** 10) / 945 - 1)
    untilted = abs(np.mean(plain.coordinates[0] ** 10) / 945 - 1)
    assert tilted < 0.1 * untilted


def test_blocks_are_the_same_points() -> None:
    whole = draw_nodes(2**10, 5, num_heavy=1, seed=3)
    blocks = draw_nodes(2**10, 5, num_heavy=1, seed=3, num_blocks=8)
    np.testing.assert_array_equal(np.concatenate(list(blocks.coordinates), axis=1)[1:], whole.coordinates[1:])
    np.testing.assert_allclose(np.sum(blocks.weights, axis=1), 1.0)
    for block in blocks.coordinates:
        assert abs(np.mean(block[1:])) < 0.05


def test_seed_decides_the_points() -> None:
    first, same, other = (draw_nodes(256, 4, num_heavy=1, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.coordinates, same.coordinates)
    assert not np.array_equal(first.coordinates, other.coordinates)


def test_without_heavy_coordinates_weights_are_equal() -> None:
    np.testing.assert_allclose(draw_nodes(64, 2, num_heavy=0, seed=0).weights, 1 / 64)


def test_bad_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="power of two, got 1000"):
        draw_nodes(1000, 3, num_heavy=1, seed=0)
    with pytest.raises(ValueError, match="lower num_steps"):
        draw_nodes(64, 30000, num_heavy=1, seed=0)
