"""What rows of a run are moved by, to see how their residuals answer."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from dyntheory.ground.arrays import Array, Key
from dyntheory.verbs.estimation.plan import EstimatePlan
from dyntheory.verbs.estimation.training_run import TrainingRun

KINK_WIDTH = 0.07  # of the moves at a kink, in standard deviations of the preactivation


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Probes:
    """What rows are moved by.

    Args:
        rows: which rows of the run are followed.
        moves: ω, shape (rows or 1, probes, D).
        weight: of one probe; weight · Σ over the probes of ω ωᵀ is the identity, in the mean over rows.
        widths: b of every step and unit, (D,); None takes derivatives.
    """

    rows: Int[Array, " followed"]
    moves: Float[Array, "rows probes D"]
    weight: Array
    widths: Float[Array, " D"] | None

    @property
    def signs(self) -> Array:
        """Both ends of a difference; a derivative has one."""
        return jnp.ones(1) if self.widths is None else jnp.array([1.0, -1.0])


def probes_of(plan: EstimatePlan, run: TrainingRun, key: Key, *, is_smooth: bool) -> Probes:
    """Return the moves that a plan asks for.

    Args:
        plan: how many rows and moves.
        run: the run.
        key: of the choice of rows and of random moves.
        is_smooth: derivatives will do; else moves have a width.
    """
    states, n, k = run.preactivations.shape
    size = (states - 1) * k
    rows_key, moves_key = jax.random.split(key)
    rows = jnp.arange(n)
    if plan.num_followed < n:
        rows = jnp.sort(jax.random.choice(rows_key, n, (plan.num_followed,), replace=False))
    if plan.num_probes is None:
        return Probes(rows, jnp.eye(size)[None], jnp.ones(()), None)
    shape = (len(rows), plan.num_probes, size)
    weight = jnp.asarray(1.0 / plan.num_probes)
    if is_smooth:
        return Probes(rows, jax.random.rademacher(moves_key, shape).astype(float), weight, None)
    spread = jnp.std(run.preactivations[:-1], axis=1).reshape(-1)
    widths = KINK_WIDTH * jnp.where(spread > 0, spread, jnp.max(spread, initial=1e-300))
    return Probes(rows, jax.random.normal(moves_key, shape, float), weight, widths)
