"""One prediction: the run on all nodes, the same on sub-nets, and the errors from their difference.

The sub-nets go first: the first of them tells how many directions there are, so that too few nodes, or too little
memory, are known before most of the work is done. They drop larger directions, so the errors contain what that costs.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from dyntheory.gaussian.sobol import SobolNet
from dyntheory.gaussian.sub_nets import standard_errors
from dyntheory.ground.arrays import PyTree
from dyntheory.ground.identity.fingerprint import fingerprint
from dyntheory.ground.resources import Resources
from dyntheory.problem.methods.hyperparameters import shown
from dyntheory.problem.prepared import environment
from dyntheory.results.trajectory import POSITIVE
from dyntheory.wide.cost import memory_of
from dyntheory.wide.data import Frame
from dyntheory.wide.judgement import FEW_NODES
from dyntheory.wide.prepared import Prepared
from dyntheory.wide.results import WideTrajectory
from dyntheory.wide.run import FullError, Run, run
from dyntheory.wide.solution import fields_of, in_frame, nets_of

NUM_BLOCKS = 4
COARSER = 3.0
DEFAULT_NODES = 2**13
MORE_ON_ALL_NODES = 1.5  # directions over those of a sub-net, which drops more
LEAST_NODES = 2**8


class Part(NamedTuple):
    """What is kept of a sub-net: its fields, and how many directions it found. The run itself is let go."""

    fields: dict[str, Any]
    directions: int


class Wanted(NamedTuple):
    """What is to be solved; `num_nodes` None leaves their number to the directions that there are."""

    one: Prepared
    frame: Frame
    num_nodes: int | None
    drop_below: float
    keeps_kernels: bool


def within(wanted: Wanted, resources: Resources) -> WideTrajectory:
    """Solve on as many nodes as are asked for, or as the directions of a first sub-net ask for.

    Raises:
        ValueError: too little memory, or too few nodes.
    """
    size = wanted.num_nodes or DEFAULT_NODES
    if size < LEAST_NODES:
        raise ValueError(f"`num_nodes` must be at least {LEAST_NODES}, got {size}.")
    while True:
        _check_memory(wanted, size, 1 + wanted.frame.inputs.shape[1], resources)
        nets = nets_of(wanted.one, wanted.frame.inputs.shape[1], size)
        blocks = list(zip(*(net.blocks(NUM_BLOCKS) for net in nets), strict=True))
        try:
            first = _run(wanted, blocks[0], COARSER * wanted.drop_below, resources, (0.0, 0.125))
        except FullError as error:
            if wanted.num_nodes is not None:
                raise ValueError(f"{error} (A sub-net has a quarter of the {size} nodes.)") from error
            size *= 2
            continue
        found = max(first.num_directions)
        needed = 2 ** math.ceil(math.log2(NUM_BLOCKS * FEW_NODES * found))
        if wanted.num_nodes is None and needed > size:
            size = needed
            continue
        _check_memory(wanted, size, int(MORE_ON_ALL_NODES * found), resources)
        part = _part(wanted, first, blocks[0], resources)
        del first
        return _solve(wanted, nets, blocks, part, resources)


def _check_memory(wanted: Wanted, num_nodes: int, directions: int, resources: Resources) -> None:
    one = wanted.one
    count, outputs = one.data.labels.shape
    is_linear = one.rules.is_linear
    needed = memory_of(one.network.depth, count, outputs, one.num_steps, num_nodes, directions, is_linear=is_linear)
    if needed > resources.max_memory:
        raise ValueError(
            f"{count} inputs, {one.num_steps} steps and {num_nodes} nodes with {directions} directions a layer take "
            f"{needed / 1e9:.2g} GB, and {resources.max_memory / 1e9:.2g} GB may be used: lower `num_nodes`, raise "
            "`drop_below` or `max_memory`, or take fewer steps or inputs."
        )


def _run(
    wanted: Wanted, nets: tuple[SobolNet, ...], drop_below: float, resources: Resources, part: tuple[float, float]
) -> Run:
    begin, end = part
    rules, task = in_frame(wanted.one, wanted.frame, drop_below, keeps_kernels=wanted.keeps_kernels)

    def report(fraction: float) -> None:
        resources.report(begin + fraction * (end - begin), f"{nets[0].num_nodes} nodes")

    return run(rules, task, nets, wanted.one.num_steps, report=report)


def _fields(
    wanted: Wanted, found: Run, nets: tuple[SobolNet, ...], drop_below: float, resources: Resources
) -> dict[str, Any]:
    rules, task = in_frame(wanted.one, wanted.frame, drop_below, keeps_kernels=wanted.keeps_kernels)
    one = wanted.one._replace(rules=rules, task=task)
    return fields_of(one, wanted.frame, found, nets, max_memory=resources.max_memory)


def _errors(one: Prepared, values: dict[str, Any], parts: dict[str, Any]) -> dict[str, PyTree]:
    """Return standard errors; those of outputs are pooled over inputs in units of the inputs' sizes."""
    sizes = {"train_outputs": one.data.inputs, "test_outputs": one.data.test_inputs}
    units = {name: np.ones(()) for name in values} | {
        name: _sizes(rows, values[name].ndim) for name, rows in sizes.items() if name in values
    }
    in_units = [{name: one[name] / units[name] for name in values} for one in (values, parts)]
    found = standard_errors(in_units[0], in_units[1], relative=POSITIVE)
    return {name: np.asarray(error * units[name]) for name, error in found.items()}


