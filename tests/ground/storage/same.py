"""Equality to the last bit, of whatever a result holds."""

import dataclasses
from typing import Any

import numpy as np


def assert_same(left: Any, right: Any) -> None:
    """Require the same types, structure, dtypes and bits."""
    assert type(left) is type(right)
    if dataclasses.is_dataclass(left):
        for field in dataclasses.fields(left):
            assert_same(getattr(left, field.name), getattr(right, field.name))
    elif isinstance(left, dict):
        assert list(left) == list(right)
        for key in left:
            assert_same(left[key], right[key])
    elif isinstance(left, list | tuple):
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            assert_same(one, other)
    elif isinstance(left, np.ndarray):
        assert left.dtype == right.dtype and left.shape == right.shape
        np.testing.assert_array_equal(left, right)
    elif isinstance(left, float):
        np.testing.assert_array_equal(left, right)
    else:
        assert left == right
