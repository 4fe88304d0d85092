"""Infinitely wide networks that learn features, on given inputs."""

from dyntheory.wide.classes import Classification, classify
from dyntheory.wide.cost import prediction_cost
from dyntheory.wide.prediction import predict
from dyntheory.wide.rate_results import BestRates
from dyntheory.wide.rate_search import best_rates
from dyntheory.wide.results import WideTrajectory
from dyntheory.wide.simulation import simulate
from dyntheory.wide.transferring import Transferred, transfer

__all__ = [
    "BestRates",
    "Classification",
    "Transferred",
    "WideTrajectory",
    "best_rates",
    "classify",
    "predict",
    "prediction_cost",
    "simulate",
    "transfer",
]
