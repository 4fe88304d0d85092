"""Estimates in scikit-learn's forms: the public door of `dyntheory.verbs.estimation.estimators`."""

from dyntheory.verbs.estimation.estimators import NetworkClassifier, NetworkRegressor, UnstableTraining

__all__ = ["NetworkClassifier", "NetworkRegressor", "UnstableTraining"]
