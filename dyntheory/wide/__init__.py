"""Infinitely wide networks that learn features, on given inputs."""

from dyntheory.wide.cost import prediction_cost
from dyntheory.wide.prediction import predict
from dyntheory.wide.results import WideTrajectory
from dyntheory.wide.simulation import simulate

__all__ = ["WideTrajectory", "predict", "prediction_cost", "simulate"]
