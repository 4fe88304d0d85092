"""The two kernels of a network."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float

from dyntheory.ground.arrays import Array


class Kernels(NamedTuple):
    """Both kernels between two sets of inputs, per output unit; spatial axes that the network kept follow the two rows.

    Args:
        nngp: (n1, n2), covariance of one output over random weights, lim E[f(x₁) f(x₂)].
        ntk: (n1, n2), lim Σ_θ ∂f(x₁)/∂θ · ∂f(x₂)/∂θ.
    """

    nngp: Float[Array, "rows1 rows2 ..."]
    ntk: Float[Array, "rows1 rows2 ..."]
