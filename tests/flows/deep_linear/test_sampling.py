"""SGD on samples beside the flow of a deep linear network."""

from typing import Any

import jax
import numpy as np
import pytest

from dyntheory.flows import deep_linear

RNG = np.random.default_rng(2)
TARGET = np.diag([2.0, 1.0])
LAYERS = [0.5 * RNG.normal(size=shape) for shape in ((3, 2), (2, 3))]
GIVEN: dict[str, Any] = {"covariance": np.array([[1.0, 0.3], [0.3, 0.6]])}


def runs_at(rate: float, seed: int, **options: Any) -> deep_linear.LinearPaths:
    chosen: dict[str, Any] = {"batch_size": 10, "num_runs": 80, "noise_std": 0.3} | GIVEN | options
    steps: dict[str, Any] = {"num_steps": round(2 / rate), "record_every": round(0.4 / rate)}
    return deep_linear.simulate(TARGET, LAYERS, learning_rate=rate, key=jax.random.key(seed), **{**steps, **chosen})


def test_sgd_on_samples_follows_the_flow() -> None:
    runs = [runs_at(rate, seed) for seed, rate in enumerate((0.04, 0.02))]
    theory = deep_linear.flow(TARGET, LAYERS, times=runs[0].times, **GIVEN)
    found = deep_linear.compare(theory, *runs)
    assert found.resolution < 0.02 and found.largest < 4 and 0.5 < found.root_mean_square < 1.5
    whitened = deep_linear.flow(TARGET, LAYERS, times=runs[0].times)  # negative control: other inputs
    assert deep_linear.compare(whitened, *runs).largest > 10


@pytest.mark.full
def test_runs_are_those_of_their_key() -> None:
    one, again, other = (runs_at(0.1, seed, num_runs=2) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.products, again.products)
    assert np.any(one.products != other.products) and one.num_runs == 2 and one.depth == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"record_every": 3}, "`record_every` must divide `num_steps` = 20"),
        ({"noise_std": -1.0}, "`noise_std` must be zero or positive"),
        ({"num_runs": 0}, "`num_runs` must be at least 1"),
    ],
)
def test_bad_simulations_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        runs_at(0.1, 0, **options)
