"""Classification of Gaussian clouds: the classes differ in their means, and labels are not a function of anything else.

    x_i = s W* y_i/√d + z_i,    h = X W/√d = Z W/√d + s y (W*ᵀ W/d),    p = Xᵀ g/√d = Zᵀ g/√d + s α W* mean_i y_i g_iᵀ

with y = ±1 for two classes (means ± s w*/√d) and indicator vectors for more (means s w*_c/√d). The Gaussian part is the
matrix as ever; the means add terms of rank r that the loop makes from overlaps it has anyway.

Reference: `mignacco2020role`; `mai2019large`.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri

from dyntheory.ground.arrays import Array, Number
from dyntheory.ground.checks import check_count
from dyntheory.ground.identity.factory import known_by_arguments
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import double_precision
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.laws.links import Link
from dyntheory.problem.laws.priors import Prior


def gaussian_mixture(
    samples_per_feature: Number,
    separation: Number,
    *,
    num_classes: int = 2,
    balance: float = 0.5,
    teacher_prior: Prior | tuple[Prior, ...] | None = None,
) -> TeacherStudent:
    """Return the law of Gaussian clouds of unit variance in every direction.

    Scaling:
        Means have norm s, of the order of the noise in one direction: errors stay between 0 and chance. The Bayes error
        of two balanced classes with known means is Φ(−s).

    Args:
        samples_per_feature: α = n/d.
        separation: s, zero or positive; data.
        num_classes: two classes have labels ±1; more have indicator vectors, for `loss="cross_entropy"`.
        balance: probability of the label +1 of two classes.
        teacher_prior: of the entries of the means, default standard normal.

    Returns:
        A law whose teacher directions are the class means; `teacher_overlap` is the overlap with them.

    Raises:
        ValueError: a number outside its range.

    Example:
        >>> gaussian_mixture(2.0, 1.0).num_teacher_units
        1
    """
    check_arguments(gaussian_mixture, locals())
    num_classes = check_count("num_classes", num_classes, minimum=2)
    if not 0 < balance < 1:
        raise ValueError(f"`balance` must be in (0, 1), it is a probability, got {balance}.")
    if num_classes > 2 and balance != 0.5:
        raise ValueError("`balance` is for two classes; more classes are equally likely.")
    link = _two_classes(balance) if num_classes == 2 else _classes(num_classes)
    moment = None if num_classes == 2 or teacher_prior is not None else np.eye(num_classes)
    return TeacherStudent(
        samples_per_feature, link, teacher_second_moment=moment, teacher_prior=teacher_prior, separation=separation
    )


@functools.cache
@known_by_arguments
def _two_classes(balance: float) -> Link:
    with double_precision():
        threshold = float(ndtri(balance))

    def label(z: Array, noise: Array, noise_std: Array) -> Array:
        del z, noise_std
        return jnp.where(noise[0] < threshold, 1.0, -1.0)

    return Link("two classes", label, smooth=True, takes_noise=True)


@functools.cache
def _classes(count: int) -> Link:
    def label(z: Array, noise: Array, noise_std: Array) -> Array:
        del z, noise_std
        index = jnp.floor(count * jax.scipy.special.ndtr(noise[0])).astype(int)
        return jax.nn.one_hot(jnp.minimum(index, count - 1), count, dtype=noise.dtype)

    return Link(f"{count} classes", label, smooth=True, takes_noise=True)
