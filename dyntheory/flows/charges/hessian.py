"""Second derivatives: Laplacians of potentials, and whether a point without force is a minimum.

Earnshaw's theorem. If ΔΦ = λΦ away from charges, λ ≥ 0, then at a point without force, charges trained,

    Δ_{θ_i} L = −2λ a_i² Φ(0)     for every electron i that is apart from all other charges,

since the potential of the others is a_i Φ(0) there: a direction leads down, and only electrons on other charges are at
rest. On the sphere Δ is its Laplacian. With λ = 0 the trace is zero and charges may be fixed: no strict minimum.

Reference: `panigrahy2018convergence`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.flows.charges.configuration import checked
from dyntheory.flows.charges.energy import Fixed, Moving, Rules, fixed_of, force, moving_of
from dyntheory.flows.charges.named import resolve_potential
from dyntheory.flows.charges.potentials import Between, Potential
from dyntheory.ground.arrays import Array, ArrayLike
from dyntheory.ground.checks import check_finite
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import as_double, double_precision


class Curvature(NamedTuple):
    """Where a configuration stands.

    Args:
        force_norm: norm of the gradient in what is trained; eigenvalues say what happens next where it is zero.
        eigenvalues: of the Hessian in what is trained, ascending; along the sphere where electrons live on it.
        laplacians: (m,) trace of the Hessian in each electron's position.
        descent: (m, d) the part in positions of the eigenvector that leads down most, or up least.
    """

    force_norm: float
    eigenvalues: np.ndarray
    laplacians: np.ndarray
    descent: np.ndarray


def hessian_of(rules: Rules, trains_charges: bool, moving: Moving, fixed: Fixed) -> Array:
    """Return the Hessian of L in positions, and in charges where they are trained, of one configuration.

    On the sphere directions along θ get a trace-free place of their own: zero.
    """
    positions, charges = moving
    size = positions.size

    def pull(flat: Array) -> Array:
        own = flat[size:] if trains_charges else charges
        found = force(rules, Moving(flat[:size].reshape(positions.shape), own), fixed)
        return jnp.concatenate(
            [found.positions.ravel(), found.charges] if trains_charges else [found.positions.ravel()]
        )

    flat = jnp.concatenate([positions.ravel(), charges] if trains_charges else [positions.ravel()])
    hessian = -jax.jacfwd(pull)(flat)
    if rules.on_sphere:
        along = radial_parts(positions, flat.size)
        keep = jnp.eye(flat.size) - along
        hessian = keep @ hessian @ keep
    return 0.5 * (hessian + hessian.T)


def radial_parts(positions: Array, size: int) -> Array:
    """Return the projector on all directions along electrons on the sphere."""
    count, num_features = positions.shape
    units = positions / jnp.linalg.norm(positions, axis=1, keepdims=True)
    blocks = jnp.einsum("ij,id,ie->idje", jnp.eye(count), units, units).reshape((count * num_features,) * 2)
    rest = size - count * num_features
    return jnp.pad(blocks, ((0, rest), (0, rest)))


@functools.lru_cache(maxsize=64)
def least_curvatures_of(rules: Rules, trains_charges: bool) -> Callable[[Moving, Fixed], Array]:
    """Return the compiled function that gives the smallest eigenvalue for every start."""

    def least(moving: Moving, fixed: Fixed) -> Array:
        hessian = hessian_of(rules, trains_charges, moving, fixed)
        if rules.on_sphere:  # out of the way of the smallest
            hessian = hessian + jnp.linalg.norm(hessian) * radial_parts(moving.positions, len(hessian))
        return jnp.linalg.eigvalsh(hessian)[0]

    return jax.jit(jax.vmap(least, in_axes=(0, None)))


def curvature(
    potential: str | Potential,
    protons: ArrayLike,
    *,
    electrons: ArrayLike,
    proton_charges: ArrayLike | None = None,
    electron_charges: ArrayLike | None = None,
    train_charges: bool = False,
    on_sphere: bool | None = None,
) -> Curvature:
    """Return what the loss does around a configuration: is a point without force a minimum, a saddle, a plateau?

    Args:
        potential: a name of `POTENTIALS`, or a Potential.
        protons: w_j, (n, d).
        electrons: θ_i, (m, d).
        proton_charges: b_j, (n,); default one.
        electron_charges: a_i, (m,); default one.
        train_charges: whether the a_i move too.
        on_sphere: whether electrons live on the sphere; default what the potential says.

    Returns:
        Force, eigenvalues, Laplacians, and the direction that leads down most.

    Raises:
        ValueError: shapes that do not match, several starts, or a potential whose force jumps.

    Example:
        >>> import numpy as np
        >>> found = curvature("erf", np.eye(2), electrons=np.ones((2, 2)) / 2)  # two electrons in one place
        >>> bool(found.eigenvalues[0] < 0)
        True

    Reference: `panigrahy2018convergence`.
    """
    check_arguments(curvature, locals())
    if np.ndim(electrons) > 2:
        raise ValueError(f"`electrons` must be one configuration (m, d), got {np.shape(electrons)}.")
    charges, is_on_sphere = checked(locals(), on_sphere)
    if not charges.potential.is_smooth:
        raise ValueError(f"`potential` must have a second derivative where charges meet, {charges.potential.name} not.")
    rules = Rules.of(charges.potential, is_on_sphere)
    with double_precision():
        moving, fixed = jax.tree.map(lambda leaf: leaf[0], moving_of(charges)), fixed_of(charges, train_charges)
        pull = force(rules, moving, fixed)
        hessian = np.asarray(hessian_of(rules, train_charges, moving, fixed))
        along = np.asarray(radial_parts(moving.positions, len(hessian))) if is_on_sphere else np.zeros_like(hessian)
    size = np.linalg.norm(hessian) + 1.0
    values, vectors = np.linalg.eigh(hessian + 2 * size * along)
    kept = values < size
    count, num_features = charges.electrons.shape[1:]
    traces = np.diagonal(hessian)[: count * num_features].reshape(count, num_features).sum(axis=1)
    down = vectors[: count * num_features, 0].reshape(count, num_features)
    norm = float(np.sqrt(np.sum(np.square(pull.positions)) + np.sum(np.square(pull.charges))))
    return Curvature(norm, values[kept], traces, down)


def laplacian(
    potential: str | Potential, points: ArrayLike, *, source: ArrayLike, on_sphere: bool | None = None
) -> np.ndarray:
    """Return ΔΦ(·, w) at points: λΦ(·, w) for a λ-harmonic potential.

    Args:
        potential: a name of `POTENTIALS`, or a Potential.
        points: θ, (p, d).
        source: w, (d,).
        on_sphere: whether Δ is the Laplacian of the unit sphere, at unit vectors; default what the potential says.

    Returns:
        (p,).

    Raises:
        ValueError: shapes that do not match, entries that are not finite, or points that are not unit vectors.

    Example:
        >>> import numpy as np
        >>> laplacian("quadratic", np.ones((1, 3)), source=np.eye(3)[0]).tolist()  # 2d|w|² + 4|w|²
        [10.0]

    Reference: `panigrahy2018convergence`.
    """
    check_arguments(laplacian, locals())
    check_finite("source", source)
    center = np.asarray(source, dtype=float)
    if center.ndim != 1:
        raise ValueError(f"`source` must have shape (features,), got {center.shape}.")
    check_finite("points", points)
    if np.shape(points)[1:] != center.shape:
        raise ValueError(f"`points` must have shape (count, {len(center)}), got {np.shape(points)}.")
    given: dict[str, Any] = {"potential": potential, "protons": center[None], "electrons": points}
    charges, is_on_sphere = checked({**given, "proton_charges": None, "electron_charges": None}, on_sphere)
    chosen = resolve_potential(potential)
    with double_precision():
        rows, parameters = as_double(charges.electrons[0]), as_double(chosen.parameters)
        return np.asarray(_laplacians(chosen.gradient, is_on_sphere, parameters, rows, as_double(center)))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _laplacians(gradient: Between, on_sphere: bool, parameters: Any, rows: Array, source: Array) -> Array:
    def slope(point: Array) -> Array:
        if not on_sphere:
            return gradient(parameters, point[None], source[None])[0, 0]
        length = jnp.sqrt(point @ point)
        found = gradient(parameters, (point / length)[None], source[None])[0, 0]
        return (found - (found @ point) * point / length**2) / length

    return jax.vmap(lambda point: jnp.trace(jax.jacfwd(slope)(point)))(rows)
