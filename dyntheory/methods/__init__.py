"""Methods: functions returning a `GeneralFirstOrderMethod`; none knows a matrix."""

from dyntheory.methods.flax_dictionary import flax_hyperparameters, from_flax_hyperparameters
from dyntheory.methods.gradient_descent import gradient_descent
from dyntheory.methods.randomised import dropout, label_noise, mini_batches

__all__ = [
    "dropout",
    "flax_hyperparameters",
    "from_flax_hyperparameters",
    "gradient_descent",
    "label_noise",
    "mini_batches",
]
