"""Points that are trained, and compared with the prediction where there is one: each is a call of the verbs."""

from __future__ import annotations

import dataclasses
import inspect
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.ground.arrays import Key
from dyntheory.ground.names import check_name
from dyntheory.ground.status import overheard
from dyntheory.results.compare import compare
from dyntheory.results.trajectory import Trajectory
from dyntheory.verbs.prediction.predict import predict
from dyntheory.verbs.simulation.simulate import check_simulation, simulate
from dyntheory.verbs.studies.sweep.answers import Answer, reported
from dyntheory.verbs.studies.sweep.points import Point

OWN = ("law", "method", "num_steps", "key", "head", "first_layer", "record", "checkpoint", "resume", "progress")
COMPARED = ("train_error", "test_error")
Z = "_z"
ONE_AT_A_TIME = threading.Lock()  # of threads: `catch_warnings` is for one alone, and a run takes all cores anyway


class TrainedPiece(NamedTuple):
    """One point. Plain data and functions: another process can train it.

    Args:
        point: the problem.
        place: of it in the sweep.
        key: data of the key.
        simulation: keywords of `simulate`.
        theory: keywords of `predict`, or None where nothing is predicted.
        record: order parameters by name.
    """

    point: Point
    place: int
    key: np.ndarray
    simulation: dict[str, Any]
    theory: dict[str, Any] | None
    record: Any

    @property
    def name(self) -> str:
        """A name of its own."""
        return f"trained_{self.place:06}"

    @property
    def places(self) -> tuple[int, ...]:
        """Where its answers belong: the prediction, if there is one, before the simulation."""
        return (self.place,) if self.theory is None else (2 * self.place, 2 * self.place + 1)

    @property
    def num_points(self) -> int:
        """One."""
        return 1

    @property
    def work(self) -> float:
        """How much it is beside others."""
        size = float(self.simulation["num_features"]) ** 2 * float(np.asarray(self.point.law.samples_per_feature))
        return size * (self.point.num_steps + 1)

    @property
    def definition(self) -> Any:
        """What decides the answers; not the memory that happens to be free."""
        theory = self.theory and {name: value for name, value in self.theory.items() if name != "max_memory"}
        return self._replace(theory=theory)._asdict()


def check_keywords(
    argument: str, keywords: Mapping[str, Any], *, compared: bool = True, own: tuple[str, ...] = OWN
) -> None:
    """Refuse keywords that `simulate` does not have, that the study decides itself, or that leave no standard error.

    Raises:
        ValueError: an unknown name, or a number that is missing.
    """
    parameters = {name: one for name, one in inspect.signature(simulate).parameters.items() if name not in own}
    for name in keywords:
        check_name(f"keyword in `{argument}`", name, parameters)
    missing = [n for n, one in parameters.items() if one.default is inspect.Parameter.empty and n not in keywords]
    if missing:
        raise ValueError(f"`{argument}` needs {', '.join(missing)}: it has the keywords of `simulate`.")
    runs, heads = keywords["num_runs"], keywords.get("num_heads", 1)
    if compared and isinstance(runs, int) and isinstance(heads, int) and runs < 2 * heads:
        raise ValueError(
            f"`{argument}` needs num_runs of at least {2 * heads}, two for each head, got {runs}: what is compared "
            "with the theory needs a standard error."
        )


def check_trained(point: Point, key: Key, simulation: Mapping[str, Any], record: Any) -> None:
    """Refuse what `simulate` would refuse.

    Raises:
        TypeError: as `simulate` does.
        ValueError: as `simulate` does.
    """
    law, method, head, first_layer, num_steps = point
    given = {"head": head, "first_layer": first_layer, "num_steps": num_steps, "key": key, "record": record}
    check_simulation(law, method, **given, **simulation)


def train(piece: TrainedPiece) -> list[Answer]:
    """Train a point, predict it if asked to; a pure function of the piece, for any thread, process or machine."""
    law, method, head, first_layer, num_steps = piece.point
    key = jax.random.wrap_key_data(jnp.asarray(piece.key))
    given: dict[str, Any] = {"head": head, "first_layer": first_layer, "num_steps": num_steps, "key": key}
    given["record"] = piece.record
    with ONE_AT_A_TIME, overheard() as said:
        simulation = simulate(law, method, **given, **piece.simulation)
    trained = _with_notes(reported(simulation), simulation, said)
    if piece.theory is None:
        return [trained]
    with ONE_AT_A_TIME, overheard() as said:
        theory = predict(law, method, **given, **piece.theory)
    return [_with_notes(reported(theory), theory, said), _judged(trained, theory, simulation)]


def _with_notes(answer: Answer, result: Trajectory, said: Sequence[str]) -> Answer:
    """Return an answer whose status has what was warned of beside it."""
    notes = [text for text in said if text != str(result.status)]
    if not notes:
        return answer
    message = "; ".join([*([result.status.message] if result.status.message else []), *notes])
    return dataclasses.replace(answer, status=dataclasses.replace(result.status, message=message))


def _judged(answer: Answer, theory: Trajectory, simulation: Trajectory) -> Answer:
    report = compare(theory, simulation, metrics=COMPARED)
    scores = {}
    for name, z in report.z.items():
        scores[name + Z] = np.full(len(simulation.steps), np.nan)
        scores[name + Z][np.searchsorted(simulation.steps, report.steps)] = z
    return dataclasses.replace(answer, arrays=answer.arrays | scores, verdict=report.verdict)


def trained_pieces(
    points: Sequence[Point],
    key: Key,
    simulation: Mapping[str, Any],
    theory: Mapping[str, Any] | None,
    record: Any,
) -> list[TrainedPiece]:
    """Return a piece for every point."""
    data = np.asarray(jax.random.key_data(key))
    keywords = {**simulation, "keep_preactivations": False, "keep_runs": False}
    same = {"num_heads": simulation.get("num_heads", 1), "keep_preactivations": False}
    predicted = None if theory is None else {**theory, **same}
    return [TrainedPiece(point, place, data, keywords, predicted, record) for place, point in enumerate(points)]
