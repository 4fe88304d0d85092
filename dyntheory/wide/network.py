"""Networks of infinite width that learn features, and the parametrisations that say how they get there.

One family holds them all. With every weight standard normal, N neurons in a layer and L of them,

    h^1 = W^0 x/√D,   h^{l+1} = W^l φ(h^l)/√N,   f = a·φ(h^L)/(γ₀ N),   θ moves by η γ₀² N times minus its gradient.

γ₀ fixed is maximal-update (mean-field) scaling: features move by O(γ₀) at any width. γ₀ = 1/√N is the tangent-kernel
parametrisation at width N; the same with rates N η, and D/N of that on W^0, is the standard one (weights of standard
deviation 1/√fan-in, one rate η).

Reference: `bordelon2022self`, eq. 1 to 4; `yang2021tensor` for the classification.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dyntheory.ground.arrays import Array
from dyntheory.ground.checks import check_count, check_positive, check_scalar
from dyntheory.ground.kinds import check_fields
from dyntheory.ground.names import check_name
from dyntheory.problem.networks.activations import Activation, resolve_activation

PARAMETRISATIONS = ("mup", "ntk", "standard")


class Scaling(NamedTuple):
    """A parametrisation in the family above: γ₀, a factor of all learning rates, and one more of that of W^0."""

    richness: float
    rate: float
    first_rate: float


@dataclasses.dataclass(frozen=True)
class WideNetwork:
    """A fully connected network in the limit of infinite width, with feature learning.

    Args:
        depth: number of hidden layers L.
        activation: a name of `dyntheory.problem.networks.activations.ACTIVATIONS` or a scalar JAX function.
        feature_learning: γ₀, how much features move: small is lazy (the tangent kernel), 1 is μP, larger is richer.
        parametrisation: "mup" keeps γ₀ as it is; "ntk" and "standard" are finite networks of `width` neurons, whose
            γ₀ is 1/√width.
        width: N, for "ntk" and "standard" only.
        use_bias: biases in every layer, zero at the start; the output bias moves as the mean readout does.
        width_ratios: N_{l+1}/N_l of neighbouring hidden layers, L − 1 numbers; default all equal.

    Raises:
        TypeError: an activation that is not written in JAX.
        ValueError: a number outside its range, or `width` where it has no meaning.

    Example:
        >>> WideNetwork(depth=2, activation="relu", feature_learning=0.5).scaling(num_features=10)
        Scaling(richness=0.5, rate=1.0, first_rate=1.0)
    """

    depth: int = 1
    activation: Activation | str | Callable[[Array], Array] = "tanh"
    feature_learning: float = 1.0
    parametrisation: str = "mup"
    width: int | None = None
    use_bias: bool = False
    width_ratios: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "depth", check_count("depth", self.depth))
        object.__setattr__(self, "activation", resolve_activation(self.activation))
        check_scalar("feature_learning", self.feature_learning)
        check_positive("feature_learning", self.feature_learning, "γ₀; for γ₀ → 0 use `dyntheory.kernels.train`")
        check_name("parametrisation", self.parametrisation, PARAMETRISATIONS)
        if self.width_ratios is not None:
            if np.shape(self.width_ratios) != (self.depth - 1,):
                raise ValueError(
                    f"`width_ratios` must hold {self.depth - 1} numbers, one for every pair of neighbouring hidden "
                    f"layers, got {self.width_ratios!r}."
                )
            if self.depth > 1:
                check_positive("width_ratios", self.width_ratios, "N_{l+1}/N_l")
            object.__setattr__(self, "width_ratios", tuple(float(ratio) for ratio in self.width_ratios))
        self._check_width()

    def _check_width(self) -> None:
        if self.parametrisation == "mup":
            if self.width is not None:
                raise ValueError(
                    '`width` belongs to the parametrisations "ntk" and "standard"; in "mup" the prediction is for '
                    "infinite width, and `dyntheory.wide.simulate` has a `width` of its own."
                )
            return
        if self.width is None:
            raise ValueError(f'The parametrisation "{self.parametrisation}" needs `width`: γ₀ is 1/√width.')
        object.__setattr__(self, "width", check_count("width", self.width))
        if self.use_bias and self.parametrisation == "standard":
            raise ValueError(
                '`use_bias` has no place in parametrisation="standard": with one rate for all, biases move N times '
                'slower than this family has it. Use parametrisation="mup", or leave the biases out.'
            )
        if self.feature_learning != 1.0:
            raise ValueError(
                f'`feature_learning` is 1/√width in the parametrisation "{self.parametrisation}", got '
                f'{self.feature_learning}: leave it out, or use parametrisation="mup".'
            )

    @property
    def ratios(self) -> tuple[float, ...]:
        """N_{l+1}/N_l of neighbouring hidden layers."""
        return (1.0,) * (self.depth - 1) if self.width_ratios is None else self.width_ratios

    def scaling(self, num_features: int) -> Scaling:
        """Return γ₀ and factors of the learning rates.

        Args:
            num_features: D, on which the first layer's rate depends in the standard parametrisation.
        """
        num_features = check_count("num_features", num_features)
        if self.width is None:
            return Scaling(self.feature_learning, 1.0, 1.0)
        richness = 1.0 / math.sqrt(self.width)
        if self.parametrisation == "ntk":
            return Scaling(richness, 1.0, 1.0)
        return Scaling(richness, float(self.width), num_features / self.width)
