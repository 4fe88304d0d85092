"""Infinitely wide networks that learn features, on given inputs."""

from dyntheory.wide.classes import Classification, classify
from dyntheory.wide.cost import prediction_cost
from dyntheory.wide.prediction import predict
from dyntheory.wide.results import WideTrajectory
from dyntheory.wide.simulation import simulate
from dyntheory.wide.transferring import Transferred, transfer

__all__ = [
    "Classification",
    "Transferred",
    "WideTrajectory",
    "classify",
    "predict",
    "prediction_cost",
    "simulate",
    "transfer",
]
