"""Algorithms, each a `GeneralFirstOrderMethod`; none knows a matrix."""
