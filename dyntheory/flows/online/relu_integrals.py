"""Averages of rectifiers over Gaussian preactivations: second moments over positive orthants of up to four variables.

For a set S of variables, M_S(a, b) = E[x_a x_b; x_S > 0]; every average of rectifiers and their steps is such a moment.
Integration by parts takes it to probabilities of smaller orthants, which are elementary, and to that of all of S:

    M_S(a, b) = C_ab P_S + Σ_{j ≠ b} C_aj p_j(0) m(b),    m(b) = E[x_b; x_{S∖j} > 0 | x_j = 0] = Σ_l C'_bl p'_l(0) P''.

P of four variables is an integral over one: Plackett's identity along correlations between two pairs that grow from
zero, by a double exponential rule, which does not mind what happens at the ends.
A variable that others determine counts as having a sign of its own: terms come in pairs whose sum does not need it.

Reference: `plackett1954reduction`; `takahasi1974double`.
"""

from __future__ import annotations

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Array

TINY = 1e-13
LARGEST, STEP = 3.2, 0.08
PAIRS = ((0, 1), (2, 3))


def relu_second(cov: Array) -> Array:
    """Return E g(x_a) g(x_b) for all a and b."""
    sizes, angle = _polar(cov)
    return sizes * (jnp.sin(angle) + (math.pi - angle) * jnp.cos(angle)) / (2.0 * math.pi)


def relu_slopes(cov: Array, k: int) -> Array:
    """Return E g'(x_i) g'(x_j) of the first k units."""
    return (math.pi - _polar(cov)[1][:k, :k]) / (2.0 * math.pi)


def relu_third(cov: Array, k: int) -> Array:
    """Return E g'(x_i) x_v g(x_w), (k, m, m)."""
    sizes, angle = _polar(cov)
    both = ((math.pi - angle) / (2.0 * math.pi))[:k, None, :]
    edge = (sizes * jnp.sin(angle))[:k, None, :] / (2.0 * math.pi * jnp.diagonal(cov)[:k, None, None])
    return cov[:k, :, None] * edge + cov[None] * both


def relu_fourth(cov: Array, k: int) -> Array:
    """Return E g'(x_i) g'(x_j) g(x_w) g(x_z), (k, k, m, m)."""
    subsets, places = _subsets(k, cov.shape[0])
    parts = []
    for rows in subsets:
        inner = cov[rows[:, :, None], rows[:, None, :]]
        parts.append(jax.vmap(orthant_moments)(inner).reshape(-1))
    return jnp.concatenate(parts)[places]


