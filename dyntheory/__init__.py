"""dyntheory: how a neural network will learn, predicted without training it.

Theory and simulation are one loop over one description of the algorithm: a random matrix answers X·w and Xᵀ·g, and
whoever answers (a dense array, or the limit n, d → ∞) decides what you get.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dyntheory._version import __version__
from dyntheory.applicability import Applicability, applicability
from dyntheory.compare import Agreement, compare
from dyntheory.cost import Cost, prediction_cost
from dyntheory.estimate import estimate
from dyntheory.estimation.assumption_report import AssumptionReport, assumption_report
from dyntheory.finite_size import FiniteSize, finite_size
from dyntheory.first_layer import FirstLayer
from dyntheory.fit_law import FittedLaw, fit_law
from dyntheory.law import TeacherStudent
from dyntheory.method import GeneralFirstOrderMethod
from dyntheory.methods import (
    bayes_amp,
    dropout,
    fista,
    flax_hyperparameters,
    from_flax_hyperparameters,
    generalized_amp,
    gradient_descent,
    ista,
    label_noise,
    lasso_amp,
    mini_batches,
    proximal_gradient,
)
from dyntheory.mixture import gaussian_mixture
from dyntheory.network import MLP, FlaxNetwork, LinearModel
from dyntheory.predict import predict
from dyntheory.responses import ResponseFunctions, responses
from dyntheory.sensitivity import Derivatives, sensitivity
from dyntheory.simulate import simulate
from dyntheory.state_evolution import state_evolution
from dyntheory.status import DyntheoryWarning, Status
from dyntheory.teacher_direction import TeacherDirection, teacher_direction
from dyntheory.trajectory import Trajectory, load
from dyntheory.tune import Tuned, tune

if TYPE_CHECKING:
    from dyntheory import closed_forms, estimators, gallery, kernels, plot, priors, spectra

__all__ = [
    "MLP",
    "Agreement",
    "Applicability",
    "AssumptionReport",
    "Cost",
    "Derivatives",
    "DyntheoryWarning",
    "FiniteSize",
    "FirstLayer",
    "FittedLaw",
    "FlaxNetwork",
    "GeneralFirstOrderMethod",
    "LinearModel",
    "ResponseFunctions",
    "Status",
    "TeacherDirection",
    "TeacherStudent",
    "Trajectory",
    "Tuned",
    "__version__",
    "applicability",
    "assumption_report",
    "bayes_amp",
    "closed_forms",
    "compare",
    "dropout",
    "estimate",
    "estimators",
    "finite_size",
    "fista",
    "fit_law",
    "flax_hyperparameters",
    "from_flax_hyperparameters",
    "gallery",
    "gaussian_mixture",
    "generalized_amp",
    "gradient_descent",
    "ista",
    "kernels",
    "label_noise",
    "lasso_amp",
    "load",
    "mini_batches",
    "plot",
    "predict",
    "prediction_cost",
    "priors",
    "proximal_gradient",
    "responses",
    "sensitivity",
    "simulate",
    "spectra",
    "state_evolution",
    "teacher_direction",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name in ("closed_forms", "estimators", "gallery", "kernels", "plot", "priors", "spectra"):
        return importlib.import_module(f"dyntheory.{name}")
    raise AttributeError(f"module 'dyntheory' has no attribute {name!r}")
