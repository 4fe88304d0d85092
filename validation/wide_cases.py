"""Problems of the wing `dyntheory.wide`, predicted, trained at finite widths and extrapolated, for `wide_networks`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

import dyntheory as dt
from dyntheory.ground.precision import double_precision
from dyntheory.ground.status import DyntheoryWarning
from dyntheory.wide.data import frame_of
from dyntheory.wide.fields import measured
from dyntheory.wide.prepared import prepared
from dyntheory.wide.run import run
from dyntheory.wide.solution import in_frame, nets_of
from dyntheory.wide.weights import Memory

NUM_INPUTS, NUM_FEATURES, NUM_TESTS, NUM_CLASSES = 6, 10, 2, 3
TIMES = (0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1.0)  # of the run, at which losses are compared
LOSS_FLOOR = 1e-2  # of the start: below it an interpolated loss is compared no more
BATCHES = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 0], [1, 0, 0, 0, 1, 1], [0, 1, 0, 1, 0, 1]], float)
WRONG = {
    "no memory forward": Memory(forward=False, backward=True),
    "no memory backward": Memory(forward=True, backward=False),
    "no memory at all": Memory(forward=False, backward=False),
}


class Case(NamedTuple):
    """One problem: a network and how it is trained on the inputs that all cases share.

    `num_nodes` None is the default of the prediction; rules that are not linear take nodes by nodes arrays.
    """

    network: dt.WideNetwork
    numbers: Mapping[str, float]
    optimizer: Any = optax.sgd
    loss: str = "squared"
    num_steps: int = 20
    has_batches: bool = False
    has_classes: bool = False
    num_nodes: int | None = None

    def given(self) -> dict[str, Any]:
        """Return what predictions and simulations are both told."""
        random = np.random.default_rng(1)
        inputs = random.standard_normal((NUM_INPUTS, NUM_FEATURES))
        tests = random.standard_normal((NUM_TESTS, NUM_FEATURES))
        signs = np.sign(random.standard_normal(NUM_INPUTS))
        classes = np.eye(NUM_CLASSES)[np.arange(NUM_INPUTS) % NUM_CLASSES]
        masks = np.resize(BATCHES, (self.num_steps, NUM_INPUTS)) if self.has_batches else None
        return {
            "inputs": inputs,
            "labels": classes if self.has_classes else signs,
            "test_inputs": tests,
            "optimizer": self.optimizer,
            "loss": self.loss,
            "num_steps": self.num_steps,
            "masks": masks,
        }


def decayed(learning_rate: Any, decay: Any) -> Any:
    """Return plain steps with a decay of all weights."""
    return optax.chain(optax.add_decayed_weights(decay), optax.sgd(learning_rate))


def _tanh(depth: int, richness: float, **options: Any) -> dt.WideNetwork:
    return dt.WideNetwork(depth, "tanh", richness, **options)


def _relu(depth: int) -> dt.WideNetwork:
    return dt.WideNetwork(depth, "relu", 1.0)


def _rate(learning_rate: float, **others: float) -> dict[str, float]:
    return {"learning_rate": learning_rate, **others}


CASES: dict[str, Case] = {
    "L = 1, tanh": Case(_tanh(1, 1.0), _rate(0.6)),
    "L = 1, ReLU": Case(_relu(1), _rate(0.8)),
    "L = 2, tanh": Case(_tanh(2, 1.0), _rate(0.5)),
    "L = 2, ReLU": Case(_relu(2), _rate(0.6)),
    "L = 2, tanh, γ₀ = 2": Case(_tanh(2, 2.0), _rate(0.3)),
    "L = 2, tanh, γ₀ = 0.05": Case(_tanh(2, 0.05), _rate(0.6)),
    "L = 3, tanh, γ₀ = 0.5": Case(_tanh(3, 0.5), _rate(0.4)),
    "L = 3, ReLU": Case(_relu(3), _rate(0.8)),
    "L = 3, tanh, γ₀ = 2": Case(_tanh(3, 2.0), _rate(0.2)),
    "momentum": Case(_tanh(2, 1.0), _rate(0.15, momentum=0.8)),
    "batches": Case(_tanh(2, 1.0), _rate(0.3), has_batches=True),
    "Adam, L = 1": Case(_tanh(1, 1.0), _rate(0.1), optax.adam, num_steps=12),
    "Adam, L = 2": Case(_tanh(2, 1.0), _rate(0.05), optax.adam, num_steps=12, num_nodes=2**11),
    "biases, N₂ = N₁/2": Case(_tanh(2, 1.0, use_bias=True, width_ratios=(0.5,)), _rate(0.5)),
    "logistic loss": Case(_tanh(2, 1.0), _rate(1.5), loss="logistic"),
    "softmax, 3 classes": Case(_tanh(2, 1.0), _rate(1.5), loss="cross_entropy", has_classes=True),
    "weight decay": Case(_tanh(2, 1.0), _rate(0.5, decay=0.1), decayed),
}
ONE_LAYER = tuple(name for name, case in CASES.items() if case.network.depth == 1)


class Compared(NamedTuple):
    """One number of a case: predicted, and extrapolated from finite widths, with standard errors.

    `residual` is that of the linear fit in 1/N at the smallest width, in its standard errors.
    """

    theory: float
    theory_error: float
    simulation: float
    simulation_error: float
    residual: float

    @property
    def z(self) -> float:
        """Deviation in standard errors."""
        return (self.simulation - self.theory) / float(np.hypot(self.theory_error, self.simulation_error))


class Outcomes(NamedTuple):
    """What was found of one case."""

    theory: Any
    runs: dict[int, Any]
    compared: dict[str, Compared]


def solve(name: str, widths: Sequence[int], num_runs: Sequence[int], seed: int, num_nodes: int | None) -> Outcomes:
    """Predict a case, train it at all widths, and compare."""
    case, place = CASES[name], list(CASES).index(name)
    key, nodes = jax.random.fold_in(jax.random.key(seed), place), case.num_nodes or num_nodes
    common: dict[str, Any] = {**case.given(), **case.numbers, "keep_kernels": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DyntheoryWarning)  # relative errors of a loss that vanishes are not judged
        theory = dt.wide.predict(case.network, key=key, num_nodes=nodes, **common)
    other = jax.random.fold_in(key, 1)
    sizes = zip(widths, num_runs, strict=True)
    runs = {N: dt.wide.simulate(case.network, key=other, width=N, num_runs=count, **common) for N, count in sizes}
    return Outcomes(theory, runs, compare(theory, runs))


def compare(theory: Any, runs: Mapping[int, Any]) -> dict[str, Compared]:
    """Return every number that is compared."""
    found, widths = {}, np.array(list(runs), float)
    for name, field, index in places(theory):
        of_theory = _number(theory, field, index), _number(theory.standard_error, field, index)
        every = [_of_runs(one.per_run, field, index) for one in runs.values()]
        values = np.array([one.mean() for one in every])
        errors = np.array([one.std(ddof=1) / len(one) ** 0.5 for one in every])
        found[name] = Compared(*of_theory, *extrapolated(widths, values, errors))
    return found


def places(theory: Any) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Yield name, field and index of every number; an empty index after the step stands for a trace."""
    last = int(theory.steps[-1])
    loss = np.asarray(theory.train_loss)
    for step in sorted({max(1, round(last * part)) for part in TIMES}):
        if loss[step] > LOSS_FLOOR * loss[0]:
            yield f"loss({step})", "train_loss", (step,)
    for step in (last // 2, last):
        for index in np.ndindex(theory.test_outputs.shape[1:]):
            yield f"test output {index}, t = {step}", "test_outputs", (step, *index)
    if theory.ntk is not None:
        for index in ((), (0, 1), (2, 4)):
            yield f"Θ{index or ' trace'}", "ntk", (last, *index)
        yield "alignment", "alignment", (last,)
    yield "feature alignment", "feature_alignment", (last,)
    for field, letter in (("forward_kernels", "Φ"), ("backward_kernels", "G")):
        kernels = getattr(theory, field)
        for layer in range(0 if kernels is None else kernels.shape[1]):
            yield f"{letter}{layer + 1} trace", field, (last, layer)


def _number(result: Any, field: str, index: tuple[int, ...]) -> float:
    """Return one entry, or a mean diagonal; the predicted errors of its entries are taken to move together."""
    entry = np.asarray(getattr(result, field))[index]
    return float(entry if np.ndim(entry) == 0 else np.mean(np.diagonal(entry)))


def _of_runs(runs: Any, field: str, index: tuple[int, ...]) -> np.ndarray:
    """Return the same number of every run."""
    entries = np.asarray(getattr(runs, field))[(slice(None), *index)]
    return entries if entries.ndim == 1 else np.mean(np.diagonal(entries, axis1=1, axis2=2), axis=1)


def extrapolated(widths: np.ndarray, values: np.ndarray, errors: np.ndarray) -> tuple[float, float, float]:
    """Return the limit of values by a weighted linear fit in 1/N, its error, and the scaled residual of the fit."""
    design = np.stack([np.ones_like(widths), 1.0 / widths], axis=1)
    scaled = design / errors[:, None]
    covariance = np.linalg.inv(scaled.T @ scaled)
    fitted = covariance @ scaled.T @ (values / errors)
    left = values - design @ fitted
    spread = np.sqrt(np.maximum(errors**2 - np.einsum("ni,ij,nj->n", design, covariance, design), 1e-300))
    return float(fitted[0]), float(np.sqrt(covariance[0, 0])), float(left[0] / spread[0])


def loss_without(name: str, memory: Memory, seed: int, num_nodes: int) -> np.ndarray:
    """Return the losses (T+1,) of a prediction whose answers do not remember."""
    case = CASES[name]
    given = case.given() | {"test_labels": None, "hyperparameters": dict(case.numbers)}
    with double_precision():
        one = prepared(given | {"network": case.network, "key": jax.random.key(seed)})
        frame = frame_of(one.data)
        rules, task = in_frame(one, frame, 1e-2, keeps_kernels=False)
        nets = nets_of(one, frame.inputs.shape[1], num_nodes)
        found = run(rules._replace(memory=memory), task, nets, one.num_steps)
        return np.asarray(measured(one, found.seen.outputs, one.data.labels)[0])
