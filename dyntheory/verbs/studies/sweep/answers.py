"""From what a program returns to what is reported of each point: curves, one-sigma errors, how it ended."""

from __future__ import annotations

import dataclasses
import json

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


@dataclasses.dataclass(frozen=True)
class Answer:
    """One point.

    Args:
        arrays: by name; axes of steps first.
        status: how it ended.
        verdict: whether theory and simulation agree, "" where there are not both.
    """

    arrays: dict[str, np.ndarray]
    status: Status
    verdict: str = ""


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
    return reported(finish(result, None))


def reported(result: Trajectory) -> Answer:
    """Return what a sweep keeps of a result; a single run has no errors, which is said by NaN."""
    arrays: dict[str, np.ndarray] = {}
    errors = result.standard_error
    for name in FIELDS:
        if (values := getattr(result, name)) is not None:
            error = None if errors is None else getattr(errors, name)
            arrays[name], arrays[name + ERROR] = values, np.full_like(values, np.nan) if error is None else error
    for name, tree in (result.recorded or {}).items():
        arrays |= _leaves(name, tree)
        error = (errors and errors.recorded) or {}
        unknown = jax.tree.map(lambda leaf: np.full_like(leaf, np.nan), tree)
        arrays |= {key + ERROR: leaf for key, leaf in _leaves(name, error.get(name, unknown)).items()}
    return Answer(arrays, result.status)


def _leaves(name: str, tree: PyTree) -> dict[str, np.ndarray]:
    """Return the leaves of an order parameter by name; a single one has the name that was given."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {name + ("" if len(leaves) == 1 else jax.tree_util.keystr(path)): np.asarray(leaf) for path, leaf in leaves}


def packed(answers: list[Answer]) -> list[np.ndarray]:
    """Return the answers of one piece as arrays alone, for a file: names and statuses as text, then the values."""
    names = sorted({name for one in answers for name in one.arrays})
    having = [[place for place, one in enumerate(answers) if name in one.arrays] for name in names]
    said = [[str(one.status.code), one.status.message, one.status.step, one.verdict] for one in answers]
    text = json.dumps({"names": names, "having": having, "said": said})
    columns = [np.stack([answers[i].arrays[name] for i in places]) for name, places in zip(names, having, strict=True)]
    return [np.frombuffer(text.encode(), np.uint8), *columns]


def unpacked(arrays: list[np.ndarray]) -> list[Answer]:
    """Return the answers that `packed` made these of."""
    text = json.loads(bytes(arrays[0]).decode())
    found: list[dict[str, np.ndarray]] = [{} for _ in text["said"]]
    for name, places, column in zip(text["names"], text["having"], arrays[1:], strict=True):
        for place, values in zip(places, column, strict=True):
            found[place][name] = values
    return [Answer(one, Status(*said[:3]), said[3]) for one, said in zip(found, text["said"], strict=True)]
