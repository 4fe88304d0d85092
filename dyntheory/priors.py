"""Laws of one weight of a teacher or signal: the public door of `dyntheory.problem.laws.priors`."""

from dyntheory.problem.laws.priors import (
    GaussianMixture,
    Prior,
    QuantilePrior,
    bernoulli_gauss,
    discrete,
    gaussian,
    laplace,
    rademacher,
)

__all__ = [
    "GaussianMixture",
    "Prior",
    "QuantilePrior",
    "bernoulli_gauss",
    "discrete",
    "gaussian",
    "laplace",
    "rademacher",
]
