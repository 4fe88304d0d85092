"""Make `tests/references.json`: true curves of the problems that no oracle knows, and how true they are.

A reference is the mean over R independent scramblings of N nodes; the same on N/8 nodes shows what is left of the bias
of a node set. Errors of node sets fall at least as N^0.6, so the bias of the mean is at most |difference|/(8^0.6 − 1) =
|difference|/2.5; half the difference is taken. Its standard error is √((τ s/√R)² + (difference/2)²), s the spread over
scramblings, τ = t_{.975,R−1}/1.96. R = 8 and N = 2^17.

    python -m tests.make_references             # all that are missing or whose problem has changed; an hour
    python -m tests.make_references cubic relu  # these, anew
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import jax
import numpy as np
from scipy.stats import t as student

from dyntheory.gaussian.nodes import draw_nodes
from dyntheory.ground.files import replacing
from dyntheory.ground.precision import double_precision
from dyntheory.problem.methods.linearity import feature_map_is_linear
from dyntheory.problem.prepared import prepare
from dyntheory.problem.shape import Shape
from dyntheory.verbs.prediction.pieces import LimitProblem, nets_for
from dyntheory.verbs.prediction.pieces import solve as solve_limit
from tests.problems import BANK, NAMES, Problem
from tests.truths import REFERENCES, description, is_described

FIELDS = ("train_error", "test_error", "teacher_overlap", "weight_overlap", "head")
FIRST_SEED = 7_000_000
COARSER = 8
NUM_RUNS, NUM_NODES = 8, 2**17
DIGITS = 12


def solve(problem: Problem, num_nodes: int, seed: int) -> dict[str, np.ndarray]:
    """Return the fields of one run on `num_nodes` nodes of one scrambling."""
    law, method, num_steps = problem.law, problem.method, problem.num_steps
    options: dict[str, Any] = {"head": problem.head or None, "first_layer": problem.first_layer, "num_heads": 1}
    with double_precision():
        prepared = prepare(law, method, jax.random.key(0), **options)
        one = LimitProblem(prepared.law, prepared.method, prepared.heads[0], prepared.joint_second_moment)
        has_feature_nodes = not feature_map_is_linear(prepared.method, prepared.heads[0])
        nets = nets_for(
            law,
            method,
            num_steps=num_steps,
            num_nodes=num_nodes,
            key=jax.random.key(seed),
            has_feature_nodes=has_feature_nodes,
        )
        size = Shape.of(law, method, 0).test_dimensions
        test_nodes = draw_nodes(num_nodes, size, num_heavy=law.num_teacher_units, seed=2 * seed + 1)
        curves = solve_limit(one, nets, test_nodes, num_steps=num_steps)
    fields = curves.reported(law.num_teacher_units)
    leaves = jax.tree.leaves(fields["head"])
    if leaves:
        fields["head"] = np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)
    return {name: fields[name][:: problem.thin] for name in FIELDS if name != "head" or leaves}


def make(problem: Problem) -> dict[str, Any]:
    """Return the stored form of one reference."""
    num_runs, num_nodes = NUM_RUNS, NUM_NODES
    fine, coarse = (
        [solve(problem, size, FIRST_SEED + offset + run) for run in range(num_runs)]
        for size, offset in ((num_nodes, 0), (num_nodes // COARSER, 1000))
    )
    factor = student.ppf(0.975, num_runs - 1) / 1.959963984540054
    fields = {}
    for name in fine[0]:
        runs, coarse_runs = (np.stack([fields[name] for fields in solved]) for solved in (fine, coarse))
        spread = factor * runs.std(axis=0, ddof=1) / np.sqrt(num_runs)
        error = np.hypot(spread, (runs.mean(axis=0) - coarse_runs.mean(axis=0)) / 2)
        fields[name] = {"value": _rounded(runs.mean(axis=0), DIGITS), "standard_error": _rounded(error, 3)}
    steps = list(range(0, problem.num_steps + 1, problem.thin))
    protocol = {"num_nodes": num_nodes, "num_scramblings": num_runs, "first_seed": FIRST_SEED, "digits": DIGITS}
    return {"problem": description(problem), **protocol, "steps": steps, "fields": fields}


def _rounded(values: np.ndarray, digits: int) -> Any:
    """Return nested lists with that many significant digits."""
    return np.vectorize(lambda x: float(f"{x:.{digits}g}"))(values).tolist()


def main(names: list[str]) -> None:
    """Make the references asked for and write the file after each."""
    stored: dict[str, Any] = json.loads(REFERENCES.read_text())["problems"] if REFERENCES.exists() else {}
    wanted = [NAMES[name] for name in names] or [
        problem
        for problem in BANK
        if not problem.is_exact and not is_described(problem, stored.get(problem.name, {}).get("problem"))
    ]
    for problem in wanted:
        started = time.perf_counter()
        stored[problem.name] = make(problem)
        order = [problem.name for problem in BANK if problem.name in stored]
        text = ",\n".join(f"{json.dumps(name)}: {json.dumps(stored[name])}" for name in order)
        with replacing(REFERENCES, force=True) as beside:
            beside.write_text('{"made_by": "python -m tests.make_references",\n"problems": {\n' + text + "\n}}\n")
        print(f"{problem.name:<28} {time.perf_counter() - started:6.1f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
