"""Few nodes for many parts: which part of a whole each node stands for, and what it then weighs.

Parts are the pairs (λ, a) of a spectrum or the rows of a given draw. A part with nodes of its own gets its share,
divided among them. The others are too many for that: each of their nodes weighs what the parts around it have, share
over density, and the weights of all of them together are their shares. Such a sum over a sorted list errs by N^{-3/2}
where neighbours are alike.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from dyntheory.ground.arrays import Array

NODES_OF_ITS_OWN = 2.0  # an interval of the coordinate as long as that many nodes always holds one


def stratified_places(
    shares: Float[Array, " parts"], density: Float[Array, " parts"], uniforms: Float[Array, " nodes"]
) -> tuple[Int[Array, " nodes"], Float[Array, " nodes"]]:
    """Return which part each node stands for, and weights of sum one.

    Args:
        shares: of the parts, summing to one, in an order in which neighbours are alike.
        density: which part of the nodes each of them gets, summing to one, positive where the share is.
        uniforms: a coordinate in (0, 1) of each node, evenly spread.
    """
    density = jax.lax.stop_gradient(density)
    places = jnp.minimum(jnp.searchsorted(jnp.cumsum(density), uniforms, side="right"), shares.shape[0] - 1)
    hits = jnp.zeros(shares.shape[0], uniforms.dtype).at[places].add(1.0)
    is_own = has_own_nodes(density, uniforms.shape[0])
    own = shares / jnp.maximum(hits, 1.0)
    common = jnp.where(is_own, 0.0, shares / density)
    total = jnp.sum(common[places])
    scale = jnp.sum(jnp.where(is_own, 0.0, shares)) / jnp.where(total > 0, total, 1.0)
    weights = jnp.where(is_own, own, scale * common)[places]
    return places, weights / jnp.sum(weights)


def has_own_nodes(density: Float[Array, " parts"], num_nodes: int) -> Array:
    """Return which parts surely get a node."""
    return num_nodes * density >= NODES_OF_ITS_OWN


def sorted_in_blocks(
    first: Float[Array, " parts"], second: Float[Array, " parts"], density: Float[Array, " parts"], num_nodes: int
) -> Int[Array, " parts"]:
    """Return an order of falling `first`, within blocks of √N nodes of falling `second`: neighbours are alike in both.

    Parts with nodes of their own need no neighbours and stay where `first` puts them.
    """
    first, second, density = (jax.lax.stop_gradient(x) for x in (first, second, density))
    order = jnp.argsort(-first, stable=True)
    second, density = second[order], density[order]
    is_own, size = has_own_nodes(density, num_nodes), math.sqrt(num_nodes)
    place = num_nodes * (jnp.cumsum(density) - 0.5 * density)
    block = jnp.where(is_own, place, size * jnp.floor(place / size))
    return order[jnp.lexsort((jnp.where(is_own, 0.0, -second), block))]
