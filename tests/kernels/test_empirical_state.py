"""What stands beside the parameters is held fixed: running statistics of flax modules, against a Jacobian by hand."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from flax.core import freeze

from dyntheory.kernels import empirical_ntk, kernel_evolution, ntk_product

pytestmark = pytest.mark.usefixtures("double")
DRAW = np.random.default_rng(8).standard_normal
X1, X2 = DRAW((4, 3)), DRAW((2, 3))
WEIGHTS, READOUT, SCALE, SHIFT = DRAW((3, 5)), DRAW((5, 1)), 1 + 0.3 * DRAW(5), DRAW(5)
MEAN, VARIANCE, EPSILON = DRAW(5), 0.5 + DRAW(5) ** 2, 1e-5


class Normalised(nn.Module):
    """f(x) = v · BatchNorm(W x)."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        hidden = nn.Dense(5, use_bias=False)(x)
        hidden = nn.BatchNorm(use_running_average=True, epsilon=EPSILON)(hidden)
        return nn.Dense(1, use_bias=False)(hidden)


class NormalisedNnx(nnx.Module):
    """The same as an nnx module, with a stream of random numbers that it does not use."""

    def __init__(self) -> None:
        rngs = nnx.Rngs(0)
        self.first = nnx.Linear(3, 5, use_bias=False, rngs=rngs)
        self.norm = nnx.BatchNorm(5, use_running_average=True, epsilon=EPSILON, rngs=rngs)
        self.last = nnx.Linear(5, 1, use_bias=False, rngs=rngs)
        self.dropped = nnx.Dropout(0.5, deterministic=True, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.last(self.dropped(self.norm(self.first(x))))


VARIABLES: Any = {
    "params": {
        "Dense_0": {"kernel": WEIGHTS},
        "BatchNorm_0": {"scale": SCALE, "bias": SHIFT},
        "Dense_1": {"kernel": READOUT},
    },
    "batch_stats": {"BatchNorm_0": {"mean": MEAN, "var": VARIANCE}},
}


def by_hand(x1: np.ndarray, x2: np.ndarray, *, statistics: bool = False) -> np.ndarray:
    """Return Σ ∂f ∂f′ over W, v, scale and shift; with `statistics` also over the running mean and variance."""
    deviation, squares = np.sqrt(VARIANCE + EPSILON), READOUT[:, 0] ** 2
    one, two = ((x @ WEIGHTS - MEAN) / deviation for x in (x1, x2))
    kernel = (one * SCALE + SHIFT) @ (two * SCALE + SHIFT).T  # v
    kernel += np.sum(squares * (SCALE / deviation) ** 2) * (x1 @ x2.T)  # W
    kernel += (one * squares) @ two.T + np.sum(squares)  # scale and shift
    if statistics:
        slope = squares * (SCALE / deviation) ** 2
        kernel += np.sum(slope) + (one * slope / (4 * deviation**2)) @ two.T
    return kernel


@pytest.fixture
def broadcasting() -> Any:
    with jax.numpy_rank_promotion("allow"):
        yield


@pytest.mark.usefixtures("broadcasting")
@pytest.mark.parametrize("method", ["auto", "jacobian", "products"])
@pytest.mark.parametrize("wrap", [dict, freeze])
def test_running_statistics_are_not_parameters(method: str, wrap: Any) -> None:
    found = empirical_ntk(Normalised().apply, wrap(VARIABLES), X1, X2, method=method)
    np.testing.assert_allclose(found, by_hand(X1, X2), rtol=1e-12)
    assert np.abs(found - by_hand(X1, X2, statistics=True)).max() > 1  # negative control: what was returned before


@pytest.mark.usefixtures("broadcasting")
def test_of_a_plain_tree_everything_moves() -> None:
    """Under other names the statistics are parameters like others: nobody said that they are not."""
    renamed = {"weights": VARIABLES["params"], "statistics": VARIABLES["batch_stats"]}

    def apply(tree: Any, x: jax.Array) -> Any:
        return Normalised().apply({"params": tree["weights"], "batch_stats": tree["statistics"]}, x)

    found = empirical_ntk(apply, renamed, X1, X2)
    np.testing.assert_allclose(found, by_hand(X1, X2, statistics=True), rtol=1e-12)


@pytest.mark.usefixtures("broadcasting")
def test_of_an_nnx_state_only_params_move() -> None:
    parts: Any = nnx.split(NormalisedNnx())
    definition, state = parts
    for path, value in (
        ("first.kernel", WEIGHTS),
        ("last.kernel", READOUT),
        ("norm.scale", SCALE),
        ("norm.bias", SHIFT),
        ("norm.mean", MEAN),
        ("norm.var", VARIANCE),
    ):
        layer, name = path.split(".")
        state[layer][name] = type(state[layer][name])(jnp.asarray(value))
    found = empirical_ntk(lambda tree, x: nnx.merge(definition, tree)(x), state, X1, X2)
    np.testing.assert_allclose(found, by_hand(X1, X2), rtol=1e-12)


@pytest.mark.usefixtures("broadcasting")
def test_products_and_evolution_hold_them_too() -> None:
    vector = DRAW((2, 1))
    found = ntk_product(Normalised().apply, VARIABLES, X1, vector, X2)
    np.testing.assert_allclose(found, by_hand(X1, X2) @ vector, rtol=1e-12)
    later = {**VARIABLES, "batch_stats": {"BatchNorm_0": {"mean": MEAN + 1, "var": 2 * VARIANCE}}}
    path = kernel_evolution(Normalised().apply, [VARIABLES, later], X1)
    assert float(path.parameter_change[1]) == 0 and float(path.relative_change[1]) > 0.1


def test_variables_without_parameters_say_so() -> None:
    with pytest.raises(TypeError, match="collection 'params'"):
        empirical_ntk(lambda tree, x: x @ tree["state"], {"params": {}, "state": np.ones(3)}, X1)
