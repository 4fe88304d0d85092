"""Nodes, or runs, spread over devices: arrays with that axis are cut along it, everything else is on all of them.

Of nodes only inner products cross devices: a few numbers per basis row and step. Of runs nothing does before the end.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from dyntheory._typing import Array, PyTree

AXIS = "nodes"
RUNS = "runs"


class NodeSharding(NamedTuple):
    """Where nodes go: `rows` for arrays (coordinates, nodes), `weights` for arrays (nodes,)."""

    rows: NamedSharding
    weights: NamedSharding


def node_sharding(mesh: Mesh | None) -> NodeSharding | None:
    """Return how nodes are spread over a mesh, None for the default device.

    Raises:
        TypeError: not a mesh.
        ValueError: the mesh has no axis "nodes", or its size is not a power of two.
    """
    if mesh is None:
        return None
    size = _check_axis(mesh, AXIS)
    if size & (size - 1):
        raise ValueError(f'The axis "{AXIS}" of `mesh` must have a power of two devices, got {size}.')
    # Axes of type Auto, whatever the mesh was made with: the compiler decides where the small arrays go.
    mesh = Mesh(mesh.devices, mesh.axis_names)
    return NodeSharding(NamedSharding(mesh, PartitionSpec(None, AXIS)), NamedSharding(mesh, PartitionSpec(AXIS)))


def run_mesh(mesh: Mesh | None) -> Mesh | None:
    """Return the mesh over whose axis "runs" the runs of an ensemble are spread; any number of devices will do.

    Raises:
        TypeError: not a mesh.
        ValueError: the mesh has no axis "runs".
    """
    if mesh is None:
        return None
    _check_axis(mesh, RUNS)
    return Mesh(mesh.devices, mesh.axis_names)


def _check_axis(mesh: Mesh, axis: str) -> int:
    if not isinstance(mesh, Mesh):
        raise TypeError(f"`mesh` must be a jax.sharding.Mesh, got {mesh!r}.")
    if axis not in mesh.axis_names:
        raise ValueError(f'`mesh` must have an axis "{axis}", e.g. jax.make_mesh((4,), ("{axis}",)), got {mesh}.')
    return mesh.shape[axis]


def spread(array: np.ndarray, sharding: NamedSharding | None) -> np.ndarray | Array:
    """Return the array cut over the devices; each process gives its own part of the same array."""
    if sharding is None:
        return array
    return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])


def gathered(tree: PyTree) -> PyTree:
    """Return NumPy arrays, collected from other processes where they are cut."""

    def collect(leaf: Array) -> np.ndarray:
        if isinstance(leaf, jax.Array) and not (leaf.is_fully_addressable or leaf.is_fully_replicated):
            return np.asarray(multihost_utils.process_allgather(leaf, tiled=True))
        return np.asarray(leaf)

    return jax.tree.map(collect, tree)
