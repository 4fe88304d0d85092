"""Methods: functions returning a `GeneralFirstOrderMethod`; none knows a matrix."""

from dyntheory.methods.gradient_descent import gradient_descent

__all__ = ["gradient_descent"]
