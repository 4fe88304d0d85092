"""One gradient step of one tanh unit, exact for any link: Gaussian integrals in place of nodes.

F = a tanh(h), y = φ(z) + σξ, (z, u⁰) centred Gaussian. The two-time form (theory.md §4) closes after one step:
with B_⋆ = α E[dg⁰/dz] and B = α E[dg⁰/du⁰], both from Stein's lemma E[g (z, u⁰)] = C E[∇g],

    w¹ = w⁰ − (η/α)(v⁰ + B w⁰ + B_⋆ w*),  Var v⁰ = α E[g²],      h¹ = u¹ − (η/α) g⁰,      a¹ = a − η E[(F − y) tanh h⁰].

No derivative of φ is taken, so kinks are no case apart. z is integrated by Gauss–Legendre panels that meet at 0 and
reach 14 standard deviations (e^{3z} peaks at 3), all else by Gauss–Hermite rules.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .gaussian import Array

REACH = 14.0


class OneStep(NamedTuple):
    """Errors and order parameters at t = 0, 1."""

    train_error: Array  # (2,)
    test_error: Array  # (2,)
    teacher_overlap: Array  # (2, 1, 1)
    weight_overlap: Array  # (2, 1, 1)
    head: Array  # (2,) a


class _Grid(NamedTuple):
    """Tensor grid over (z, u⁰, ξ), each broadcastable, and its weights."""

    z: Array
    u: Array
    xi: Array
    weights: Array


def solve(
    head: float,
    link: Callable[[Array], Array],
    *,
    alpha: float,
    learning_rate: float,
    noise_std: float,
    second_moment: float = 1.0,
    teacher_overlap: float = 0.0,
    teacher_second_moment: float = 1.0,
) -> OneStep:
    """Take one step.

    Args:
        head: a at the start.
        link: φ, elementwise.
        alpha: n/d.
        learning_rate: η of both layers.
        noise_std: σ.
        second_moment: E[w⁰²].
        teacher_overlap: E[w⁰ w*].
        teacher_second_moment: E[w*²].
    """
    rate = learning_rate / alpha
    start = np.array([[teacher_second_moment, teacher_overlap], [teacher_overlap, second_moment]])
    grid = _grid(start)
    labels = link(grid.z) + noise_std * grid.xi
    residual = head * np.tanh(grid.u) - labels
    g = residual * head / np.cosh(grid.u) ** 2
    to_teacher, to_weights = np.linalg.solve(start, [_mean(grid, g * grid.z), _mean(grid, g * grid.u)])
    # w¹ in coordinates (w*, w⁰, v⁰/√Var v⁰): a row, so that moments are row products.
    moment = np.block([[start, np.zeros((2, 1))], [np.zeros((1, 2)), np.ones((1, 1))]])
    row = np.array(
        [-learning_rate * to_teacher, 1 - learning_rate * to_weights, rate * np.sqrt(alpha * _mean(grid, g**2))]
    )
    with_start, second = moment[:2] @ row, row @ moment @ row
    new_head = head - learning_rate * _mean(grid, residual * np.tanh(grid.u))
    # u¹ given (z, u⁰) is Gaussian; h¹ adds the memory of g⁰.
    slopes = np.linalg.solve(start, with_start)
    spread = float(np.sqrt(max(second - with_start @ slopes, 0.0)))
    h = slopes[0] * grid.z + slopes[1] * grid.u - rate * g
    train = [
        _mean(grid, residual**2),
        _mean_over_fresh(grid, h, spread, lambda x: (new_head * np.tanh(x) - labels) ** 2),
    ]
    final = np.array([[teacher_second_moment, with_start[0]], [with_start[0], second]])
    test = [_population_error(m, a, link, noise_std) for m, a in ((start, head), (final, new_head))]
    return OneStep(
        np.array(train),
        np.array(test),
        np.array([teacher_overlap, with_start[0]]).reshape(2, 1, 1),
        np.array([second_moment, second]).reshape(2, 1, 1),
        np.array([head, new_head]),
    )


def _population_error(moment: Array, head: float, link: Callable[[Array], Array], noise_std: float) -> float:
    grid = _grid(moment)
    return _mean(grid, (head * np.tanh(grid.u) - link(grid.z)) ** 2) + noise_std**2


def _hermite(size: int) -> tuple[Array, Array]:
    """Return nodes and weights of the standard Gaussian."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(size)
    return nodes, weights / weights.sum()


def _teacher_rule(size: int = 64) -> tuple[Array, Array]:
    """Return nodes and weights of the standard Gaussian in panels that meet at 0."""
    points, lengths = np.polynomial.legendre.leggauss(size)
    positive = REACH * (points + 1) / 2
    density = REACH / 2 * lengths * np.exp(-(positive**2) / 2) / np.sqrt(2 * np.pi)
    return np.concatenate([-positive[::-1], positive]), np.concatenate([density[::-1], density])


def _grid(moment: Array) -> _Grid:
    """Return a grid for (z, u) ~ N(0, `moment`) and an independent ξ."""
    (z, z_weights), (e, e_weights), (xi, xi_weights) = _teacher_rule(), _hermite(60), _hermite(24)
    z, e, xi = z[:, None, None], e[None, :, None], xi[None, None, :]
    slope = moment[0, 1] / np.sqrt(moment[0, 0])
    u = slope * z + np.sqrt(moment[1, 1] - slope**2) * e
    weights = z_weights[:, None, None] * e_weights[None, :, None] * xi_weights[None, None, :]
    return _Grid(np.sqrt(moment[0, 0]) * z, u, xi, weights)


def _mean(grid: _Grid, values: Array) -> float:
    return float(np.sum(grid.weights * values))


def _mean_over_fresh(grid: _Grid, h: Array, spread: float, function: Callable[[Array], Array]) -> float:
    """Return E function(h + spread·e) with one more standard normal e."""
    nodes, weights = _hermite(40)
    return sum(w * _mean(grid, function(h + spread * e)) for e, w in zip(nodes, weights, strict=True))
