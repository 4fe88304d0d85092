"""Where charges are and how large: what every verb of the wing is given, checked once."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.flows.charges.named import resolve_potential
from dyntheory.flows.charges.potentials import Potential
from dyntheory.flows.charges.series import MOST_ERROR, potential_of
from dyntheory.ground.arrays import ArrayLike, PyTree
from dyntheory.ground.checks import check_finite
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import double_precision
from dyntheory.problem.laws.first_layer import FirstLayer
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.laws.links import resolve_link
from dyntheory.problem.networks.activations import resolve_activation
from dyntheory.problem.networks.network import MLP

UNIT = 1e-6
SAME_LINK = 1e-5
MATRIX, STACK = 2, 3
TWO_LAYERS = 2


class Charges(NamedTuple):
    """A teacher and a student as charges; its fields are the arguments of `flow`, `descend`, `simulate`, `loss`.

    Args:
        potential: of the activation.
        protons: w_j, (n, d).
        proton_charges: b_j, (n,).
        electrons: θ_i, (m, d) or several starts (S, m, d).
        electron_charges: a_i, (m,) or (S, m).
    """

    potential: Potential
    protons: np.ndarray
    proton_charges: np.ndarray
    electrons: np.ndarray
    electron_charges: np.ndarray


def checked(given: dict[str, Any], on_sphere: bool | None = None) -> tuple[Charges, bool]:
    """Return the charges among the arguments of a verb with an axis of starts, and whether they live on the sphere.

    Raises:
        ValueError: shapes that do not match, entries that are not finite, or vectors that are not unit vectors.
    """
    potential = resolve_potential(given["potential"])
    is_on_sphere = potential.on_sphere if on_sphere is None else bool(on_sphere)
    if potential.on_sphere and not is_on_sphere:
        raise ValueError(f"`on_sphere` must be True: {potential.name} is a potential of unit vectors.")
    protons, electrons = _rows("protons", given["protons"], (MATRIX,)), _rows("electrons", given["electrons"])
    electrons = electrons.reshape((-1, *electrons.shape[-2:]))
    if potential.num_features not in (None, protons.shape[1]):
        raise ValueError(
            f"`protons` must have {potential.num_features} features, those of {potential.name}, got {protons.shape[1]}."
        )
    if protons.shape[1] != electrons.shape[-1]:
        raise ValueError(
            f"`electrons` must have as many features as `protons`, {protons.shape[1]}, got {electrons.shape[-1]}."
        )
    for name, rows, is_bound in (("protons", protons, potential.on_sphere), ("electrons", electrons, is_on_sphere)):
        norms = np.linalg.norm(rows, axis=-1)
        if is_bound and np.abs(norms - 1).max() > UNIT:
            raise ValueError(f"`{name}` must be unit vectors, got norms from {norms.min():.4g} to {norms.max():.4g}.")
        missed = missed_at(potential, float(norms.max()))
        if missed > MOST_ERROR:
            raise ValueError(
                f"`{name}` must be shorter: at the norm {norms.max():.3g} the series of {potential.name} misses "
                f"{missed:.1e} of it. Or raise `degree` of `potential_of`."
            )
    own = _charges("proton_charges", given["proton_charges"], protons.shape[:1])
    moving = _charges("electron_charges", given["electron_charges"], electrons.shape[:2])
    return Charges(potential, protons, own, electrons, moving), is_on_sphere


def missed_at(potential: Potential, norm: float) -> float:
    """Return what the series of a potential leaves out for weights of a norm, relative; zero for closed forms."""
    if potential.reach is None:
        return 0.0
    with double_precision():
        return float(np.max(np.asarray(potential.reach(potential.parameters, jnp.asarray([norm**2])))))


def _rows(name: str, value: ArrayLike, ranks: tuple[int, ...] = (MATRIX, STACK)) -> np.ndarray:
    check_finite(name, value)
    rows = np.asarray(value, dtype=float)
    if rows.ndim not in ranks or 0 in rows.shape:
        wanted = "(count, features)" + " or (starts, count, features)" * (STACK in ranks)
        raise ValueError(f"`{name}` must have shape {wanted}, got {rows.shape}.")
    return rows


def _charges(name: str, value: ArrayLike | None, shape: tuple[int, ...]) -> np.ndarray:
    if value is None:
        return np.ones(shape)
    check_finite(name, value)
    charges = np.asarray(value, dtype=float)
    if charges.shape not in (shape, shape[-1:]):
        raise ValueError(f"`{name}` must have shape {' or '.join(map(str, {shape[-1:], shape}))}, got {charges.shape}.")
    return np.broadcast_to(charges, shape).copy()


def from_network(law: TeacherStudent, network: MLP, *, first_layer: FirstLayer, head: PyTree) -> Charges:
    """Return teacher and student of a problem as charges: rows of both first layers, and their output weights.

    The teacher must be a two-layer network of the same activation, φ(z) = Σ_j b_j σ(z_j): the b_j are read off the
    link.

    Scaling:
        Weights of a first layer act as W/√d, so charges stand at w/√d.

    Args:
        law: its link; the noise of labels moves no charge, it adds σ² to the loss.
        network: two layers, one output, no biases.
        first_layer: `FirstLayer.from_weights(W, W_teacher)`.
        head: of the network; {"layer_2": {"weights": (1, k)}}.

    Returns:
        The charges: `flow(**charges._asdict(), times=…)`.

    Raises:
        ValueError: a network of another shape, a link that is no such sum, inputs that are correlated or know labels.

    Example:
        >>> import jax, numpy as np, dyntheory as dt
        >>> network, weights = dt.MLP((2,), "erf"), np.eye(5)[:, :2]
        >>> found = from_network(dt.TeacherStudent(2.0, "erf"), network, head=network.init_head(jax.random.key(0)),
        ...                      first_layer=dt.FirstLayer.from_weights(weights, weights[:, :1]))
        >>> found.protons.shape, found.electrons.shape, found.proton_charges.round(6).tolist()
        ((1, 5), (2, 5), [1.0])

    Reference: `panigrahy2018convergence`.
    """
    check_arguments(from_network, locals())
    if network.num_layers != TWO_LAYERS or network.num_outputs != 1 or network.use_bias:
        raise ValueError(f"`network` must have two layers, one output and no biases, got {network}.")
    if law.features is not None or law.separation is not None:
        raise ValueError("`law` must have independent standard features, without `features` and `separation`.")
    if first_layer.draw is None:
        raise ValueError("`first_layer` must hold weights: FirstLayer.from_weights(W, W_teacher).")
    protons, electrons = (np.asarray(part, float).T for part in first_layer.draw)
    potential = potential_of(resolve_activation(network.activation))
    charges = _output_weights(head, len(electrons), network.num_units)
    root = np.sqrt(protons.shape[1])
    return Charges(potential, protons / root, _teacher_charges(law, network, len(protons)), electrons / root, charges)


def _output_weights(head: PyTree, num_drawn: int, num_units: int) -> np.ndarray:
    if num_drawn != num_units:
        raise ValueError(f"`first_layer` must have {num_units} columns, the units of `network`, got {num_drawn}.")
    try:
        weights = np.asarray(head["layer_2"]["weights"], float)
    except (TypeError, LookupError, ValueError) as error:
        raise ValueError("`head` must be what `network.init_head(key)` returns, with a key 'layer_2'.") from error
    if weights.shape != (1, num_units) or not np.isfinite(weights).all():
        raise ValueError(f"`head` must hold {num_units} finite output weights (1, {num_units}), got {weights.shape}.")
    return weights[0]


def _teacher_charges(law: TeacherStudent, network: MLP, count: int) -> np.ndarray:
    """Return b_j such that the link is Σ_j b_j σ(z_j), by least squares on points that are enough to tell."""
    link, activation = resolve_link(law.link), resolve_activation(network.activation)
    points = np.random.default_rng(count).normal(size=(8 * count + 40, count))
    if link.takes_noise:
        raise ValueError("`law` must have additive noise: its link is not a network.")
    labels = np.asarray(jax.vmap(lambda z: jnp.reshape(link(z), ()))(jnp.asarray(points)))
    units = np.asarray(activation(jnp.asarray(points)))
    charges = np.linalg.lstsq(units, labels, rcond=None)[0]
    missed = np.abs(units @ charges - labels).max()
    if missed > SAME_LINK * np.abs(labels).max():
        raise ValueError(
            f"`law` must have a link Σ_j b_j σ(z_j) with σ = {activation.name}, the activation of `network`; "
            f"{link.name} differs from the nearest one by {missed:.2g}."
        )
    return charges