@functools.lru_cache(maxsize=64)
def _subsets(k: int, m: int) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Return the sets of units by their sizes, and where (i, j, w, z) stands among all their moments in a row."""
    indices = [*itertools.product(range(k), range(k), range(m), range(m))]
    wanted = {tuple(sorted(set(one))) for one in indices}
    groups = [sorted(one for one in wanted if len(one) == size) for size in range(1, 5)]
    begin, offset = {}, 0
    for group in groups:
        for one in group:
            begin[one], offset = offset, offset + len(one) ** 2
    places = np.empty(len(indices), int)
    for number, (i, j, w, z) in enumerate(indices):
        one = tuple(sorted({i, j, w, z}))
        places[number] = begin[one] + len(one) * one.index(w) + one.index(z)
    return tuple(np.asarray(group) for group in groups if group), places.reshape(k, k, m, m)


def orthant_moments(cov: Array) -> Array:
    """Return E[x_a x_b; all x > 0] for one to four variables of covariance `cov`, (n, n)."""
    n = cov.shape[0]
    first = jnp.zeros((n, n))
    for j in range(n):
        inner = _given(cov, j)
        rest = [one for one in range(n) if one != j]
        column = cov[:, j] / jnp.sqrt(2.0 * math.pi * cov[j, j])
        first = first + column[:, None] * _means(inner, rest)[None, :]
    found = cov * orthant_probability(cov) + first
    return (found + found.T) / 2.0


def _means(cov: Array, rest: list[int]) -> Array:
    """Return E[x_b; x_rest > 0] at the places of `rest`, zero elsewhere."""
    found = jnp.zeros(cov.shape[0])
    for one in rest:
        others = np.array([other for other in rest if other != one], int)
        inner = _given(cov, one)
        chance = orthant_probability(inner[others[:, None], others[None, :]])
        found = found + cov[:, one] * _inverse_root(cov[one, one]) * chance / math.sqrt(2.0 * math.pi)
    return found


def _given(cov: Array, j: int) -> Array:
    """Return the covariance given x_j = 0; variances that are only rounding are zero, and what goes with them."""
    valid = cov[j, j] > 0
    inner = cov - cov[:, j, None] * cov[None, j, :] / jnp.where(valid, cov[j, j], 1.0)
    before, after = jnp.diagonal(cov), jnp.diagonal(inner)
    alive = after > TINY * before
    return jnp.where(alive[:, None] & alive[None, :], inner, 0.0)


def _inverse_root(variance: Array) -> Array:
    valid = variance > 0
    return jnp.where(valid, 1.0 / jnp.sqrt(jnp.where(valid, variance, 1.0)), 0.0)


def orthant_probability(cov: Array) -> Array:
    """Return P[all x > 0] for up to four variables; one without variance has either sign, on its own."""
    n = cov.shape[0]
    if n < 2:
        return jnp.asarray(0.5**n)
    roots = _inverse_root(jnp.diagonal(cov))
    corr = jnp.clip(cov * roots[:, None] * roots[None, :], -1.0, 1.0)
    if n < 4:
        upper = np.triu_indices(n, 1)
        return 0.5**n + jnp.sum(jnp.arcsin(corr[upper])) / (2.0 ** (n - 1) * math.pi)
    return _four(corr)


def _four(corr: Array) -> Array:
    """Return the probability of four variables: that of the pairs, and Plackett's integral over what joins them."""
    alone = [0.25 + jnp.arcsin(corr[a, b]) / (2.0 * math.pi) for a, b in PAIRS]
    found = alone[0] * alone[1]
    nodes, weights = _double_exponential()
    for i, k in (PAIRS[0], PAIRS[0][::-1]):
        for j, other in (PAIRS[1], PAIRS[1][::-1]):
            angle = jnp.arcsin(corr[i, j])
            small = jnp.abs(angle) < 1e-6
            grown = jnp.where(small, nodes, jnp.sin(nodes * angle) / jnp.where(small, 1.0, corr[i, j]))
            chance = _pair_given_pair(corr, (i, j, k, other), jnp.clip(grown, 0.0, 1.0))
            found = found + angle * jnp.sum(weights * chance) / (2.0 * math.pi)
    return found


def _pair_given_pair(corr: Array, places: tuple[int, int, int, int], grown: Array) -> Array:
    """Return P[x_k, x_l > 0 | x_i = x_j = 0] where correlations between the pairs (i, k) and (j, l) are `grown`."""
    i, j, k, other = places
    ij, il, kj, kl = (grown * corr[a, b] for a, b in ((i, j), (i, other), (k, j), (k, other)))
    ik, jl = corr[i, k], corr[j, other]
    left = 1.0 - ij**2
    first = left - (ik**2 - 2.0 * ij * ik * kj + kj**2)
    second = left - (il**2 - 2.0 * ij * il * jl + jl**2)
    mixed = kl * left - (ik * il - ij * (ik * jl + kj * il) + kj * jl)
    alive = (first > TINY) & (second > TINY)
    size = jnp.sqrt(jnp.where(alive, first * second, 1.0))
    inner = jnp.where(alive, jnp.clip(mixed / size, -1.0, 1.0), 0.0)
    return 0.25 + jnp.arcsin(inner) / (2.0 * math.pi)


@functools.cache
def _double_exponential() -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights on (0, 1) that crowd at the ends."""
    steps = np.arange(-LARGEST, LARGEST + STEP / 2, STEP)
    inner = 0.5 * math.pi * np.sinh(steps)
    weights = STEP * 0.25 * math.pi * np.cosh(steps) / np.cosh(inner) ** 2
    return 1.0 / (1.0 + np.exp(-2.0 * inner)), weights / weights.sum()


def _polar(cov: Array) -> tuple[Array, Array]:
    """Return products of standard deviations, and angles, for all pairs."""
    roots = jnp.sqrt(jnp.diagonal(cov))
    sizes = roots[:, None] * roots[None, :]
    inner = jnp.clip(cov / sizes, -1.0, 1.0)
    angle = jnp.arccos(inner)
    return sizes, jnp.where(jnp.eye(cov.shape[0], dtype=bool), 0.0, angle)
