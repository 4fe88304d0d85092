"""The eigenvalues of a kernel, which of them rounding decides, and what the labels lose there.

A kernel given with relative precision ε has its eigenvalues to a few ε s, s the largest. Without a ridge those below
n ε s count as zero: dividing by them multiplies rounding. With a ridge, or noise, nothing but what is rounding alone
(4 ε s) is dropped, since then small eigenvalues are divided by something larger.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from dyntheory.ground.arrays import Array, ArrayLike, Number
from dyntheory.ground.checks import is_concrete
from dyntheory.ground.status import DyntheoryWarning
from dyntheory.kernels.precision import real_array, rounding_of

SYMMETRY_ROUNDING = 1e3
ROUNDING = 4.0
NEAR = 100.0
NOTICEABLE = 1e-5
COARSE = 1e-12


class Eigensystem(NamedTuple):
    """Θ = V diag(s) Vᵀ with the eigenvalues that are zero up to rounding set to zero.

    `values` (n,) ascending, `vectors` (n, n), `rank` the number of eigenvalues above `resolution` = n ε s_max,
    `removed` the largest magnitude that was set to zero, `is_blurred` whether rounding decides what the rank is and
    nothing larger is added.
    """

    values: Array
    vectors: Array
    rank: Array
    removed: Array
    resolution: Array
    is_blurred: Array


@jax.jit
def eigensystem(matrix: Float[Array, "n n"], rounding: Any = None, floor: Any = 0.0) -> Eigensystem:
    """Return the eigendecomposition of a positive semidefinite matrix of any rank.

    Args:
        matrix: Θ, (n, n).
        rounding: ε, the relative precision of its entries; default that of their type.
        floor: what is going to be added to all eigenvalues, or has been: n λ, σ².
    """
    values, vectors = jnp.linalg.eigh(matrix)
    largest = jnp.max(jnp.abs(values))
    epsilon = (jnp.finfo(matrix.dtype).eps if rounding is None else rounding) * largest
    size = matrix.shape[0]
    resolution = size * epsilon
    is_held = floor > ROUNDING * epsilon
    kept = values > jnp.where(is_held, ROUNDING * epsilon, resolution)
    removed = jnp.max(jnp.where(kept, 0.0, jnp.abs(values)))
    rank = jnp.sum(values > resolution)
    noise = jnp.maximum(2 * ROUNDING, size**0.5) * epsilon  # what a zero eigenvalue looks like is below
    is_near = jnp.any((values > noise) & (values < NEAR * resolution))
    kept_values = jnp.where(kept, values, 0.0)
    return Eigensystem(kept_values, vectors, rank, removed, resolution, (floor < resolution) & is_near)


def inverse(system: Eigensystem, added: Number = 0.0) -> Array:
    """Return 1/(s + added) for every eigenvalue, zero where s is zero and nothing is added that rounding leaves."""
    largest = system.resolution / len(system.values)
    valid = (system.values > 0) | (jnp.asarray(added) > ROUNDING * largest)
    return jnp.where(valid, 1.0 / jnp.where(valid, system.values + added, 1.0), 0.0)


@jax.jit
def lost_share(system: Eigensystem, labels: Float[Array, "n o"]) -> Array:
    """Return the part of the labels' norm along eigenvalues below the resolution, zero where nothing is blurred."""
    along = jnp.sum(jnp.square(system.vectors.T @ labels), axis=1)
    below = jnp.arange(len(along)) < len(along) - system.rank
    total = jnp.maximum(jnp.sum(along), jnp.finfo(along.dtype).tiny)
    return jnp.where(system.is_blurred, jnp.sqrt(jnp.sum(jnp.where(below, along, 0.0)) / total), 0.0)


def warn_lost(share: Array, system: Eigensystem) -> None:
    """Say what part of the labels rounding decides; under a trace nobody can look."""
    if not (is_concrete(share) and float(np.asarray(share)) > NOTICEABLE):
        return
    size, rank, resolution = len(system.values), int(np.asarray(system.rank)), float(np.asarray(system.resolution))
    is_coarse = resolution > size * COARSE * float(np.max(np.asarray(system.values)))
    advice = "Give the kernel in float64, of float64 inputs." if is_coarse else "Give a ridge or noise above that."
    warnings.warn(
        f"The kernel is nearly singular: {size - rank} of its {size} eigenvalues are below {resolution:.1e}, what "
        f"rounding makes of zero in the precision in which it was given, and {float(np.asarray(share)):.1e} of the "
        f"labels (relative norm) lie there: that part of the answer is left out, or rounding. {advice}",
        DyntheoryWarning,
        stacklevel=4,
    )


def check_kernel(name: str, kernel: ArrayLike) -> Array:
    """Require a square symmetric matrix of finite numbers and return it in JAX's floating type.

    Raises:
        ValueError: it is none of these, or clearly not positive semidefinite (a negative entry on the diagonal).
    """
    array = real_array(name, kernel)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or array.shape[0] == 0:
        what = "two kernels, nngp and ntk: give kernel(x).ntk" if isinstance(kernel, tuple) else f"shape {array.shape}"
        raise ValueError(f"`{name}` must be one square matrix (n, n) of a set of inputs with itself, got {what}.")
    if is_concrete(array):
        values = np.asarray(array)
        scale, tolerance = np.abs(values).max(), SYMMETRY_ROUNDING * rounding_of(kernel)
        if np.abs(values - values.T).max() > tolerance * scale:
            raise ValueError(f"`{name}` must be symmetric: it is the kernel of one set of inputs with itself.")
        if np.diagonal(values).min() < -tolerance * scale:
            raise ValueError(f"`{name}` must be positive semidefinite; it has a negative entry on the diagonal.")
    return array
