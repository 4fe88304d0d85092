"""dyntheory: how a neural network will learn, predicted without training it.

Theory and simulation are one loop over one description of the algorithm: a random matrix answers X·w and Xᵀ·g, and
whoever answers (a dense array, or the limit n, d → ∞) decides what you get.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dyntheory.dynamics.observables import FeatureMean
from dyntheory.dynamics.state_evolution import state_evolution
from dyntheory.ground.status import DyntheoryWarning, Status
from dyntheory.ground.storage.netcdf import load
from dyntheory.ground.version import __version__
from dyntheory.problem.laws.first_layer import FirstLayer
from dyntheory.problem.laws.fit_law import FittedLaw, fit_law
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.laws.mixture import gaussian_mixture
from dyntheory.problem.methods.amp import bayes_amp, lasso_amp
from dyntheory.problem.methods.flax_dictionary import flax_hyperparameters, from_flax_hyperparameters
from dyntheory.problem.methods.generalized_amp import generalized_amp
from dyntheory.problem.methods.gradient_descent import gradient_descent
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.problem.methods.proximal import fista, ista, proximal_gradient
from dyntheory.problem.methods.randomised import dropout, label_noise, mini_batches
from dyntheory.problem.networks.network import MLP, FlaxNetwork, LinearModel
from dyntheory.results.compare import Agreement, compare
from dyntheory.results.trajectory import Trajectory
from dyntheory.verbs.estimation.assumption_report import AssumptionReport, assumption_report
from dyntheory.verbs.estimation.estimate import estimate
from dyntheory.verbs.estimation.teacher_direction import TeacherDirection, teacher_direction
from dyntheory.verbs.estimation.tune import Tuned, tune
from dyntheory.verbs.prediction.applicability import Applicability, applicability
from dyntheory.verbs.prediction.cost import Cost, prediction_cost
from dyntheory.verbs.prediction.predict import predict
from dyntheory.verbs.prediction.responses import ResponseFunctions, responses
from dyntheory.verbs.prediction.sensitivity import Derivatives, sensitivity
from dyntheory.verbs.simulation.simulate import simulate
from dyntheory.verbs.studies.finite_size import FiniteSize, finite_size

if TYPE_CHECKING:
    from dyntheory import closed_forms, estimators, gallery, kernels, plot, priors, spectra

LAZY = ("closed_forms", "estimators", "gallery", "kernels", "plot", "priors", "spectra")

__all__ = [
    # Nouns: the data, the network
    "TeacherStudent",
    "gaussian_mixture",
    "FirstLayer",
    "priors",
    "spectra",
    "MLP",
    "LinearModel",
    "FlaxNetwork",
    # Methods: the algorithm
    "GeneralFirstOrderMethod",
    "gradient_descent",
    "mini_batches",
    "label_noise",
    "dropout",
    "ista",
    "fista",
    "proximal_gradient",
    "lasso_amp",
    "bayes_amp",
    "generalized_amp",
    "flax_hyperparameters",
    "from_flax_hyperparameters",
    # Verbs: in the limit, at finite size, on your rows
    "predict",
    "state_evolution",
    "sensitivity",
    "responses",
    "prediction_cost",
    "applicability",
    "simulate",
    "compare",
    "finite_size",
    "FeatureMean",
    "estimate",
    "tune",
    "teacher_direction",
    "assumption_report",
    "fit_law",
    "load",
    # Results
    "Trajectory",
    "Derivatives",
    "ResponseFunctions",
    "Cost",
    "Applicability",
    "Agreement",
    "FiniteSize",
    "Tuned",
    "TeacherDirection",
    "AssumptionReport",
    "FittedLaw",
    "Status",
    "DyntheoryWarning",
    # Wings
    "kernels",
    "closed_forms",
    "plot",
    "gallery",
    "estimators",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name in LAZY:
        return importlib.import_module(f"dyntheory.{name}")
    raise AttributeError(f"module 'dyntheory' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
