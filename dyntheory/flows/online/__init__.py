"""One-pass learning: every sample is used once, and order parameters follow a flow."""

from dyntheory.flows.online.adaptive import adaptive_least_squares
from dyntheory.flows.online.adaptive_runs import simulate_adaptive_least_squares
from dyntheory.flows.online.correlated import least_squares, simulate_least_squares
from dyntheory.flows.online.plateaus import EscapeTimes, Plateau, escape_times, find_plateaus
from dyntheory.flows.online.prediction import predict
from dyntheory.flows.online.results import OnlineTrajectory
from dyntheory.flows.online.simulation import simulate
from dyntheory.flows.online.stationary import Asymptote, find_asymptote
from dyntheory.flows.online.units import committee, scaled_erf

__all__ = [
    "Asymptote",
    "EscapeTimes",
    "OnlineTrajectory",
    "Plateau",
    "adaptive_least_squares",
    "committee",
    "escape_times",
    "find_asymptote",
    "find_plateaus",
    "least_squares",
    "predict",
    "scaled_erf",
    "simulate",
    "simulate_adaptive_least_squares",
    "simulate_least_squares",
]
