"""Potentials without stable equilibria: ΔΦ = λΦ away from the charges, in space and on the sphere, as networks.

In space, with the heat kernel p_t(r) = (4πt)^(−d/2) e^(−r²/4t), ∂_t p = Δp,

    Φ(r) ∝ ∫_{s²}^∞ e^(−λt) p_t(r) dt,     ΔΦ − λΦ ∝ −e^(−λs²) p_{s²}(r):

the screened charge e^(−√λ r)/r (d = 3; its like for other d), smeared over a width s. It is a mixture of Gaussians in
r, hence the potential of units √2 cos(θ·x + b) with b uniform on the circle and x = g/√(2t), g normal, t drawn
∝ t^(−d/2) e^(−λt) above s²: almost λ-harmonic, and a network.

On the sphere the solution of ΔΦ = λΦ that is regular opposite to the charge is F(a, b; (d − 1)/2; (1 + c)/2) with
a + b = d − 2, ab = λ. All terms of its series in c are positive, p_{k+2} (k + 1)(k + 2) = p_k (k (k + d − 2) + λ) and
p_1/p_0 = 2 Γ((a+1)/2) Γ((b+1)/2)/(Γ(a/2) Γ(b/2)): it is the potential of the activation Σ_k √p_k he_k/√k! for
normal inputs. The first `degree` terms are a polynomial activation, almost λ-harmonic:

    ΔΦ − λΦ = −Σ_{k = K−1, K} (k (k + d − 2) + λ) p_k cᵏ.

Reference: `panigrahy2018convergence` works with almost λ-harmonic potentials; both realisations here are our own.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.flows.charges.potentials import Potential
from dyntheory.flows.charges.series import of_powers
from dyntheory.ground.arrays import Array, Key, PyTree
from dyntheory.ground.checks import check_count, check_nonnegative, check_positive, check_scalar
from dyntheory.ground.kinds import check_arguments

PANEL, FEWEST, NODES = 2.0, 8, 16  # length of a panel in log t, how many there are at least, and nodes on one
SMALL = 40.0  # e^−40 is below rounding
LEAST_DIMENSION = 3  # from which the potential of a charge that is not screened falls off


def yukawa(num_features: int, screening: float, *, width: float = 0.1) -> Potential:
    """Return the potential of screened charges, smeared over a width: almost λ-harmonic, with Φ(0) = 1.

    Scaling:
        ΔΦ = λΦ beyond a few times `width` from a charge, up to e^(−r²/4s²). In three dimensions Φ ∝ e^(−√λ r)/r there.

    Args:
        num_features: d.
        screening: λ, zero or positive; positive below three dimensions. Zero is Coulomb's potential.
        width: s, positive; charges are Gaussian clouds of variance s² in every direction.

    Raises:
        ValueError: a number outside its range.

    Example:
        >>> yukawa(3, 1.0).screening
        1.0

    Reference: `panigrahy2018convergence`.
    """
    check_arguments(yukawa, locals())
    num_features = check_count("num_features", num_features)
    check_scalar("screening", screening)
    check_nonnegative("screening", screening)
    check_scalar("width", width)
    check_positive("width", width)
    if num_features < LEAST_DIMENSION and screening == 0:
        raise ValueError(
            f"`screening` must be positive in {num_features} dimension{'s' * (num_features > 1)}: without it the "
            "potential of a charge does not fall off and no network has it."
        )
    return _yukawa(num_features, float(screening), float(width))


@functools.lru_cache(maxsize=64)
def _yukawa(d: int, screening: float, width: float) -> Potential:
    """Nodes in log t/s², so that neither a strong screening nor a small width costs digits."""
    rate = screening * width**2
    ends = [SMALL / (d / 2 - 1)] if d >= LEAST_DIMENSION else []
    ends += [math.log1p(SMALL / rate)] if rate > 0 else []
    edges = np.linspace(0.0, min(ends), 1 + max(FEWEST, math.ceil(min(ends) / PANEL)))
    places, masses = np.polynomial.legendre.leggauss(NODES)
    half = 0.5 * np.diff(edges)[:, None]
    logarithm = (edges[:-1, None] + half * (places[None] + 1)).ravel()
    weights = (half * masses[None]).ravel() * np.exp((1 - d / 2) * logarithm - rate * np.expm1(logarithm))
    parameters = {"times": width**2 * np.exp(logarithm), "weights": weights / weights.sum()}
    name = f"yukawa({d}, {screening:g}, width={width:g})"
    units: dict[str, Any] = {"units": _waves, "draw": _draw_waves}
    return Potential(name, _mixture, _mixture_gradient, parameters, **units, screening=screening, num_features=d)


def _gaps(one: Array, other: Array) -> tuple[Array, Array]:
    gaps = one[:, None] - other[None]
    return gaps, jnp.sum(jnp.square(gaps), axis=-1)


def _mixture(parameters: PyTree, one: Array, other: Array) -> Array:
    _, squares = _gaps(one, other)
    return jnp.exp(-0.25 * squares[..., None] / parameters["times"][None, None]) @ parameters["weights"]


def _mixture_gradient(parameters: PyTree, one: Array, other: Array) -> Array:
    gaps, squares = _gaps(one, other)
    decays = jnp.exp(-0.25 * squares[..., None] / parameters["times"][None, None])
    return -gaps * (decays @ (0.5 * parameters["weights"] / parameters["times"]))[..., None]


def _waves(_: PyTree, weights: Array, inputs: Array) -> Array:
    """Return √2 cos(θ·x + b); the phase b stands behind the d entries of x."""
    return math.sqrt(2) * jnp.cos(inputs[:, :-1] @ weights.T + inputs[:, -1:])


def _draw_waves(parameters: PyTree, key: Key, shape: tuple[int, int]) -> Array:
    count, num_features = shape
    of_times, of_normals, of_phases = jax.random.split(key, 3)
    levels = jnp.cumsum(parameters["weights"])
    chosen = jnp.searchsorted(levels[:-1], levels[-1] * jax.random.uniform(of_times, (count,)))
    normals = jax.random.normal(of_normals, (count, num_features))
    phases = jax.random.uniform(of_phases, (count, 1), maxval=2 * math.pi)
    return jnp.concatenate([normals / jnp.sqrt(2 * parameters["times"][chosen])[:, None], phases], axis=1)


def spherical_yukawa(num_features: int, screening: float, *, degree: int = 60) -> Potential:
    """Return the λ-harmonic potential of unit vectors, as that of a polynomial activation; Φ = 1 at contact.

    Scaling:
        Δ is the Laplacian of the unit sphere in d dimensions. Truncation smears a charge over an angle of about
        √(2/K), K the degree, and leaves a small one opposite to it.

    Args:
        num_features: d, at least two.
        screening: λ, positive.
        degree: K, of the activation.

    Raises:
        ValueError: a number outside its range.

    Example:
        >>> spherical_yukawa(3, 2.0, degree=40).on_sphere
        True

    Reference: `panigrahy2018convergence`; `abramowitz1964handbook`, 15.1.24, for the value of F at 1/2.
    """
    check_arguments(spherical_yukawa, locals())
    num_features = check_count("num_features", num_features, minimum=2)
    degree = check_count("degree", degree, minimum=2)
    check_scalar("screening", screening)
    check_positive("screening", screening)
    powers = _powers(num_features, float(screening), degree)
    name = f"spherical_yukawa({num_features}, {screening:g}, degree={degree})"
    return of_powers(name, powers, screening=float(screening), num_features=num_features)


@functools.lru_cache(maxsize=64)
def _powers(d: int, screening: float, degree: int) -> np.ndarray:
    """Return p_0, …, p_K with sum one."""
    from scipy.special import loggamma

    root = np.sqrt(complex((d - 2) ** 2 - 4 * screening))
    one, other = (0.5 * (d - 2 + root), 0.5 * (d - 2 - root))
    tops, bottoms = (loggamma((one + 1) / 2) + loggamma((other + 1) / 2), loggamma(one / 2) + loggamma(other / 2))
    logarithms = np.zeros(degree + 1)  # powers overflow where the screening is strong
    logarithms[1] = math.log(2) + float((tops - bottoms).real)
    for k in range(degree - 1):
        logarithms[k + 2] = logarithms[k] + math.log((k * (k + d - 2) + screening) / ((k + 1) * (k + 2)))
    powers = np.exp(logarithms - logarithms.max())
    return powers / powers.sum()
