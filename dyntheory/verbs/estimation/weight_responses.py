"""How weights answer to gradients, from how residuals answer to preactivations: A from B, step by step.

Steps and units are flattened into one axis of D = T k entries, so a response is a lower triangular D × D matrix. A
linear feature map has w^t = Σ_s G_ts p^s + …; along an eigenvalue λ of the covariance

    R_{t+1} = G_{t+1} + λ G_{t+1} B R,            A_{t+1} = E_λ[λ R_{t+1}(λ)].

Where the covariance is not known it is not needed either. A linear sample map J with the same response B, trained on
the rows at hand, answers to an error e added to g by N = (1/n) Σ_j μ_j R(μ_j), μ_j the eigenvalues of XᵀX/d and J in
the place of B; and h = u + A (J h + e) gives

    J (1 + N J) = B/α,                            A (1 + J N) = N.

With the leverages of one row in place of the mean, N_i = Σ_j U_ij² μ_j R(μ_j), A_i is the answer that this row alone
would have met: for a linear model the preactivation u_i is then exactly the one of a run without row i.

Reference: `han2025precise`, section on the generalisation error, for identity covariance; the rest is derived in
docs/estimate.md.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from dyntheory.ground.arrays import Array


@runtime_checkable
class ColumnSpectrum(Protocol):
    """What is known of the covariance: turns B into A, one row a step; `num_groups` rows of A at a time."""

    @property
    def num_groups(self) -> int:
        """How many different A there are."""
        ...

    def init(self, size: int) -> Any:
        """Return the state before the first step; `size` is D."""
        ...

    def pooled(self) -> ColumnSpectrum:
        """Return the same with one A for all rows."""
        ...

    def next(
        self, state: Any, step: Array, b: Float[Array, "units D"], impulse: Float[Array, "units D"], alpha: Array
    ) -> tuple[Any, Float[Array, "groups units D"]]:
        """Return A_{t+1} of every group, given B_t and G_{t+1}."""
        ...


class _KnownState(NamedTuple):
    b: Array
    along: Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class KnownSpectrum:
    """A covariance whose eigenvalues are known.

    Args:
        values: λ, in the units of the rows.
        shares: of the features, summing to one.
    """

    values: Float[Array, " modes"]
    shares: Float[Array, " modes"]

    @property
    def num_groups(self) -> int:
        """One A for all rows."""
        return 1

    def pooled(self) -> KnownSpectrum:
        """Return itself."""
        return self

    def init(self, size: int) -> _KnownState:
        """Return B and R without a row."""
        return _KnownState(jnp.zeros((size, size)), jnp.zeros((self.values.shape[0], size, size)))

    def next(
        self, state: _KnownState, step: Array, b: Array, impulse: Array, alpha: Array
    ) -> tuple[_KnownState, Array]:
        """Return A_{t+1} = Σ_j λ_j R_{t+1}(λ_j)."""
        del alpha
        b = _put(state.b, b, step)
        rows = _modes(impulse, b, self.values, state.along)
        a = jnp.einsum("m,mab->ab", self.shares * self.values, rows)
        return _KnownState(b, _put(state.along, rows, step + 1)), a[None]


class _SampleState(NamedTuple):
    """J, N J and R; N and J N of every group."""

    j: Array
    n_j: Array
    along: Array
    n: Array
    j_n: Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SampleSpectrum:
    """The eigenvalues of the rows themselves, with the leverages of every row or group of rows.

    Args:
        values: μ, eigenvalues of XᵀX/d without the zeros.
        leverages: mean of U_ij² over the rows of a group; columns sum to one over the rows.
        sizes: rows in every group.
    """

    values: Float[Array, " modes"]
    leverages: Float[Array, "groups modes"]
    sizes: Int[Array, " groups"]

    @property
    def num_groups(self) -> int:
        """As many A as groups of rows."""
        return self.leverages.shape[0]

    def pooled(self) -> SampleSpectrum:
        """Return the same with the mean leverages of all rows."""
        total = jnp.sum(self.sizes)
        mean = jnp.einsum("g,gm->m", self.sizes / total, self.leverages)
        return SampleSpectrum(self.values, mean[None], total[None])

    def init(self, size: int) -> _SampleState:
        """Return responses without a row."""
        square, groups = jnp.zeros((size, size)), jnp.zeros((self.num_groups, size, size))
        return _SampleState(square, square, jnp.zeros((self.values.shape[0], size, size)), groups, groups)

    def next(
        self, state: _SampleState, step: Array, b: Array, impulse: Array, alpha: Array
    ) -> tuple[_SampleState, Array]:
        """Return A_{t+1} of every group."""
        j_row = _solve_unit(state.n_j, b / alpha)
        j = _put(state.j, j_row, step)
        j_n = _put(state.j_n, jnp.einsum("ab,gbc->gac", j_row, state.n), step)
        rows = _modes(impulse, j, self.values, state.along)
        n_rows = jnp.einsum("gm,mab->gab", self.leverages * self.values[None], rows)
        mean = jnp.einsum("g,gab->ab", self.sizes / jnp.sum(self.sizes), n_rows)
        a = jax.vmap(_solve_unit)(j_n, n_rows)
        return (
            _SampleState(
                j,
                _put(state.n_j, mean @ j, step + 1),
                _put(state.along, rows, step + 1),
                _put(state.n, n_rows, step + 1),
                j_n,
            ),
            a,
        )


def _modes(impulse: Array, response: Array, values: Array, along: Array) -> Array:
    """Return R_{t+1} at every eigenvalue."""
    driven = jnp.einsum("ab,mbc->mac", impulse @ response, along)
    return impulse[None] + values[:, None, None] * driven


def _put(matrix: Float[Array, "*more D D"], rows: Float[Array, "*more k D"], step: Array) -> Array:
    """Write the rows of one step; a step beyond the last is left out."""
    units = rows.shape[-2]
    places = step * units + jnp.arange(units)
    return matrix.at[..., places, :].set(rows, mode="drop")


def _solve_unit(lower: Float[Array, "D D"], rows: Float[Array, "k D"]) -> Float[Array, "k D"]:
    """Return x with x (1 + lower) = rows; `lower` has no diagonal blocks."""
    unit = jnp.eye(lower.shape[0]) + lower
    return jax.scipy.linalg.solve_triangular(unit, rows.T, trans="T", lower=True, unit_diagonal=True).T
