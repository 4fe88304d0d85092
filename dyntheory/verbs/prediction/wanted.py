"""One prediction on one set of nodes, as it is asked for."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dyntheory.dynamics.observables import Record, num_recorded
from dyntheory.gaussian.nodes import NUM_BLOCKS
from dyntheory.gaussian.sobol import check_net
from dyntheory.ground.arrays import Array, Key
from dyntheory.ground.compiling import is_brief
from dyntheory.ground.identity.fingerprint import fingerprint
from dyntheory.ground.status import Status
from dyntheory.problem.laws.prior_moments import missed_moment
from dyntheory.problem.prepared import Given, PreparedProblem, identity_of
from dyntheory.problem.shape import Shape
from dyntheory.results.judgement import heavy_teacher
from dyntheory.results.trajectory import PREACTIVATION_BYTES
from dyntheory.verbs.prediction.pieces import cut_of

SUB_NET_DROPPING = 10.0


class Wanted(NamedTuple):
    """What is solved on nodes.

    Args:
        problem: law, method, heads, moments.
        key: decides the node sets.
        num_steps: T.
        num_nodes: N.
        has_feature_nodes: whether the feature side takes nodes; it must where the feature map is not linear.
        drop_below: root mean square of a remainder below which a direction is dropped.
        means: observables, reported as means.
        keep_preactivations: keep them on the nodes; None while they are small.
        given: what was said of the start.
    """

    problem: PreparedProblem
    key: Key
    num_steps: int
    num_nodes: int
    has_feature_nodes: bool = False
    drop_below: float = 0.0
    means: Record = ()
    keep_preactivations: bool | None = None
    given: Given = Given()

    @property
    def shape(self) -> Shape:
        """Dimensions and columns of the run."""
        return Shape.of(self.problem.law, self.problem.method, self.num_steps)

    @property
    def is_brief(self) -> bool:
        """Whether all of it is over before a good program would be compiled."""
        return is_brief(self.num_nodes * len(self.problem.heads), self.num_steps, self.problem.method.num_units)

    @property
    def sub_nets_drop_below(self) -> float:
        """The same for the sub-nets: larger, so that their difference contains what dropping costs."""
        return SUB_NET_DROPPING * self.drop_below

    @property
    def sub_nets_moment(self) -> Array:
        """E[(w*, w⁰)(w*, w⁰)ᵀ] of the sub-nets: off by twice its error, which their difference then contains."""
        problem = self.problem
        if problem.draw is not None:
            return problem.joint_second_moment
        places = np.arange(problem.law.num_teacher_units)
        return problem.joint_second_moment.at[places, places].add(2.0 * problem.law.teacher_moment_error)

    @property
    def teacher_status(self) -> Status:
        """Whether a few features carry the teacher."""
        priors, size = self.problem.law.teacher_priors, self.num_nodes
        if priors is None or self.problem.draw is not None:
            return Status()
        found = [
            heavy_teacher(missed_moment(prior, size), missed_moment(prior, size // NUM_BLOCKS), size)
            for prior in priors
        ]
        return next((status for status in found if not status.ok), Status())

    def check(self) -> None:
        """Refuse what cannot be solved or kept, before a folder is claimed for it.

        Raises:
            ValueError: preactivations are to be kept for several heads, or more dimensions than Sobol points have.
        """
        shape = Shape.of(self.problem.law, self.problem.method, cut_of(self.num_steps).num_steps)
        check_net(self.num_nodes, shape.sample_dimensions)
        if self.has_feature_nodes:
            check_net(self.num_nodes, shape.feature_dimensions)
        if self.keep_preactivations and len(self.problem.heads) > 1:
            raise ValueError(
                "`keep_preactivations` needs a single head: preactivations of several heads do not average."
            )

    @property
    def recorded_memory(self) -> int:
        """Bytes of all values of which means are recorded, on all nodes and one sub-net at one step."""
        law, method, heads = self.problem[:3]
        return 8 * num_recorded(self.means, law, method, heads[0]) * (self.num_nodes + self.num_nodes // NUM_BLOCKS)

    @property
    def keeps_preactivations(self) -> bool:
        """Whether the nodes' preactivations are kept."""
        num_heads = len(self.problem.heads)
        size = 8 * (self.num_steps + 1) * self.num_nodes * self.problem.method.num_units
        small = num_heads == 1 and size <= PREACTIVATION_BYTES
        return small if self.keep_preactivations is None else self.keep_preactivations

    def identity(self) -> dict[str, Any]:
        """Return what the computation is, for its checkpoint.

        Raises:
            ValueError: a function or an object that cannot be identified.
        """
        return {
            **identity_of(self.problem, self.given, self.key),
            "num_steps": self.num_steps,
            "num_nodes": self.num_nodes,
            "drop_below": self.drop_below,
            "sub_nets_drop": self.sub_nets_drop_below,
            "means": fingerprint(self.means),
            "keep_preactivations": self.keep_preactivations,
            "dtype": "float64",
        }
