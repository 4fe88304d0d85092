"""What is true of a problem of the bank: exact values from the oracles, or stored references.

Fields are those of a `Trajectory`; `head` is one vector a step, its leaves ravelled one after the other.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from tests.oracles import deep_linear, erf_committee, linear_curves, one_step, scalar_amp

if TYPE_CHECKING:
    import dyntheory as dt
    from tests.problems import Problem

REFERENCES = Path(__file__).parent / "references.json"
SAME_NUMBER = 1e-12  # relative: a thousand times what rounding does to an eigenvalue
FIELDS = ("train_error", "test_error", "train_loss", "test_loss", "teacher_overlap", "weight_overlap", "head")


class Truth(NamedTuple):
    """True values at `steps`, and their own standard errors (zero when exact); fields not known are absent."""

    steps: np.ndarray
    values: dict[str, np.ndarray]
    standard_error: dict[str, np.ndarray]


def reported(trajectory: dt.Trajectory, name: str) -> np.ndarray:
    """Return a field as an array with the step as leading axis."""
    if name != "head":
        return np.asarray(getattr(trajectory, name))
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(trajectory.head)]
    return np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)


def exact(values: dict[str, Any]) -> Truth:
    """Return values at every step without error; the squared loss is half the error."""
    arrays = {name: np.asarray(value) for name, value in values.items()}
    for name in ("train", "test"):
        if f"{name}_error" in arrays:
            arrays[f"{name}_loss"] = arrays[f"{name}_error"] / 2
    steps = np.arange(len(next(iter(arrays.values()))))
    return Truth(steps, arrays, {name: np.zeros_like(value) for name, value in arrays.items()})


def least_squares(problem: Problem) -> Truth:
    """Integrate the learning curves over the Marchenko–Pastur law."""
    curves = linear_curves.curves(
        problem.num_steps,
        alpha=float(problem.law.samples_per_feature),
        learning_rate=float(problem.method.hyperparameters["first_layer"]["learning_rate"]),
        noise_std=float(problem.law.noise_std),
        initial_second_moment=1.0,
    )
    return exact({"train_error": curves.train_error, "test_error": curves.test_error})


def deep_linear_network(problem: Problem, *, momentum: float) -> Truth:
    """Reveal the matrix in coordinates on both sides: nothing random, no nodes."""
    k, r = problem.method.num_units, problem.law.num_teacher_units
    solved = deep_linear.solve(
        [problem.head[name]["weights"] for name in sorted(problem.head)],
        np.array([1.0, -0.4]),
        alpha=float(problem.law.samples_per_feature),
        learning_rate=float(problem.method.hyperparameters["first_layer"]["learning_rate"]),
        momentum=momentum,
        noise_std=float(problem.law.noise_std),
        num_steps=problem.num_steps,
        second_moment=np.eye(k),
        teacher_overlap=np.zeros((k, r)),
        teacher_second_moment=np.asarray(problem.law.teacher_second_moment),
    )
    fields = {name: getattr(solved, name) for name in FIELDS if name in solved._fields}
    if problem.head:
        fields["head"] = np.stack([np.concatenate([matrix.ravel() for matrix in head]) for head in solved.heads])
    return exact(fields)


def bayes_amp(problem: Problem) -> Truth:
    """Iterate the state evolution of AMP with the posterior mean of ±1."""
    return _message_passing(problem, scalar_amp.posterior_mean)


def lasso_amp(problem: Problem, *, kappa: float) -> Truth:
    """Iterate the state evolution of AMP with the soft threshold at κ τ, on signals ±1."""
    return _message_passing(problem, scalar_amp.soft_threshold(kappa))


def _message_passing(problem: Problem, denoiser: scalar_amp.Denoiser) -> Truth:
    curves = scalar_amp.solve(
        denoiser,
        alpha=float(problem.law.samples_per_feature),
        noise_std=float(problem.law.noise_std),
        num_steps=problem.num_steps,
    )
    return exact({"train_error": curves.train_error, "test_error": curves.test_error})


def one_step_of_a_unit(problem: Problem, *, link: Callable[[np.ndarray], np.ndarray], overlap: float) -> Truth:
    """Integrate one step of one tanh unit by quadrature."""
    solved = one_step.solve(
        float(problem.head["layer_2"]["weights"][0, 0]),
        link,
        alpha=float(problem.law.samples_per_feature),
        learning_rate=float(problem.method.hyperparameters["first_layer"]["learning_rate"]),
        noise_std=float(problem.law.noise_std),
        teacher_overlap=overlap,
    )
    return exact({**solved._asdict(), "head": solved.head[:, None]})


def erf_committee_start(problem: Problem) -> Truth:
    """Evaluate the arcsin formula at the start, where training and test errors are the same."""
    r, k = problem.law.num_teacher_units, problem.method.num_units
    moment = np.eye(r + k)
    moment[:r, :r] = np.asarray(problem.law.teacher_second_moment)
    error = erf_committee.erf_teacher_error(
        moment,
        problem.head["layer_2"]["weights"][0],
        np.full(r, 1 / np.sqrt(r)),
        noise_std=float(problem.law.noise_std),
        scale=1.0,
    )
    return exact({"train_error": [error], "test_error": [error]})


def cubic(z: np.ndarray) -> np.ndarray:
    """z³."""
    return z**3


def exp_half(z: np.ndarray) -> np.ndarray:
    """e^{z/2}."""
    return np.exp(z / 2)


def exp_heavy(z: np.ndarray) -> np.ndarray:
    """e^{3z/2}."""
    return np.exp(1.5 * z)


def sin_mixture(z: np.ndarray) -> np.ndarray:
    """z + ½ sin 2z."""
    return z + 0.5 * np.sin(2 * z)


def stored_references() -> dict[str, Any]:
    """Return the stored form of all references."""
    return json.loads(REFERENCES.read_text())["problems"]


def reference(name: str) -> Truth:
    """Return the stored reference of that name.

    Raises:
        KeyError: there is none: run `python -m tests.make_references NAME`.
    """
    stored = stored_references()[name]
    values = {field: np.asarray(pair["value"]) for field, pair in stored["fields"].items()}
    rounding = 0.5 * 10.0 ** (1 - stored.get("digits", 8))
    errors = {
        field: np.hypot(np.asarray(pair["standard_error"]), rounding * np.abs(values[field]))
        for field, pair in stored["fields"].items()
    }
    return Truth(np.asarray(stored["steps"]), values, errors)


def description(problem: Problem) -> dict[str, Any]:
    """Return what a problem is in plain JSON values: a reference of another problem must not be taken."""
    law, method = problem.law, problem.method
    layer = problem.first_layer
    numbers = {
        "law": [law.samples_per_feature, law.noise_std, np.asarray(law.teacher_moment).tolist()],
        "link": str(getattr(law.link, "name", law.link)),
        "method": method.description,
        "hyperparameters": jax.tree.map(lambda leaf: np.asarray(leaf).tolist(), method.hyperparameters),
        "start": None if layer is None else np.asarray(layer.teacher_overlap).tolist(),
        "head_seed": problem.head_seed,
        "num_steps": problem.num_steps,
    }
    if law.teacher_priors is not None:
        numbers["priors"] = jax.tree.map(lambda leaf: np.asarray(leaf).tolist(), jax.tree.leaves(law.teacher_priors))
    if law.features is not None:
        numbers["features"] = jax.tree.map(lambda leaf: np.asarray(leaf).tolist(), jax.tree.leaves(law.features))
    return json.loads(json.dumps(numbers))


def is_described(problem: Problem, stored: Any) -> bool:
    """Return whether that is the description of a problem, its numbers to a relative `SAME_NUMBER`.

    Eigenvalues, powers and moments are computed, and rounded differently on another processor.
    """
    return _agrees(description(problem), stored)


def _agrees(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_agrees(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_agrees, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= SAME_NUMBER * max(abs(one), abs(other))
    return type(one) is type(other) and one == other
