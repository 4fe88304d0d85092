"""What decides how large a computation is."""

from __future__ import annotations

from typing import NamedTuple


class Sizes(NamedTuple):
    """Sizes of a run; no test rows means Gaussian inputs, whose population error needs none."""

    num_samples: int
    num_test: int
    num_features: int
