"""Methods: functions returning a `GeneralFirstOrderMethod`; none knows a matrix."""

from dyntheory.methods.flax_dictionary import flax_hyperparameters, from_flax_hyperparameters
from dyntheory.methods.gradient_descent import gradient_descent

__all__ = ["flax_hyperparameters", "from_flax_hyperparameters", "gradient_descent"]
