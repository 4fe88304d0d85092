"""Exact test errors of erf committees by the arcsin formulas (closed_forms.md §8).

With g(x) = erf(s x) and (u, v) centred Gaussian with covariance C,

    E[g(u) g(v)] = (2/π) asin(2s² C_uv / √((1 + 2s² C_uu)(1 + 2s² C_vv))),
    E[g(u) v]    = C_uv (2s/√π) / √(1 + 2s² C_uu)                     (Stein's lemma).

s = 1/√2 is the convention of Saad and Solla. Errors are E(F − y)² with no factor ½ and
label noise included, so theirs is ε_g = ½ (test error − σ²).
"""

import numpy as np

from .gaussian import Array

SAAD_SOLLA_SCALE = 1 / np.sqrt(2)


def erf_moment(covariance: Array, *, scale: float = SAAD_SOLLA_SCALE) -> Array:
    """Return the (m, m) matrix E[erf(s x_a) erf(s x_b)] for x ~ N(0, C).

    Args:
        covariance: (m, m) C.
        scale: s.
    """
    norms = np.sqrt(1 + 2 * scale**2 * np.diag(covariance))
    return 2 / np.pi * np.arcsin(2 * scale**2 * covariance / np.outer(norms, norms))


def erf_slope(covariance: Array, *, scale: float = SAAD_SOLLA_SCALE) -> Array:
    """Return the (m, m) matrix E[erf(s x_a) x_b] for x ~ N(0, C).

    Args:
        covariance: (m, m) C.
        scale: s.
    """
    slopes = 2 * scale / np.sqrt(np.pi * (1 + 2 * scale**2 * np.diag(covariance)))
    return slopes[:, None] * covariance


def erf_teacher_error(
    moment: Array,
    student_head: Array,
    teacher_head: Array,
    *,
    noise_std: float = 0.0,
    scale: float = SAAD_SOLLA_SCALE,
) -> float:
    """Return E(Σ a_i g(h_i) − Σ b_n g(z_n) − σξ)² exactly.

    Args:
        moment: (r+k, r+k) covariance C of (z, h).
        student_head: (k,) a.
        teacher_head: (r,) b.
        noise_std: σ.
        scale: s.
    """
    signs = np.concatenate([-teacher_head, student_head])
    return float(signs @ erf_moment(moment, scale=scale) @ signs) + noise_std**2


def linear_teacher_error(
    moment: Array,
    student_head: Array,
    teacher_head: Array,
    *,
    noise_std: float = 0.0,
    scale: float = SAAD_SOLLA_SCALE,
) -> float:
    """Return E(Σ a_i g(h_i) − b·z − σξ)² exactly.

    Args:
        moment: (r+k, r+k) covariance C of (z, h).
        student_head: (k,) a.
        teacher_head: (r,) b.
        noise_std: σ.
        scale: s.
    """
    r = len(teacher_head)
    student = student_head @ erf_moment(moment[r:, r:], scale=scale) @ student_head
    cross = student_head @ erf_slope(moment, scale=scale)[r:, :r] @ teacher_head
    teacher = teacher_head @ moment[:r, :r] @ teacher_head
    return float(student - 2 * cross + teacher) + noise_std**2
