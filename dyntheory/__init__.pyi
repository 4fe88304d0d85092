from . import closed_forms, estimators, gallery, kernels, plot, priors, spectra, wide
from .dynamics.observables import FeatureMean
from .dynamics.state_evolution import state_evolution
from .flows import charges, deep_linear, memory, online, perceptron
from .flows.charges.results import ChargePaths
from .flows.deep_linear.results import LinearPaths
from .flows.online.results import OnlineTrajectory
from .ground.compilation_cache import enable_compilation_cache
from .ground.status import DyntheoryWarning, Status
from .ground.storage.netcdf import load
from .ground.version import __version__
from .problem.laws.first_layer import FirstLayer
from .problem.laws.fit_law import FittedLaw, fit_law
from .problem.laws.law import TeacherStudent
from .problem.laws.mixture import gaussian_mixture
from .problem.methods.amp import bayes_amp, lasso_amp
from .problem.methods.flax_dictionary import (
    flax_hyperparameters,
    from_flax_hyperparameters,
    hyperparameters_at_width,
)
from .problem.methods.generalized_amp import generalized_amp
from .problem.methods.gradient_descent import gradient_descent
from .problem.methods.method import GeneralFirstOrderMethod
from .problem.methods.proximal import fista, ista, proximal_gradient
from .problem.methods.randomised import dropout, label_noise, mini_batches
from .problem.methods.schedules import cosine_sgd, piecewise_sgd
from .problem.networks.network import MLP, FlaxNetwork, LinearModel
from .results.compare import Agreement, compare
from .results.cost import Cost
from .results.trajectory import Trajectory
from .verbs.estimation.assumption_report import AssumptionReport, assumption_report
from .verbs.estimation.estimate import estimate
from .verbs.estimation.teacher_direction import TeacherDirection, teacher_direction
from .verbs.estimation.tune import Tuned, tune
from .verbs.prediction.applicability import Applicability, applicability
from .verbs.prediction.cost import prediction_cost
from .verbs.prediction.predict import predict
from .verbs.prediction.responses import ResponseFunctions, responses
from .verbs.prediction.sensitivity import Derivatives, sensitivity
from .verbs.simulation.simulate import simulate
from .verbs.studies.finite_size import FiniteSize, finite_size
from .verbs.studies.sweep.boundary import boundary
from .verbs.studies.sweep.design import design
from .verbs.studies.sweep.designed import Choice, Design
from .verbs.studies.sweep.sweep import sweep
from .wide.network import WideNetwork
from .wide.rate_results import BestRates
from .wide.results import WideTrajectory

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
    "WideNetwork",
    # Methods: the algorithm
    "GeneralFirstOrderMethod",
    "gradient_descent",
    "mini_batches",
    "label_noise",
    "dropout",
    "cosine_sgd",
    "piecewise_sgd",
    "ista",
    "fista",
    "proximal_gradient",
    "lasso_amp",
    "bayes_amp",
    "generalized_amp",
    "flax_hyperparameters",
    "from_flax_hyperparameters",
    "hyperparameters_at_width",
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
    "sweep",
    "boundary",
    "design",
    "FeatureMean",
    "estimate",
    "tune",
    "teacher_direction",
    "assumption_report",
    "fit_law",
    "load",
    # Results
    "Trajectory",
    "WideTrajectory",
    "OnlineTrajectory",
    "BestRates",
    "ChargePaths",
    "LinearPaths",
    "Derivatives",
    "Design",
    "Choice",
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
    # Beside them
    "enable_compilation_cache",
    # Wings
    "kernels",
    "wide",
    "online",
    "deep_linear",
    "charges",
    "memory",
    "perceptron",
    "closed_forms",
    "plot",
    "gallery",
    "estimators",
    "__version__",
]
