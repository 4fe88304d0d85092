"""Averages in closed form: student and teacher are sums of units of one kind, erf, ReLU or linear."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from dyntheory.flows.online.erf_integrals import erf_fourth, erf_second, erf_slopes, erf_third
from dyntheory.flows.online.model import Averages, Model, Overlaps
from dyntheory.flows.online.relu_integrals import relu_fourth, relu_second, relu_slopes, relu_third
from dyntheory.flows.online.units import ERF, RELU
from dyntheory.ground.arrays import Array


class Integrals(NamedTuple):
    """Averages over units x = (h, z), m = k + r of them, of which the first k are differentiated.

    Args:
        second: E g(x_a) g(x_b), (m, m).
        slopes: E g'(x_i) g'(x_j), (k, k).
        third: E g'(x_i) x_v g(x_w), (k, m, m).
        fourth: E g'(x_i) g'(x_j) g(x_w) g(x_z), (k, k, m, m).
    """

    second: Array
    slopes: Array
    third: Array
    fourth: Array


def integrals(kind: str, scales: np.ndarray, cov: Array, k: int) -> Integrals:
    """Return the integrals of units of one kind, with scales (m,) where they are erf(s x)."""
    if kind == ERF:
        return _of_erf(scales, cov, k)
    if kind == RELU:
        return Integrals(relu_second(cov), relu_slopes(cov, k), relu_third(cov, k), relu_fourth(cov, k))
    ones = jnp.ones((k, k, 1, 1))
    return Integrals(cov, ones[:, :, 0, 0], ones[:, 0] * cov[None], ones * cov[None, None])


def second_moments(kind: str, scales: np.ndarray, cov: Array) -> Array:
    """Return E g(x_a) g(x_b) alone."""
    if kind == ERF:
        return erf_second(_scaled(scales, cov))
    return relu_second(cov) if kind == RELU else cov


def _scaled(scales: np.ndarray, cov: Array) -> Array:
    factors = math.sqrt(2.0) * scales
    return cov * factors[:, None] * factors[None, :]


def _of_erf(scales: np.ndarray, cov: Array, k: int) -> Integrals:
    """Return those of erf(s x) = erf(x'/√2), x' = √2 s x."""
    factors, inner = jnp.asarray(math.sqrt(2.0) * scales), _scaled(scales, cov)
    own = factors[:k]
    pairs = own[:, None] * own[None, :]
    third = erf_third(inner, k) * own[:, None, None] / factors[None, :, None]
    return Integrals(
        erf_second(inner), pairs * erf_slopes(inner, k), third, pairs[:, :, None, None] * erf_fourth(inner, k)
    )


def closed_averages(model: Model, now: Overlaps, noise_variance: Array) -> Averages:
    """Return the averages; `noise_variance` is σ²."""
    k, kind = model.num_units, model.kind
    assert kind is not None
    signed = jnp.concatenate([now.head, -jnp.asarray(model.teacher_weights)])
    found = integrals(kind, model.scales, now.students_first, k)
    third = now.head[:, None] * (found.third @ signed)
    fourth = jnp.einsum("ijwz,w,z->ij", found.fourth, signed, signed) + noise_variance * found.slopes
    return Averages(
        error=signed @ found.second @ signed,
        with_students=third[:, :k],
        with_teachers=third[:, k:],
        squares=now.head[:, None] * now.head[None, :] * fourth,
        head=found.second[:k] @ signed,
    )


def closed_error(model: Model, now: Overlaps) -> tuple[Array, Array]:
    """Return E e² and what rounding may do to it: a few units of the last place of the largest terms."""
    kind = model.kind
    assert kind is not None
    signed = jnp.concatenate([now.head, -jnp.asarray(model.teacher_weights)])
    terms = signed[:, None] * signed[None, :] * second_moments(kind, model.scales, now.students_first)
    return jnp.sum(terms), 4.0 * jnp.finfo(terms.dtype).eps * jnp.sum(jnp.abs(terms))
