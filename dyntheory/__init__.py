"""dyntheory: how a neural network will learn, predicted without training it.

Theory and simulation are one loop over one description of the algorithm: a random matrix answers X·w and Xᵀ·g, and
whoever answers (a dense array, or the limit n, d → ∞) decides what you get.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dyntheory._version import __version__
from dyntheory.compare import Agreement, compare
from dyntheory.cost import Cost, prediction_cost
from dyntheory.finite_size import FiniteSize, finite_size
from dyntheory.first_layer import FirstLayer
from dyntheory.law import TeacherStudent
from dyntheory.method import GeneralFirstOrderMethod
from dyntheory.methods import flax_hyperparameters, from_flax_hyperparameters, gradient_descent
from dyntheory.network import MLP, FlaxNetwork, LinearModel
from dyntheory.predict import predict
from dyntheory.responses import ResponseFunctions, responses
from dyntheory.sensitivity import Derivatives, sensitivity
from dyntheory.simulate import simulate
from dyntheory.state_evolution import state_evolution
from dyntheory.status import DyntheoryWarning, Status
from dyntheory.trajectory import Trajectory, load

if TYPE_CHECKING:
    from dyntheory import kernels, plot

__all__ = [
    "MLP",
    "Agreement",
    "Cost",
    "Derivatives",
    "DyntheoryWarning",
    "FiniteSize",
    "FirstLayer",
    "FlaxNetwork",
    "GeneralFirstOrderMethod",
    "LinearModel",
    "ResponseFunctions",
    "Status",
    "TeacherStudent",
    "Trajectory",
    "__version__",
    "compare",
    "finite_size",
    "flax_hyperparameters",
    "from_flax_hyperparameters",
    "gradient_descent",
    "kernels",
    "load",
    "plot",
    "predict",
    "prediction_cost",
    "responses",
    "sensitivity",
    "simulate",
    "state_evolution",
]


def __getattr__(name: str) -> Any:
    if name in ("kernels", "plot"):
        return importlib.import_module(f"dyntheory.{name}")
    raise AttributeError(f"module 'dyntheory' has no attribute {name!r}")
