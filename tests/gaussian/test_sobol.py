import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import qmc

from dyntheory.gaussian.sobol import normals, sobol_net, uniforms


@pytest.mark.parametrize(("num_nodes", "num_dimensions"), [(1, 3), (2, 3), (8, 1), (2**10, 37)])
def test_points_are_those_of_scipy(num_nodes: int, num_dimensions: int) -> None:
    sampler = qmc.Sobol(num_dimensions, scramble=True, bits=30, rng=np.random.default_rng(5))
    wanted = sampler.random(num_nodes) + 0.5 / 2**30
    np.testing.assert_array_equal(uniforms(sobol_net(num_nodes, num_dimensions, 5)).T, wanted)


def test_blocks_and_rows_are_parts_of_the_whole() -> None:
    net = sobol_net(2**8, 6, 1)
    whole = uniforms(net)
    np.testing.assert_array_equal(np.concatenate([uniforms(block) for block in net.blocks(8)], axis=1), whole)
    np.testing.assert_array_equal(uniforms(net.rows(2, 5)), whole[2:5])


def test_normals_are_the_quantiles() -> None:
    net = sobol_net(2**8, 6, 1)
    values = normals(net)
    assert values.dtype == np.float64
    np.testing.assert_allclose(values, ndtri(uniforms(net)), rtol=1e-9)
