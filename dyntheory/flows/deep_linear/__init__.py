"""Deep linear networks: modes that are learned one after the other, in closed form."""

from dyntheory.flows.deep_linear.results import LinearPaths
from dyntheory.flows.deep_linear.riccati import exact
from dyntheory.flows.deep_linear.sampling import LinearAgreement, compare, simulate
from dyntheory.flows.deep_linear.scalar import effective_start, half_time, modes
from dyntheory.flows.deep_linear.training import descend, flow

__all__ = [
    "LinearAgreement",
    "LinearPaths",
    "compare",
    "descend",
    "effective_start",
    "exact",
    "flow",
    "half_time",
    "modes",
    "simulate",
]
