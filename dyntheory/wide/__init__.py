"""Infinitely wide networks that learn features, on given inputs."""

from dyntheory.wide.cost import prediction_cost
from dyntheory.wide.prediction import predict
from dyntheory.wide.results import WideTrajectory
from dyntheory.wide.simulation import simulate
from dyntheory.wide.transferring import Transferred, transfer

__all__ = [
    "Transferred",
    "WideTrajectory",
    "predict",
    "prediction_cost",
    "simulate",
    "transfer",
]