def _sizes(rows: np.ndarray | None, ndim: int) -> np.ndarray:
    """Return root mean squares of rows (inputs,), one where that is zero, to divide arrays (states, inputs, …) by."""
    sizes = np.sqrt(np.mean(np.square(np.asarray(rows)), axis=1))
    return np.where(sizes > 0, sizes, 1.0).reshape(-1, *[1] * (ndim - 2))


def _part(wanted: Wanted, found: Run, block: tuple[SobolNet, ...], resources: Resources) -> Part:
    fields = _fields(wanted, found, block, COARSER * wanted.drop_below, resources)
    return Part(fields, max(found.num_directions))


def _solve(
    wanted: Wanted, nets: tuple[SobolNet, ...], blocks: list[tuple[SobolNet, ...]], first: Part, resources: Resources
) -> WideTrajectory:
    coarse, parts = COARSER * wanted.drop_below, [first]
    for number, block in enumerate(blocks[1:], start=1):
        share = (0.125 * number, 0.125 * (number + 1))
        parts.append(_part(wanted, _run(wanted, block, coarse, resources, share), block, resources))
    whole = _run(wanted, nets, wanted.drop_below, resources, (0.5, 1.0))
    values = _fields(wanted, whole, nets, wanted.drop_below, resources)
    stacked = {name: np.stack([part.fields[name] for part in parts]) for name in values}
    errors = _errors(wanted.one, values, stacked)
    resources.report(1.0, "done")
    steps = np.arange(wanted.one.num_steps + 1)
    size = nets[0].num_nodes
    return WideTrajectory(
        steps=steps,
        **values,
        standard_error=WideTrajectory(steps=steps, **errors),
        provenance={
            **origin(wanted.one, "prediction"),
            "num_nodes": size,
            "num_nodes_of_sub_nets": size // NUM_BLOCKS,
            "drop_below": wanted.drop_below,
            "num_directions": list(whole.num_directions),
            "num_directions_of_sub_nets": max(part.directions for part in parts),
            "rank": wanted.frame.inputs.shape[1],
        },
    )


def identity_of(value: Any) -> str | None:
    """Return what tells two values apart, functions by their code, None where that cannot be seen."""
    try:
        return fingerprint(value)
    except ValueError:
        return None


def origin(one: Prepared, kind: str) -> dict[str, Any]:
    """Return what is needed to do it again: versions, device, key, network, optimizer."""
    network, rules, tests = one.network, one.rules, one.data.test_inputs
    return {
        "kind": kind,
        **environment(one.key),
        "num_steps": one.num_steps,
        "network": {
            "depth": network.depth,
            "activation": str(network.activation),
            "feature_learning": one.scaling.richness,
            "parametrisation": network.parametrisation,
            "width": network.width,
            "use_bias": network.use_bias,
            "width_ratios": list(network.ratios),
        },
        "method": {
            "name": f"gradient_descent, {shown(rules.optimizer)}",
            "loss": one.loss_name,
            "hyperparameters": {name: np.asarray(value).tolist() for name, value in one.task.numbers.items()},
        },
        "num_inputs": len(one.data.inputs),
        "data": fingerprint((one.data.inputs, one.data.labels, np.asarray(one.task.batches))),
        "test_data": None if tests is None else fingerprint((tests, one.data.test_labels)),
        "functions": identity_of((rules.activation, one.method.loss, rules.optimizer, rules.static)),
    }
