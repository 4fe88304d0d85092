"""How much a run's curves move where it starts a little differently: where the runs of one problem separate.

With d features the Gram matrix of the starting rows (w*, w⁰) strays from its expectation G = L Lᵀ to L (1 + S/√d) Lᵀ, S
symmetric with independent normal entries of variance 1, 2 on the diagonal, and gradients of a trained head are means
over n rows, which stray as well. Solutions on sub-nets are done again from starts that stray as with d = 10⁴, once in
each direction, and compared with the one from G on the same nodes, whose own error drops out. With ± the sum shows what
the difference cannot: where a symmetry is broken (odd labels, biases that start at zero) a curve has no slope, and the
square of a difference of 1/√d grows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.gaussian.nodes import NUM_BLOCKS
from dyntheory.ground.arrays import PyTree
from dyntheory.results.judgement import scale_of
from dyntheory.verbs.prediction.jobs import LimitJob
from dyntheory.verbs.prediction.pieces import LimitProblem

NUM_STARTS = 2
STRAY = 1e-2  # 1/√d
RANK_TOLERANCE = 1e-12
MAGNIFIED = ("train_error", "test_error")


class Straying(NamedTuple):
    """A solution on a sub-net, by its name, and the two from starts that stray from its own."""

    name: str
    jobs: tuple[LimitJob, LimitJob]


def straying(jobs: list[LimitJob]) -> list[Straying]:
    """Return starts that stray, spread over the sub-nets and, where there are several, over the heads.

    Args:
        jobs: of a prediction; the first is on all nodes.
    """
    sub_nets = [job for job in jobs if job.size < jobs[0].size]
    chosen = [sub_nets[(number * (NUM_BLOCKS + 1)) % len(sub_nets)] for number in range(NUM_STARTS)]
    return [
        Straying(
            job.name,
            (
                job._replace(name=f"{job.name}_up", problem=strayed(job.problem, number, STRAY)),
                job._replace(name=f"{job.name}_down", problem=strayed(job.problem, number, -STRAY)),
            ),
        )
        for number, job in enumerate(chosen)
    ]


def magnification(curves: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]) -> dict[str, np.ndarray]:
    """Return M(t) (T+1,) of train and test error, M² = m² + b with root mean squares over the starts.

    m is the relative change in units of 1/√d, b its part of second order in units of 1/d. Relative to the larger of the
    value and 1e-3 of its initial value; infinite where a value is not finite.

    Args:
        curves: for each start those from G and from the two that stray, by name (T+1,).
    """
    found = {}
    for name in MAGNIFIED:
        middle, up, down = (np.stack([np.asarray(triple[side][name]) for triple in curves]) for side in range(3))
        with np.errstate(all="ignore"):
            first = (up - down) / (2 * STRAY * scale_of(middle))
            second = (up + down - 2 * middle) / (2 * STRAY**2 * scale_of(middle))
            squared = np.mean(first**2, axis=0) + np.sqrt(np.mean(second**2, axis=0))
        found[name] = np.where(np.isfinite(squared), np.sqrt(squared), np.inf)
    return found


def strayed(problem: LimitProblem, seed: int, stray: float) -> LimitProblem:
    """Return the problem from a start whose Gram matrix is L (1 + stray S) Lᵀ, and the head moved by as much.

    Where a teacher's prior is given its rows stay as they are, and w⁰ strays, also from them. A head moves by `stray`
    times the root mean square of its entries.
    """
    moment, r = np.asarray(problem.joint_second_moment), problem.law.num_teacher_units
    random = np.random.default_rng(seed)
    drawn = random.standard_normal(moment.shape)
    change = (drawn + drawn.T) / np.sqrt(2)
    if problem.draw is None and problem.law.teacher_priors is not None:
        change[:r, :r] = 0.0
    root = _block_root(moment, r)
    move = root @ np.linalg.cholesky(np.eye(len(moment)) + stray * change) @ np.linalg.pinv(root)
    draw = problem.draw
    if draw is not None:
        rows = jnp.concatenate(draw, axis=1) @ move.T
        draw = (rows[:, :r], rows[:, r:])
    head = _moved_head(problem.head, stray, random)
    return problem._replace(head=head, joint_second_moment=jnp.asarray(move @ moment @ move.T), draw=draw)


def _moved_head(head: PyTree, stray: float, random: np.random.Generator) -> PyTree:
    squares = [float(np.sum(np.square(leaf))) for leaf in jax.tree.leaves(head)]
    size = np.sqrt(sum(squares) / max(sum(np.size(leaf) for leaf in jax.tree.leaves(head)), 1)) or 1.0
    return jax.tree.map(lambda leaf: leaf + stray * size * random.standard_normal(np.shape(leaf)), head)


def _root(moment: np.ndarray) -> np.ndarray:
    """Return the symmetric root of a second moment of any rank."""
    values, vectors = np.linalg.eigh(moment)
    return (vectors * np.sqrt(np.where(values > RANK_TOLERANCE * values.max(initial=0.0), values, 0.0))) @ vectors.T


def _block_root(moment: np.ndarray, r: int) -> np.ndarray:
    """Return L with L Lᵀ = G and no entry that takes w⁰ into w*."""
    teacher = _root(moment[:r, :r])
    mixed = moment[r:, :r] @ np.linalg.pinv(teacher, rcond=RANK_TOLERANCE).T
    rest = _root(moment[r:, r:] - mixed @ mixed.T)
    return np.block([[teacher, np.zeros((r, len(moment) - r))], [mixed, rest]])
