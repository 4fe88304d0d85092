"""Claim: On an accelerator predicted and simulated learning curves agree at d ≥ 16,384, dense and revealed.

PASS RULE. Runs at `num_features` features, three times: dense in float64, dense with X in float32, revealed. Each time
`dyntheory.compare` at its default level (1 % for all points) and allowance (10/d) must say "agree" for train and test
error at all steps. One "disagree" fails the claim (exit status 1), an "unresolved" does not pass it (3). The claim is
about d ≥ 16,384 on something that is not a processor: elsewhere the script checks the same at the size it is given and
writes no record, unless --results names a directory.

The problem: two layers, tanh, two units, n/d = 2, labels sin_mixture(z) + 0.3 ξ, learning rate 0.5. Seconds are those
of a second call with another key, compilation apart, and cover drawing, training and the population test error.

    python -m validation.large_simulation [--quick]    # where JAX sees an accelerator; float64 X takes 4.3 GB
    python -m validation.large_simulation --num-features 1000    # anywhere
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import optax
from matplotlib.figure import Figure

import dyntheory as dt
from validation.claim import Claim, Verdict
from validation.record import VERDICTS, joint_outcome

LEAST_FEATURES = 16_384
WAYS: dict[str, dict[str, str]] = {
    "dense float64": {"matrix": "dense", "dtype": "float64"},
    "dense float32": {"matrix": "dense", "dtype": "float32"},
    "revealed": {"matrix": "revealed"},
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run.

    Args:
        num_features: d; n = 2d.
        num_steps: T.
        num_runs: simulated runs of each kind.
        num_nodes: of the prediction.
        seed: decides head, nodes and data.
    """

    num_features: int = LEAST_FEATURES
    num_steps: int = 12
    num_runs: int = 8
    num_nodes: int = 2**16
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Case:
    """One way to simulate: its runs, its verdict, its time."""

    runs: dt.Trajectory
    report: dt.Agreement
    seconds: float
    seconds_first: float

    def numbers(self) -> dict[str, Any]:
        """Return what the record keeps."""
        return {
            "verdict": self.report.verdict,
            "worst": self.report.worst._asdict(),
            "resolution": self.report.resolution,
            "seconds_per_run": self.seconds / self.runs.provenance["num_runs"],
            "seconds_of_the_first_call": self.seconds_first,
            "dtype": self.runs.provenance["dtype"],
            "test_error": self.runs.test_error,
        }


Found = tuple[dt.Trajectory, dict[str, Case]]  # the prediction, and the runs by way


def run_case(settings: Settings, theory: dt.Trajectory, problem: tuple[Any, Any], way: dict[str, str]) -> Case:
    """Simulate twice with different keys; the second call is timed and compared."""
    law, method = problem
    sizes = {name: getattr(settings, name) for name in ("num_steps", "num_features", "num_runs")}
    head = jax.tree.map(lambda leaf: leaf[0], theory.head)
    options: dict[str, Any] = {**sizes, **way, "head": head, "keep_preactivations": False}
    seconds, runs = [], theory
    for index in range(2):
        started = time.perf_counter()
        runs = dt.simulate(law, method, key=jax.random.fold_in(jax.random.key(settings.seed), index), **options)
        seconds.append(time.perf_counter() - started)
    return Case(runs, dt.compare(theory, runs), seconds[1], seconds[0])


def run(settings: Settings) -> Found:
    """Predict, and simulate in the three ways."""
    law = dt.TeacherStudent(2.0, link="sin_mixture", noise_std=0.3)
    method = dt.gradient_descent(dt.MLP((2,), "tanh"), optax.sgd, learning_rate=0.5)
    key = jax.random.key(settings.seed)
    options = {"num_steps": settings.num_steps, "num_nodes": settings.num_nodes, "keep_preactivations": False}
    theory = dt.predict(law, method, key=key, **options)
    return theory, {name: run_case(settings, theory, (law, method), way) for name, way in WAYS.items()}


def judge(found: Found, settings: Settings) -> Verdict:
    """Ask for agreement three times."""
    theory, cases = found
    kept: dict[str, Any] = {name: case.numbers() for name, case in cases.items()}
    kept |= {"prediction": np.asarray(theory.test_error), "is_the_claim": is_the_claim(settings)}
    return joint_outcome(VERDICTS[case.report.verdict] for case in cases.values()), kept


def table(found: Found, settings: Settings) -> Iterator[str]:
    """Yield one line for every way, and where it was run."""
    for name, case in found[1].items():
        worst = case.report.worst
        yield (
            f"{name:<14} {case.report.verdict:<11} {case.seconds / settings.num_runs:8.3f} s a run   worst "
            f"{worst.metric} at {worst.step}: {worst.theory:.5f} and {worst.simulation:.5f}, z = {worst.z:+.2f}"
        )
    where = f"on {jax.devices()[0].device_kind}, d = {settings.num_features}"
    yield where + ("" if is_the_claim(settings) else " (not what is claimed)")


def draw(found: Found, settings: Settings) -> Figure:
    """Draw the prediction and all runs on it."""
    theory, cases = found
    title = f"d = {settings.num_features}, {jax.devices()[0].device_kind}"
    return dt.plot.curves(theory, *(case.runs for case in cases.values()), title=title)


def is_the_claim(settings: Settings) -> bool:
    """Return whether what is run is what is claimed."""
    return jax.default_backend() != "cpu" and settings.num_features >= LEAST_FEATURES


CLAIM = Claim(
    "large_simulation",
    __doc__,
    pass_rule="dyntheory.compare says 'agree' for dense float64, dense float32 and revealed runs at num_features.",
    settings=Settings,
    quick=Settings(num_features=300, num_steps=3, num_nodes=2**12),
    measure=run,
    judge=judge,
    table=table,
    draw=draw,
    is_claimed=is_the_claim,
    dtype="float64, X in float32 where it says so",
)


if __name__ == "__main__":
    raise SystemExit(CLAIM.command())
