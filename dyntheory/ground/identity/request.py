"""What a factory was asked for: the identity of what it made.

`power_law(0.5, num_modes=20)` computes powers and sums, whose last bits depend on the processor. What was asked does
not, so it is remembered beside the result. Whatever makes another object of the result (`dataclasses.replace`, a map
over its leaves) forgets it, and its numbers count again.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

import jax
import numpy as np

Made = TypeVar("Made")
REQUEST = "_dyntheory_request"


def request_of(value: Any) -> str | None:
    """Return the fingerprint of what was asked for, None where the value was given itself."""
    return getattr(value, "__dict__", {}).get(REQUEST) if dataclasses.is_dataclass(value) else None


def remember(value: Made, request: str | None) -> Made:
    """Return the same dataclass, which now says what was asked for; its arrays cannot be written to any more."""
    if request is not None:
        for leaf in jax.tree.leaves(value):
            if isinstance(leaf, np.ndarray):
                leaf.setflags(write=False)
        object.__setattr__(value, REQUEST, request)
    return value
