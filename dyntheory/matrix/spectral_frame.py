"""A frame for correlated features: coordinates that depend on the eigenvalue, exact for linear row maps.

A feature-side quantity is Σ_i c_i(λ) G_i: the G_i are a feature's independent Gaussians (teacher, initial weights, v^0,
v^1, …), the c_i functions of its eigenvalue. After t steps of a linear map c_i is √a times a polynomial of degree t for
the teacher's coordinates, a polynomial or √λ times one for all others. So T + 1 Gauss nodes for the measure a(λ) dμ and
as many for μ have no error; coordinates are rows (i, node), inner products sums with the nodes' weights.

A fresh v is independent of λ and of everything before: its coordinate is one at all nodes, orthogonal as it is. A given
draw (W*, W⁰) is one coordinate with the d features as its nodes.
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from dyntheory.ground.arrays import Array, PyTree
from dyntheory.ground.linear_algebra import gauss_rule, rank_aware_cholesky, safe_inverse
from dyntheory.problem.laws.spectra import Spectrum

LOG_ACCURACY = 64.0  # as in closed forms of gradient descent: what a polynomial of that degree leaves of (1 − ηλ)^{2t}
MOST_EXACT = 64


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SpectralFrameSide:
    """Rows (coordinate, spectral node); fresh noise is the next coordinate, one at all of its nodes.

    The space says how many innovations there is room for: an array of no columns, its rows are counted.

    Args:
        roots: √weight of every row; those of the teacher and the initial weights come first.
        noise_roots: √weight of the nodes of one innovation, (M,).
        num_innovations: all that the run will need.
    """

    roots: Float[Array, " rows"]
    noise_roots: Float[Array, " nodes"]
    num_innovations: int = dataclasses.field(metadata={"static": True})

    @property
    def num_initial(self) -> int:
        """Rows that the teacher and the initial weights take."""
        return self.roots.shape[0] - self.num_innovations * self.noise_roots.shape[0]

    def init(self, num_asked: int, num_answered: int) -> Array:
        """Return a space with room for so many innovations."""
        del num_asked
        return jnp.zeros((num_answered, 0))

    def grow(self, space: Array, count: int) -> Array:
        """Return the space with room for `count` more innovations."""
        return jnp.zeros((space.shape[0] + count, 0))

    def capacity(self, space: Array) -> int:
        """Return the number of rows."""
        del space
        return self.roots.shape[0]

    def resolve(self, space: Array, vectors: Float[Array, "rows columns"]) -> tuple[Array, Array]:
        """Return the vectors times the roots of the weights: coordinates with an ordinary dot product."""
        return space, vectors.T * self.roots[None]

    def fresh(self, space: Array, directions: Array, wanted: Array) -> Array:
        """Reveal the next coordinates: orthogonal to everything so far as they are."""
        del directions, wanted
        return space

    def noise_components(self, space: Array, coordinates: Float[Array, "columns rows"]) -> Array:
        """Return the means over λ of the coordinates along the innovations."""
        by_node = coordinates[:, self.num_initial :].reshape(coordinates.shape[0], -1, self.noise_roots.shape[0])
        return by_node[:, : space.shape[0]] @ self.noise_roots

    def noise_combination(self, space: Array, coefficients: Float[Array, "columns answered"]) -> Array:
        """Return the coefficients at all nodes of the innovations."""
        wider = jnp.pad(coefficients, ((0, 0), (0, self.num_innovations - space.shape[0])))
        rows = (wider[:, :, None] * self.noise_roots[None, None]).reshape(coefficients.shape[0], -1)
        return jnp.pad(rows, ((0, 0), (self.num_initial, 0)))

    def expand(self, space: Array, coordinates: Float[Array, "columns rows"]) -> tuple[Array, Array]:
        """Return the vectors with these coordinates, zero in rows without weight."""
        return space, (coordinates * safe_inverse(self.roots, self.roots > 0)[None]).T

    def mean(self, values: PyTree) -> PyTree:
        """Refuse: a frame has no rows to average."""
        if jax.tree.leaves(values):
            raise ValueError("Row statistics are undefined on a frame; this method needs feature nodes.")
        return values

    def gram(self, left: Array, right: Array) -> Array:
        """Return the weighted dot products of columns."""
        return (left.T * jnp.square(self.roots)[None]) @ right


class SpectralStart(NamedTuple):
    """The frame, the rows (w*, w⁰) in it, and √λ of every row."""

    side: SpectralFrameSide
    rows: Float[Array, "rows m"]
    scales: Float[Array, " rows"]


def num_spectral_nodes(spectrum: Spectrum, num_steps: int) -> int:
    """Return how many nodes a coordinate needs: T + 1 are exact, as are all modes; long stable runs need √T."""
    enough = max(MOST_EXACT, math.ceil(math.sqrt(LOG_ACCURACY * num_steps)) + 32)
    return min(spectrum.num_modes, num_steps + 1, enough)


def spectral_frame(
    spectrum: Spectrum,
    moment: Float[Array, "m m"],
    *,
    num_teacher_units: int,
    num_steps: int,
    draw: tuple[Array, Array] | None = None,
) -> SpectralStart:
    """Set up the frame of a run.

    Args:
        spectrum: the law of (λ, a).
        moment: E[(w*, w⁰)(w*, w⁰)ᵀ] where a = 1.
        num_teacher_units: r.
        num_steps: T.
        draw: (W*, W⁰) on features with the eigenvalues of `spectrum.modes_of(d)`, instead of moments.
    """
    count, size = num_spectral_nodes(spectrum, num_steps), moment.shape[0]
    num_units = size - num_teacher_units
    values, weights = gauss_rule(spectrum.values, spectrum.weights, count)
    if draw is None:
        of_teacher = gauss_rule(spectrum.values, spectrum.weights * spectrum.powers, count)
        places = [of_teacher[0]] * num_teacher_units + [values] * num_units
        masses = [of_teacher[1]] * num_teacher_units + [weights] * num_units
        first = jnp.repeat(rank_aware_cholesky(moment).T, count, axis=0)
        values_of_rows, weights_of_rows = jnp.concatenate(places), jnp.concatenate(masses)
    else:
        first = jnp.concatenate(draw, axis=1)
        values_of_rows = spectrum.values[spectrum.modes_of(first.shape[0])]
        weights_of_rows = jnp.full(first.shape[0], 1.0 / first.shape[0])
    innovations = num_units * num_steps
    all_values = jnp.concatenate([values_of_rows, jnp.tile(values, innovations)])
    all_weights = jnp.concatenate([weights_of_rows, jnp.tile(weights, innovations)])
    rows = jnp.concatenate([first, jnp.zeros((innovations * count, size), first.dtype)])
    return SpectralStart(
        SpectralFrameSide(jnp.sqrt(all_weights), jnp.sqrt(weights), innovations), rows, jnp.sqrt(all_values)
    )
