"""The perceptron and its theorems: mistakes, capacity, margins, and where descent ends."""

from dyntheory.flows.perceptron.counting import gardner_capacity, gardner_margin, num_dichotomies, separable_fraction
from dyntheory.flows.perceptron.logistic_bias import (
    ImplicitBias,
    LogisticFlow,
    implicit_bias,
    least_squares_limit,
    logistic_flow,
)
from dyntheory.flows.perceptron.margins import LargestMargin, largest_margin
from dyntheory.flows.perceptron.online_prediction import predict
from dyntheory.flows.perceptron.online_results import OnlineCurve
from dyntheory.flows.perceptron.online_simulation import simulate
from dyntheory.flows.perceptron.training import PerceptronRun, train

__all__ = [
    "ImplicitBias",
    "LargestMargin",
    "LogisticFlow",
    "OnlineCurve",
    "PerceptronRun",
    "gardner_capacity",
    "gardner_margin",
    "implicit_bias",
    "largest_margin",
    "least_squares_limit",
    "logistic_flow",
    "num_dichotomies",
    "predict",
    "separable_fraction",
    "simulate",
    "train",
]
