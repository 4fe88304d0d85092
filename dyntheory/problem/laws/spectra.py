"""Spectra of correlated features: X = Z Λ^{1/2} in the eigenbasis of the covariance, Z of independent entries.

A spectrum is a discrete law of pairs (λ, a): an eigenvalue and the power E[w*²|λ] that the teacher has along it. In
the limit every pair stands for a share of the features; at d features the shares are filled as evenly as they go, so d
equal to the number of pairs takes every one once.

Formulas read the same modes in two other forms: `dyntheory.closed_forms.data_spectrum` for ridge regression, and
`dyntheory.kernels.kernel_spectrum` for learning curves of kernels.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from dyntheory.ground.arrays import Array, ArrayLike, Number
from dyntheory.ground.checks import (
    check_count,
    check_finite,
    check_nonnegative,
    check_positive,
    check_scalar,
    is_concrete,
)
from dyntheory.ground.derivatives import DIFFERENCES, refusing
from dyntheory.ground.identity.factory import known_by_arguments
from dyntheory.ground.kinds import check_arguments, check_fields
from dyntheory.ground.pytrees import register_data
from dyntheory.ground.storage.marks import Axes
from dyntheory.problem.laws.strata import sorted_in_blocks, stratified_places

ROUNDING = 1e-9


@register_data
@dataclasses.dataclass(frozen=True)
class Spectrum:
    """Eigenvalues of the feature covariance, with the teacher's power along each of them.

    X = Z Λ^{1/2} and z = X W*/√d, so a fresh row has E z zᵀ = E[λ a(λ)] E[w* w*ᵀ]. Weights and teacher are written in
    the eigenbasis; initial weights have the same law along every eigenvalue, beyond what they share with the teacher.

    Scaling:
        As given. λ and a are O(1) when their means are; `two_level` and `power_law` have E λ = E[λ a] = 1.

    Args:
        eigenvalues: λ_m, (p,), zero or positive, one of them positive.
        alignment: a_m, (p,), what multiplies the law's E[w* w*ᵀ] along λ_m; default one everywhere.
        shares: of the features that have λ_m, (p,), positive, summing to one; default equal.

    Raises:
        ValueError: numbers outside their ranges, lengths that differ.

    Example:
        >>> spectrum = Spectrum([4.0, 1.0], alignment=[0.0, 2.0], shares=[0.25, 0.75])
        >>> float(spectrum.mean), float(spectrum.teacher_power)
        (1.75, 1.5)

    Reference: `hastie2022surprises`, section 4, for the law of (λ, a).
    """

    eigenvalues: Annotated[ArrayLike, Axes("mode")]
    alignment: Annotated[ArrayLike | None, Axes("mode")] = None
    shares: Annotated[ArrayLike | None, Axes("mode")] = None

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("eigenvalues", "alignment", "shares"):
            value = getattr(self, name)
            if value is None or not is_concrete(value):
                continue
            (check_positive if name == "shares" else check_nonnegative)(name, value)
            array = value if isinstance(value, jax.Array) else np.asarray(value, dtype=float)
            if array.ndim > 1:
                raise ValueError(f"`{name}` must have shape (p,), got {array.shape}.")
            if array.ndim == 1 and array.shape != np.shape(self.eigenvalues):
                raise ValueError(
                    f"`{name}` must have one number for each of the {np.shape(self.eigenvalues)[0]} eigenvalues, got "
                    f"{array.shape[0]}."
                )
            if array.ndim == 0:
                raise ValueError(f"`{name}` must have shape (p,), got a single number: write [{value!r}].")
            object.__setattr__(self, name, array)
        if is_concrete(self.eigenvalues) and not np.max(np.asarray(self.eigenvalues)) > 0:
            raise ValueError("`eigenvalues` must hold a positive one.")
        if self.shares is not None and is_concrete(self.shares):
            total = np.sum(np.asarray(self.shares), axis=-1)
            if np.any(np.abs(total - 1.0) > ROUNDING):
                raise ValueError(f"`shares` must sum to one (they are parts of the features), got {total}.")

    @property
    def num_modes(self) -> int:
        """Number of pairs p."""
        return int(np.shape(self.eigenvalues)[-1])

    @property
    def values(self) -> Float[Array, " modes"]:
        """The eigenvalues λ."""
        return jnp.asarray(self.eigenvalues, float)

    @property
    def powers(self) -> Float[Array, " modes"]:
        """The alignment a, one where it is not given."""
        return jnp.ones_like(self.values) if self.alignment is None else jnp.asarray(self.alignment, float)

    @property
    def weights(self) -> Float[Array, " modes"]:
        """The shares, equal where they are not given."""
        if self.shares is None:
            return jnp.full(self.num_modes, 1.0 / self.num_modes)
        return jnp.asarray(self.shares, float)

    @property
    def mean(self) -> Array:
        """E λ, the mean variance of a feature."""
        return self.weights @ self.values

    @property
    def teacher_power(self) -> Array:
        """E[λ a]: what multiplies E[w* w*ᵀ] in the second moment of z."""
        return self.weights @ (self.values * self.powers)

    def scales(self, modes: Int[Array, " features"]) -> Float[Array, " features"]:
        """Return √λ of features with these pairs."""
        return jnp.sqrt(self.values)[modes]

    def amplitudes(self, modes: Int[Array, " features"], num_teacher_units: int) -> Float[Array, "features r"]:
        """Return √a of features with these pairs, for every teacher direction."""
        return jnp.repeat(jnp.sqrt(self.powers)[modes][:, None], num_teacher_units, axis=1)

    def modes_of(self, num_features: int) -> Int[Array, " features"]:
        """Return which pair each of d features has: the one at the quantile (j + ½)/d."""
        places = (jnp.arange(num_features) + 0.5) / num_features
        shares = refusing(
            "A draw of given features cannot be differentiated in the `shares` of its spectrum: a feature has one "
            f"eigenvalue or another. Hold them fixed; {DIFFERENCES}",
            self.weights,
        )
        found = jnp.searchsorted(jnp.cumsum(shares), places, side="right")
        return jnp.minimum(found, self.num_modes - 1)

    def realised(self, num_features: int) -> Float[Array, " 2"]:
        """Return E λ and E[λ a] of d features, whose modes are those of `modes_of`."""
        modes = self.modes_of(num_features)
        values = self.values[modes]
        return jnp.stack([jnp.mean(values), jnp.mean(values * self.powers[modes])])

    def modes_on_nodes(self, uniforms: Float[Array, " nodes"]) -> tuple[Int[Array, " nodes"], Float[Array, " nodes"]]:
        """Return which pair each node has, and weights that give every pair its share.

        Half of the nodes go where features are, half where λ and the teacher's power are: a mode with few features and
        a large eigenvalue decides the preactivations. Of pairs too many for the nodes each node stands for its
        neighbours, next to it in λ and then in a.
        """
        share, strength = self.weights, self.weights * self.values * (1.0 + self.powers)
        density = 0.5 * share + 0.5 * strength / jnp.sum(strength)
        order = sorted_in_blocks(self.values, self.powers, density, uniforms.shape[0])
        places, weights = stratified_places(share[order], density[order], uniforms)
        return order[places], weights


@known_by_arguments
def two_level(share: Number, ratio: Number, *, alignment: tuple[Number, Number] | None = None) -> Spectrum:
    """Return two eigenvalues: a share of the features is `ratio` times as strong as the rest, E λ = 1.

    Args:
        share: of the strong features, between 0 and 1.
        ratio: of the strong eigenvalue to the weak one, positive; below one the "strong" ones are the weaker.
        alignment: powers of the teacher along (strong, weak), scaled so that E[λ a] = 1; default equal.

    Raises:
        ValueError: a number outside its range.

    Example:
        >>> two_level(0.25, 4.0).eigenvalues.round(6).tolist()
        [2.285714, 0.571429]
    """
    check_arguments(two_level, locals())
    check_scalar("share", share)
    check_scalar("ratio", ratio)
    check_positive("ratio", ratio)
    if is_concrete(share) and not 0 < float(share) < 1:
        raise ValueError(f"`share` must be between 0 and 1 (it is a part of the features), got {share}.")
    for power in () if alignment is None else alignment:
        check_scalar("alignment", power)
        check_nonnegative("alignment", power)
    numbers = _numpy_of(ratio, share)
    values, shares = numbers.stack([ratio, 1.0]), numbers.stack([share, 1.0 - share])
    powers = numbers.ones(2) if alignment is None else numbers.stack([*alignment])
    return _normalised(values, powers, shares)


@known_by_arguments
def power_law(exponent: Number, *, num_modes: int, target_exponent: Number | None = None) -> Spectrum:
    """Return λ_j ∝ j^{−exponent} with λ_j a_j ∝ j^{−target_exponent}, j = 1, …, p; E λ = E[λ a] = 1.

    In the words of `closed_forms.power_law` and `kernels.power_law`: exponent = capacity α, target_exponent = 1 + 2 α ·
    source.

    Scaling:
        d is the number of modes in a simulation that has every mode once. Exponents hold for 1 ≪ n ≪ p.

    Args:
        exponent: of the eigenvalues, zero or positive.
        num_modes: p.
        target_exponent: of the label's power by mode; default `exponent`, a teacher alike along all modes.

    Raises:
        ValueError: a number outside its range.

    Example:
        >>> power_law(1.0, num_modes=3).eigenvalues.round(6).tolist()
        [1.636364, 0.818182, 0.545455]

    Reference: `cui2021generalization`; `bordelon2020spectrum`.
    """
    check_arguments(power_law, locals())
    check_scalar("exponent", exponent)
    check_nonnegative("exponent", exponent)
    num_modes = check_count("num_modes", num_modes)
    target = exponent if target_exponent is None else target_exponent
    check_scalar("target_exponent", target)
    check_finite("target_exponent", target)
    numbers = _numpy_of(exponent, target)
    place = numbers.arange(1, num_modes + 1) * 1.0
    return _normalised(place**-exponent, place ** (exponent - target), numbers.full(num_modes, 1.0 / num_modes))


@known_by_arguments
def spectrum_of(inputs: ArrayLike, *, center: bool = True) -> Spectrum:
    """Return the sample spectrum of a data matrix: eigenvalues of XᵀX/N, all of them, with a uniform teacher.

    With labels too, `closed_forms.from_data` finds the teacher; of a kernel matrix, `kernels.spectrum_of`.

    Scaling:
        As given: scale the columns first to have E λ = 1. With N rows not much more than p columns the sample spectrum
        is wider than the true one.

    Args:
        inputs: X, (N, p).
        center: subtract the means of the columns.

    Raises:
        ValueError: not a matrix of finite numbers, or one that does not vary.

    Example:
        >>> spectrum_of([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0]]).eigenvalues.round(12).tolist()
        [2.0, 0.5]
    """
    check_arguments(spectrum_of, locals())
    check_finite("inputs", inputs)
    rows = np.asarray(inputs, dtype=float)
    if rows.ndim != 2:
        raise ValueError(f"`inputs` must have shape (N, p), got {rows.shape}.")
    rows = rows - rows.mean(axis=0) if center else rows
    singular = np.linalg.svd(rows, compute_uv=False)
    values = np.concatenate([singular**2 / len(rows), np.zeros(max(rows.shape[1] - len(singular), 0))])
    return Spectrum(values)


def _numpy_of(*numbers: Number) -> Any:
    """Return the module to compute with: JAX's where a number is traced."""
    return np if all(map(is_concrete, numbers)) else jnp


def _normalised(values: Any, powers: Any, shares: Any) -> Spectrum:
    values = values / (shares @ values)
    return Spectrum(values, powers / (shares @ (values * powers)), shares)
