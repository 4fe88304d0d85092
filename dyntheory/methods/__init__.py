"""Methods: functions returning a `GeneralFirstOrderMethod`; none knows a matrix."""

from dyntheory.methods.amp import bayes_amp, lasso_amp
from dyntheory.methods.flax_dictionary import flax_hyperparameters, from_flax_hyperparameters
from dyntheory.methods.generalized_amp import generalized_amp
from dyntheory.methods.gradient_descent import gradient_descent
from dyntheory.methods.proximal import fista, ista, proximal_gradient
from dyntheory.methods.randomised import dropout, label_noise, mini_batches

__all__ = [
    "bayes_amp",
    "dropout",
    "fista",
    "flax_hyperparameters",
    "from_flax_hyperparameters",
    "generalized_amp",
    "gradient_descent",
    "ista",
    "label_noise",
    "lasso_amp",
    "mini_batches",
    "proximal_gradient",
]
