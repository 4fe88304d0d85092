"""Small kernel problems shared by the tests of training."""

from typing import Any, NamedTuple

import numpy as np
import pytest


class Problem(NamedTuple):
    """A linear model with features J: kernels of n training and m test inputs, labels, outputs at the start."""

    features: Any
    test_features: Any
    labels: Any
    initial: Any
    test_initial: Any

    @property
    def kernel(self) -> Any:
        return self.features @ self.features.T

    @property
    def cross(self) -> Any:
        return self.test_features @ self.features.T

    @property
    def test_kernel(self) -> Any:
        return self.test_features @ self.test_features.T


def make_problem(num_samples: int, num_parameters: int, seed: int = 0) -> Problem:
    draw = np.random.default_rng(seed).standard_normal
    features = draw((num_samples, num_parameters)) / np.sqrt(num_parameters)
    test_features = draw((3, num_parameters)) / np.sqrt(num_parameters)
    start = 0.3 * draw((num_parameters, 2))
    return Problem(features, test_features, draw((num_samples, 2)), features @ start, test_features @ start)


@pytest.fixture(scope="session")
def regular() -> Problem:
    """Return a problem with more parameters than samples: the kernel has full rank."""
    return make_problem(6, 9)


@pytest.fixture(scope="session")
def singular() -> Problem:
    """Return a problem with fewer parameters than samples, one of them given twice: rank 4 of 7."""
    problem = make_problem(7, 4, seed=1)
    features = np.concatenate([problem.features[:-1], problem.features[:1]])
    return problem._replace(features=features)
