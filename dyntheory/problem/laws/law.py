"""Laws: what the data are. Labels y = φ(z) + σ ξ with teacher preactivations z = X W*/√d.

A law knows no matrix and no sample size: only ratios and moments survive in the limit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array, ArrayLike, Number
from dyntheory.ground.checks import check_nonnegative, check_positive, check_scalar, check_second_moment, is_concrete
from dyntheory.ground.kinds import check_fields
from dyntheory.ground.precision import abstract_array
from dyntheory.ground.pytrees import register_data
from dyntheory.ground.storage.marks import Axes, StoredAs
from dyntheory.problem.laws.links import Link, resolve_link, stored_link
from dyntheory.problem.laws.prior_moments import finite_second_moment, moment_error
from dyntheory.problem.laws.priors import Prior
from dyntheory.problem.laws.spectra import Spectrum


@register_data
@dataclasses.dataclass(frozen=True)
class TeacherStudent:
    """Labels made by a teacher that looks at r directions of the input.

    y_i = φ(z_i) + σ ξ_i with z = X W*/√d (n, r), ξ standard normal, rows of X iid with mean 0 and variance 1, or with
    the covariance eigenvalues of `features`.

    Scaling:
        n/d is fixed while both grow; entries of W* are O(1), so z is O(1).

    Args:
        samples_per_feature: α = n/d, positive.
        link: φ, a name of `LINKS` (`dyntheory.problem.laws.links`) or a JAX function of z (scalar if r = 1, else shape
            (r,)).
        noise_std: σ, zero or positive.
        teacher_second_moment: E[w* w*ᵀ], shape (r, r); a number means r = 1. Default 1.
        teacher_prior: the law of the teacher's entries, one of `dyntheory.priors` or one for each direction; Gaussian
            where it is not given. Matters to algorithms that are not linear in the features (thresholds, Adam).
        separation: s; a row of class y has mean s W* y/√d, see `gaussian_mixture`. None: inputs do not know labels.
        features: eigenvalues of the feature covariance and the teacher's power along them, from `dyntheory.spectra`;
            default all one. Everything on the feature side is then written in the eigenbasis, and overlaps are means of
            λ w wᵀ: the covariance of preactivations.

    Raises:
        ValueError: a number outside its range, an unknown link, a second moment that is not one.

    Example:
        >>> TeacherStudent(samples_per_feature=2.0, link="sin", noise_std=0.3).num_teacher_units
        1

    Reference: `han2025precise`; their φ = m/n is our α = n/d.
    """

    samples_per_feature: Number
    link: Annotated[Link | str | Callable[[Array], Array], StoredAs(stored_link)] = dataclasses.field(
        default="linear", metadata={"static": True}
    )
    noise_std: Number = 0.0
    teacher_second_moment: Annotated[ArrayLike | None, Axes("teacher", "teacher")] = None
    teacher_prior: Prior | tuple[Prior, ...] | None = None
    separation: Number | None = None
    features: Spectrum | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        check_scalar("samples_per_feature", self.samples_per_feature)
        check_scalar("noise_std", self.noise_std)
        check_positive("samples_per_feature", self.samples_per_feature, "it is n/d")
        check_nonnegative("noise_std", self.noise_std)
        object.__setattr__(self, "link", resolve_link(self.link))
        self._check_prior()
        if self.separation is not None:
            check_scalar("separation", self.separation)
            check_nonnegative("separation", self.separation)
            if self.features is not None:
                raise ValueError("Give `separation` or `features`, not both: clouds have unit variance here.")
        moment = self.teacher_second_moment
        if moment is None or not is_concrete(moment):
            return
        if not isinstance(moment, jax.Array):
            moment = np.asarray(moment, dtype=float)
            moment = moment.reshape(1, 1) if moment.ndim == 0 else moment
            object.__setattr__(self, "teacher_second_moment", moment)
        if moment.ndim == 2:
            check_second_moment("teacher_second_moment", moment, moment.shape[0])
        else:
            raise ValueError(f"`teacher_second_moment` must have shape (r, r), got {moment.shape}.")

    def _check_prior(self) -> None:
        if self.teacher_prior is None:
            return
        if self.teacher_second_moment is not None:
            raise ValueError("Give `teacher_prior` or `teacher_second_moment`, not both: a prior has its own moment.")
        if isinstance(self.teacher_prior, list):
            object.__setattr__(self, "teacher_prior", tuple(self.teacher_prior))
        wrong = [one for one in self.teacher_priors or () if isinstance(one, type) or not _is_prior(one)]
        if wrong or not self.teacher_priors:
            raise TypeError(
                "`teacher_prior` must be one of `dyntheory.priors`, such as bernoulli_gauss(0.1), or one for "
                f"each direction, got {wrong[0] if wrong else ()!r}."
            )

    @property
    def teacher_priors(self) -> tuple[Prior, ...] | None:
        """The priors of the r directions, None for a Gaussian teacher."""
        if self.teacher_prior is None or isinstance(self.teacher_prior, tuple):
            return self.teacher_prior
        return (self.teacher_prior,)

    @property
    def num_teacher_units(self) -> int:
        """Number of teacher directions r."""
        if self.teacher_priors is not None:
            return len(self.teacher_priors)
        return 1 if self.teacher_second_moment is None else int(np.shape(self.teacher_second_moment)[-1])

    @property
    def teacher_moment(self) -> Array:
        """E[w* w*ᵀ] as an array of shape (r, r).

        Raises:
            ValueError: a prior without a finite second moment.
        """
        if self.teacher_priors is not None:
            return jnp.diag(jnp.stack([finite_second_moment("teacher_prior", one) for one in self.teacher_priors]))
        moment = self.teacher_second_moment
        return jnp.eye(1) if moment is None else jnp.asarray(moment)

    @property
    def teacher_moment_error(self) -> np.ndarray:
        """Errors of the diagonal of `teacher_moment`, (r,): priors given by their quantiles have some."""
        if self.teacher_priors is None:
            return np.zeros(self.num_teacher_units)
        return np.array([moment_error(prior) for prior in self.teacher_priors])

    def clean_label(self, teacher_preactivation: Array) -> Array:
        """Return φ(z) for one row z of shape (r,)."""
        return resolve_link(self.link)(teacher_preactivation)

    @property
    def has_additive_noise(self) -> bool:
        """Whether the label is φ(z) + σ ξ, not φ(z, ξ)."""
        return not resolve_link(self.link).takes_noise

    @property
    def label_shape(self) -> tuple[int, ...]:
        """Shape of one label, () or (outputs,).

        Raises:
            ValueError: a link that cannot take the teacher's preactivations.
        """
        r = self.num_teacher_units
        try:
            return jax.eval_shape(self.clean_label, abstract_array((r,))).shape
        except jax.errors.ConcretizationTypeError:  # a link that asks whether z is positive, say: JAX tells best
            raise
        except (IndexError, TypeError, ValueError) as error:
            given = "a number z" if r == 1 else f"z of shape ({r},)"
            cure = "np.eye(2) for two directions, say" if r == 1 else f"({r}, {r}) now"
            raise ValueError(
                f"`link` cannot take {given}, of the law's {r} teacher direction{'s' * (r > 1)}: {error}. Their number "
                f"is that of `teacher_second_moment` ({cure}) or of the priors in `teacher_prior`."
            ) from error

    @property
    def num_outputs(self) -> int:
        """Number of numbers in one label."""
        return int(np.prod(self.label_shape))

    def label(self, teacher_preactivation: Array, noise: Array) -> Array:
        """Return y = φ(z) + σ ξ, or φ(z, ξ), for rows z (r,) and ξ (num_outputs,)."""
        link = resolve_link(self.link)
        if link.takes_noise:
            return link.noisy(teacher_preactivation, noise, jnp.asarray(self.noise_std))
        clean = self.clean_label(teacher_preactivation)
        return clean + self.noise_std * jnp.reshape(noise, clean.shape)


def _is_prior(value: object) -> bool:
    # Looked up on the type: an instance would compute its second moment to say that it has one.
    return all(hasattr(type(value), name) for name in ("second_moment", "quantile", "posterior_mean"))
