"""Which dimension of which net a run uses when: the points of one node set, made as the steps need them.

The samples' net holds the teacher's coordinates, the label noise and the first k innovations, then for every step k
innovations and the uniforms of the sample map. The features' net holds the eigenvalue where features are correlated,
(w*, w⁰), then for every step k innovations and
the uniforms of the feature map, and k innovations beyond the last step.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.gaussian.nodes import NodeSet, teacher_rows
from dyntheory.gaussian.sobol import SobolNet, normals, sobol_net
from dyntheory.ground.arrays import Array, Key
from dyntheory.ground.devices import NodeSharding, spread
from dyntheory.ground.randomness import seed
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.problem.shape import Shape


class Nets(NamedTuple):
    """The points behind one solution; no net of the features where a frame takes their place."""

    samples: SobolNet
    features: SobolNet | None

    @property
    def num_nodes(self) -> int:
        """Number of points on either side."""
        return self.samples.num_nodes

    def blocks(self, num_blocks: int) -> list[Nets]:
        """Return contiguous parts of both nets, paired."""
        samples = self.samples.blocks(num_blocks)
        features = [None] * num_blocks if self.features is None else self.features.blocks(num_blocks)
        return [Nets(*pair) for pair in zip(samples, features, strict=True)]


class FirstNodes(NamedTuple):
    """Coordinates for state 0."""

    samples: NodeSet
    features: NodeSet | None


class NextRows(NamedTuple):
    """Coordinates for the next steps, innovations and uniforms of every step together."""

    samples: Array
    features: Array | None


def draw_nets(
    law: TeacherStudent,
    method: GeneralFirstOrderMethod,
    *,
    num_steps: int,
    num_nodes: int,
    key: Key,
    has_feature_nodes: bool,
) -> Nets:
    """Return the nets of a run of that many steps.

    Raises:
        ValueError: more dimensions than Sobol points have.
    """
    shape = Shape.of(law, method, num_steps)
    samples = sobol_net(num_nodes, shape.sample_dimensions, seed(key, "nodes"))
    if not has_feature_nodes:
        return Nets(samples, None)
    return Nets(samples, sobol_net(num_nodes, shape.feature_dimensions, seed(key, "feature_nodes")))


def first_nodes(
    nets: Nets, law: TeacherStudent, method: GeneralFirstOrderMethod, sharding: NodeSharding | None
) -> FirstNodes:
    """Return the coordinates with which a run begins, on the device."""
    by_row, by_node = (None, None) if sharding is None else sharding
    r, shape = law.num_teacher_units, Shape.of(law, method, 0)
    values, weights = teacher_rows(nets.samples.rows(0, r))
    others = normals(nets.samples.rows(r, shape.first_sample_dimensions), by_row)
    samples = NodeSet(jnp.concatenate([spread(values, by_row), others]), spread(weights, by_node))
    if nets.features is None:
        return FirstNodes(samples, None)
    equal = np.full(nets.num_nodes, 1.0 / nets.num_nodes)
    first = normals(nets.features.rows(0, shape.feature_dimensions), by_row)
    return FirstNodes(samples, NodeSet(first, spread(equal, by_node)))


def next_rows(
    nets: Nets,
    law: TeacherStudent,
    method: GeneralFirstOrderMethod,
    steps: tuple[int, int],
    sharding: NodeSharding | None,
) -> NextRows:
    """Return the coordinates for the steps from the first to before the second of `steps`."""
    by_row: jax.sharding.Sharding | None = None if sharding is None else sharding.rows
    shape, k = Shape.of(law, method, 0), method.num_units
    start, size = shape.first_sample_dimensions, k + method.sample_noise
    samples = normals(nets.samples.rows(start + size * steps[0], start + size * steps[1]), by_row)
    if nets.features is None:
        return NextRows(samples, None)
    start, size = shape.first_feature_dimensions, k + method.feature_noise
    features = normals(nets.features.rows(start + size * steps[0], start + size * steps[1] + k), by_row)
    return NextRows(samples, features)
