"""From what a program returns to what is reported of each point: curves, one-sigma errors, how it ended."""

from __future__ import annotations

import json
from typing import NamedTuple

import jax
import numpy as np

from dyntheory.gaussian.sub_nets import standard_errors
from dyntheory.ground.arrays import PyTree
from dyntheory.ground.precision import double_precision
from dyntheory.ground.status import Status
from dyntheory.results.judgement import finish, heavy_tail
from dyntheory.results.trajectory import CURVES, OVERLAPS, POSITIVE, Trajectory
from dyntheory.verbs.studies.sweep.families import Piece
from dyntheory.verbs.studies.sweep.programs import Solved, solve_task

FIELDS = (*CURVES, "estimation_error", *OVERLAPS)
ERROR = "_standard_error"


class Answer(NamedTuple):
    """One point, as NumPy arrays by name; axes of steps first."""

    arrays: dict[str, np.ndarray]
    status: Status


def solve_piece(piece: Piece) -> list[Answer]:
    """Solve the points of a piece; a pure function of it, for any thread, process or machine."""
    with double_precision():
        solved, weights = jax.tree.map(np.asarray, solve_task(piece.task))
    return [
        _answer(jax.tree.map(lambda leaf, i=i: leaf[i], solved), weights, piece, status)
        for i, status in enumerate(piece.teacher_statuses)
    ]


def _answer(solved: Solved, weights: np.ndarray, piece: Piece, teacher_status: Status) -> Answer:
    values = {name: solved.values.get(name) for name in (*FIELDS, "recorded")}
    blocks = {name: solved.blocks.get(name) for name in values}
    errors = standard_errors(values, blocks, relative=POSITIVE, scaled=("recorded",))
    steps = np.arange(piece.task.num_steps + 1)
    labels, share = np.asarray(solved.labels), np.asarray(solved.residual_share)
    tail = heavy_tail(labels, weights, share, solved.values["train_error"])
    result = Trajectory(
        steps=steps,
        **values,
        standard_error=Trajectory(steps=steps, **errors),
        status=teacher_status if tail.ok else tail,
        provenance={"method": piece.method},
    )
    return _reported(finish(result, None))


def _reported(result: Trajectory) -> Answer:
    arrays: dict[str, np.ndarray] = {}
    errors = result.standard_error
    assert errors is not None
    for name in FIELDS:
        if getattr(result, name) is not None:
            arrays[name], arrays[name + ERROR] = getattr(result, name), getattr(errors, name)
    for name, tree in (result.recorded or {}).items():
        arrays |= _leaves(name, tree)
        arrays |= {key + ERROR: leaf for key, leaf in _leaves(name, (errors.recorded or {})[name]).items()}
    return Answer(arrays, result.status)


def _leaves(name: str, tree: PyTree) -> dict[str, np.ndarray]:
    """Return the leaves of an order parameter by name; a single one has the name that was given."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {name + ("" if len(leaves) == 1 else jax.tree_util.keystr(path)): np.asarray(leaf) for path, leaf in leaves}


def packed(answers: list[Answer]) -> list[np.ndarray]:
    """Return the answers of one piece as arrays alone, for a file: names and statuses as text, then the values."""
    names = sorted(answers[0].arrays)
    said = [[str(one.status.code), one.status.message, one.status.step] for one in answers]
    text = json.dumps({"names": names, "statuses": said})
    columns = [np.stack([one.arrays[name] for one in answers]) for name in names]
    return [np.frombuffer(text.encode(), np.uint8), *columns]


def unpacked(arrays: list[np.ndarray]) -> list[Answer]:
    """Return the answers that `packed` made these of."""
    said = json.loads(bytes(arrays[0]).decode())
    columns = dict(zip(said["names"], arrays[1:], strict=True))
    return [
        Answer({name: values[place] for name, values in columns.items()}, Status(*status))
        for place, status in enumerate(said["statuses"])
    ]
