"""Nodes, or runs, spread over devices: arrays with that axis are cut along it, everything else is on all of them.

Of nodes only inner products cross devices: a few numbers per basis row and step. Of runs nothing does before the end.
"""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from dyntheory.ground.arrays import Array, PyTree

AXIS = "nodes"
NETS = "nets"
RUNS = "runs"


class NodeSharding(NamedTuple):
    """Where nodes go: `rows` for arrays (coordinates, nodes), `weights` for arrays (nodes,)."""

    rows: NamedSharding
    weights: NamedSharding

    @property
    def processes(self) -> set[int]:
        """The processes whose devices these are."""
        return {device.process_index for device in self.rows.device_set}

    @property
    def is_local(self) -> bool:
        """Whether a device of this process takes part."""
        return jax.process_index() in self.processes

    @property
    def first_process(self) -> int:
        """The process that speaks for these devices."""
        return min(self.processes)


def node_groups(mesh: Mesh | None) -> list[NodeSharding] | None:
    """Return how nodes are spread over each group of devices along the axis "nets"; None for the default device.

    Raises:
        TypeError: not a mesh.
        ValueError: the mesh has another axis, the size of "nodes" is not a power of two, or a group lies on several
            processes of which one has a part in another group.
    """
    if mesh is None:
        return None
    axes = _axes(mesh, (NETS, AXIS))
    size = mesh.shape.get(AXIS, 1)
    if size & (size - 1):
        raise ValueError(f'The axis "{AXIS}" of `mesh` must have a power of two devices, got {size}.')
    order = [axes.index(axis) for axis in (NETS, AXIS) if axis in axes]
    grid = np.transpose(mesh.devices, order).reshape(-1, size)
    # Axes of type Auto, whatever the mesh was made with: the compiler decides where the small arrays go.
    meshes = [Mesh(devices, (AXIS,)) for devices in grid]
    groups = [
        NodeSharding(NamedSharding(one, PartitionSpec(None, AXIS)), NamedSharding(one, PartitionSpec(AXIS)))
        for one in meshes
    ]
    check_groups([group.processes for group in groups], str(mesh))
    return groups


def check_groups(processes: list[set[int]], mesh: str) -> None:
    """Refuse groups of devices on several processes of which one has a part in another group.

    Raises:
        ValueError: such a group: two exchanges could wait for one another.
    """
    for index, group in enumerate(processes):
        others = set().union(*processes[:index], *processes[index + 1 :])
        if len(group) > 1 and group & others:
            raise ValueError(
                f'Group {index} of devices along the axis "{NETS}" of `mesh` lies on several processes that have a '
                f"part in another group: give every process groups of its own, or one group; got {mesh}."
            )


def run_mesh(mesh: Mesh | None) -> Mesh | None:
    """Return the mesh over whose axis "runs" the runs of an ensemble are spread; any number of devices will do.

    Raises:
        TypeError: not a mesh.
        ValueError: the mesh has no axis "runs".
    """
    if mesh is None:
        return None
    _axes(mesh, (RUNS,))
    return Mesh(mesh.devices, mesh.axis_names)


def _axes(mesh: Mesh, known: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the axes, which must be among those known."""
    if not isinstance(mesh, Mesh):
        raise TypeError(f"`mesh` must be a jax.sharding.Mesh, got {mesh!r}.")
    if not mesh.axis_names or not set(mesh.axis_names) <= set(known):
        names = " or ".join(f'"{name}"' for name in known)
        raise ValueError(f'`mesh` must have the axis {names}, e.g. jax.make_mesh((4,), ("{known[-1]}",)), got {mesh}.')
    return mesh.axis_names


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


def exchanged(arrays: dict[str, list[np.ndarray]]) -> dict[str, list[np.ndarray]]:
    """Return what all processes have, given what this one has; every process must call it, names must differ."""
    file = io.BytesIO()
    named: dict[str, Any] = {f"{name}/{i:04}": leaf for name, leaves in arrays.items() for i, leaf in enumerate(leaves)}
    np.savez(file, **named)
    own = np.frombuffer(file.getvalue(), np.uint8)
    sizes = multihost_utils.process_allgather(np.asarray(own.size))
    padded = multihost_utils.process_allgather(np.pad(own, (0, int(np.max(sizes)) - own.size)))
    found: dict[str, list[np.ndarray]] = {}
    for size, bytes_ in zip(np.asarray(sizes).ravel(), padded, strict=True):
        with np.load(io.BytesIO(np.asarray(bytes_, np.uint8)[:size].tobytes()), allow_pickle=False) as one:
            for entry in sorted(one.files):
                found.setdefault(entry.rpartition("/")[0], []).append(one[entry])
    return found
