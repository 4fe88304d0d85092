"""One-pass learning: every sample is used once, and order parameters follow a flow."""

from dyntheory.flows.online.prediction import predict
from dyntheory.flows.online.results import OnlineTrajectory
from dyntheory.flows.online.simulation import simulate
from dyntheory.flows.online.units import committee, scaled_erf

__all__ = ["OnlineTrajectory", "committee", "predict", "scaled_erf", "simulate"]
