"""The registry of the contract: every optimizer, perturbation, network, loss, law and start of the library is a row.

Adding one adds a row here; `can_exist` says which combinations there are. `default_rows` has every row of every table
at least once, `all_rows` every method with every law and, where it can exist, every pair of rows of two tables.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen, nnx

import dyntheory as dt
from dyntheory.ground.checks import is_concrete
from dyntheory.ground.precision import double_precision
from dyntheory.priors import QuantilePrior, bernoulli_gauss, laplace, rademacher
from dyntheory.spectra import power_law, two_level


class Residual(linen.Module):
    """LayerNorm, a residual block and a readout on the preactivations."""

    num_outputs: int

    @linen.compact
    def __call__(self, preactivation: jax.Array) -> jax.Array:
        signal = jnp.tanh(preactivation)
        signal = signal + linen.Dense(2)(jnp.tanh(linen.Dense(4)(linen.LayerNorm()(signal))))
        return linen.Dense(self.num_outputs)(signal)


class Stacked(nnx.Module):
    """Two layers on the preactivations."""

    def __init__(self, rngs: nnx.Rngs, num_outputs: int = 1) -> None:
        self.inner = nnx.Linear(2, 4, rngs=rngs)
        self.readout = nnx.Linear(4, num_outputs, rngs=rngs)

    def __call__(self, preactivation: jax.Array) -> jax.Array:
        return self.readout(jnp.tanh(self.inner(jnp.tanh(preactivation))))


class Factory(NamedTuple):
    """A callable that two calls of the registry share, as a lambda would not be."""

    num_outputs: int

    def __call__(self, rngs: nnx.Rngs) -> Stacked:
        return Stacked(rngs, self.num_outputs)


def _linear(outputs: int) -> Any:
    del outputs
    return dt.LinearModel()


def _mlp(hidden: tuple[int, ...], activation: str, **options: Any) -> Callable[[int], Any]:
    return lambda outputs: dt.MLP(hidden, activation, num_outputs=outputs, **options)


ONE_OUTPUT = ("linear model",)
NETWORKS: dict[str, Callable[[int], Any]] = {
    "linear model": _linear,
    "one unit": _mlp((1,), "erf"),
    "two layers": _mlp((2,), "tanh"),
    "linear units": _mlp((2, 2), "linear"),
    "biases": _mlp((2, 3), "gelu", use_bias=True),
    "he": _mlp((2,), "relu", initialization="he"),
    "mean field": _mlp((2,), "sigmoid", initialization="mean_field"),
    "sign": _mlp((2,), "sign"),
    "five layers": _mlp((3, 2, 2, 2), "leaky_relu"),
    "linen": functools.cache(lambda outputs: dt.FlaxNetwork(Residual(outputs), 2)),
    "nnx factory": lambda outputs: dt.FlaxNetwork(Factory(outputs), 2, smooth=True),
    "nnx module": functools.cache(lambda outputs: dt.FlaxNetwork(Stacked(nnx.Rngs(0), outputs), 2)),
}


def _decayed(learning_rate: Any, decay: Any) -> optax.GradientTransformation:
    return optax.chain(optax.add_decayed_weights(decay), optax.sgd(learning_rate))


SCHEDULE = optax.cosine_decay_schedule(0.4, 4)
READY, CLIPPED = optax.sgd(0.3, momentum=0.5), optax.chain(optax.clip(0.5), optax.sgd(0.3))
Numbers = dict[str, Any]
OPTIMIZERS: dict[str, tuple[Any, Numbers, Numbers]] = {  # optimizer, its numbers, other options
    "sgd": (optax.sgd, {"learning_rate": 0.3}, {}),
    "momentum": (optax.sgd, {"learning_rate": 0.1, "momentum": 0.8}, {}),
    "nesterov": (optax.sgd, {"learning_rate": 0.1, "momentum": 0.8}, {"nesterov": True}),
    "weight decay": (_decayed, {"learning_rate": 0.3, "decay": 0.2}, {}),
    "schedule": (optax.sgd, {}, {"learning_rate": SCHEDULE}),
    "ready": (READY, {}, {}),
    "frozen head": (optax.sgd, {"learning_rate": 0.3}, {"head_optimizer": optax.set_to_zero()}),
    "adam head": (optax.sgd, {"learning_rate": 0.3, "head_learning_rate": 0.05}, {"head_optimizer": optax.adam}),
    "adam": (optax.adam, {"learning_rate": 0.05}, {}),
    "adamw": (optax.adamw, {"learning_rate": 0.05, "weight_decay": 0.2}, {}),
    "amsgrad": (optax.amsgrad, {"learning_rate": 0.05}, {}),
    "rmsprop": (optax.rmsprop, {"learning_rate": 0.03}, {}),
    "lion": (optax.lion, {"learning_rate": 0.05, "weight_decay": 0.1}, {}),
    "sign descent": (optax.sign_sgd, {"learning_rate": 0.05}, {}),
    "clipped": (CLIPPED, {}, {}),
    "ista": (dt.ista, {"learning_rate": 0.3, "penalty": 0.2}, {}),
    "cosine": (dt.cosine_sgd(4), {"peak": 0.5, "warmup": 0.3, "final": 0.1}, {}),
    "piecewise": (dt.piecewise_sgd(4, 3), {"rate_0": 0.3, "rate_1": 0.5, "rate_2": 0.0}, {}),
    "fista": (dt.fista, {"learning_rate": 0.2, "penalty": 0.2, "ridge": 0.1}, {}),
}
Wrap = Callable[[dt.GeneralFirstOrderMethod, int, float], dt.GeneralFirstOrderMethod]
PERTURBATIONS: dict[str, Wrap] = {
    "none": lambda method, outputs, factor: method,
    "mini-batches": lambda method, outputs, factor: dt.mini_batches(method, 0.6 * factor),
    "epochs": lambda method, outputs, factor: dt.mini_batches(method, 0.5, replacement=False),
    "label noise": lambda method, outputs, factor: dt.label_noise(method, 0.3 * factor, num_outputs=outputs),
    "dropout": lambda method, outputs, factor: dt.dropout(method, 0.2 * factor),
}
ANY, ONE = ("real", "size", "sign", "vector", "class"), ("real", "size", "sign")  # kinds of labels
LOSSES = {
    "squared": ANY,
    "huber": ("real", "size", "vector"),
    "logistic": ("sign",),
    "squared_hinge": ("sign",),
    "cross_entropy": ("class",),
    "squared_classification": ("sign", "class"),
}
Make = Callable[[float], dt.GeneralFirstOrderMethod]
HEADLESS: dict[str, tuple[tuple[str, ...], Make]] = {  # kinds of labels that a method without a network accepts
    "lasso amp": (ONE, lambda factor: dt.lasso_amp(1.2 * factor)),
    "bayes amp": (ONE, lambda factor: dt.bayes_amp(bernoulli_gauss(0.3 * factor))),
    "gaussian amp": (ONE, lambda factor: dt.generalized_amp("gaussian", rademacher(), noise_std=0.3 * factor)),
    "probit amp": (("sign",), lambda factor: dt.generalized_amp("probit", noise_std=0.8 * factor)),
    "logistic amp": (("sign",), lambda factor: dt.generalized_amp("logistic", laplace(0.7 * factor))),
    "phase retrieval amp": (("size",), lambda factor: dt.generalized_amp("phase_retrieval", noise_std=0.4 * factor)),
    "proximal gradient": (ONE, lambda factor: dt.proximal_gradient(0.2, 0.1 * factor, ridge=0.1)),
}


class Labelled(NamedTuple):
    """A law and the kind of its labels."""

    kind: str
    law: dt.TeacherStudent


def _two(z: jax.Array) -> jax.Array:
    return jnp.stack([jnp.sin(z), z**2])


def _product(z: jax.Array) -> jax.Array:
    return z[0] * z[1]


def _uniform(u: jax.Array) -> jax.Array:
    return np.sqrt(3.0) * (2 * u - 1)


TWO = [[1.0, 0.3], [0.3, 2.0]]
LAWS: dict[str, Labelled] = {
    "sin": Labelled("real", dt.TeacherStudent(2.0, "sin", 0.3)),
    "few samples": Labelled("real", dt.TeacherStudent(0.4, "tanh", 0.0)),
    "sign": Labelled("real", dt.TeacherStudent(1.0, "sign", 0.1)),
    "hermite": Labelled("real", dt.TeacherStudent(2.0, "hermite2", 0.2)),
    "size": Labelled("size", dt.TeacherStudent(2.0, "abs", 0.4)),
    "two directions": Labelled("real", dt.TeacherStudent(1.5, "relu", 0.2, teacher_second_moment=TWO)),
    "product": Labelled("real", dt.TeacherStudent(3.0, _product, 0.2, teacher_second_moment=np.eye(2))),
    "two outputs": Labelled("vector", dt.TeacherStudent(1.5, _two, 0.2)),
    "three classes": Labelled("class", dt.TeacherStudent(3.0, "argmax", teacher_second_moment=np.eye(3))),
    "probit": Labelled("sign", dt.TeacherStudent(2.0, "probit", 0.8)),
    "logistic": Labelled("sign", dt.TeacherStudent(3.0, "logistic", teacher_prior=laplace(0.7))),
    "two clouds": Labelled("sign", dt.gaussian_mixture(2.0, 1.0, balance=0.4)),
    "three clouds": Labelled("class", dt.gaussian_mixture(2.0, 1.5, num_classes=3)),
    "sparse teacher": Labelled("real", dt.TeacherStudent(0.8, "linear", 0.3, teacher_prior=bernoulli_gauss(0.3))),
    "binary teachers": Labelled(
        "real", dt.TeacherStudent(2.0, "sin", 0.2, teacher_prior=(rademacher(), QuantilePrior(_uniform)))
    ),
    "power law": Labelled(
        "real", dt.TeacherStudent(1.5, "sin_mixture", 0.3, features=power_law(0.5, num_modes=20, target_exponent=0.8))
    ),
    "two levels": Labelled(
        "sign", dt.TeacherStudent(2.0, "probit", 0.3, features=two_level(0.3, 4.0), teacher_prior=rademacher())
    ),
}
STARTS = ("default", "correlated", "informed")


def start(name: str, law: dt.TeacherStudent, num_units: int) -> dt.FirstLayer | None:
    """Return w⁰ = C w* (informed), that and independent noise (correlated), or what the method begins with."""
    if name == "default":
        return None
    with double_precision():
        teacher = law.teacher_moment
        teacher = np.asarray(teacher) if is_concrete(teacher) else teacher
    slopes = 0.4 / len(teacher) * np.ones((num_units, len(teacher)))
    moment = slopes @ teacher @ slopes.T + (0.5 * np.eye(num_units) if name == "correlated" else 0.0)
    return dt.FirstLayer(second_moment=moment, teacher_overlap=slopes @ teacher)


@dataclasses.dataclass(frozen=True)
class Row:
    """One problem by the names of its parts; a method without a network has no network, perturbation or loss."""

    method: str
    law: str
    start: str = "default"
    network: str | None = None
    perturbation: str | None = None
    loss: str | None = None

    def __str__(self) -> str:
        return "-".join(part for part in dataclasses.astuple(self) if part is not None)

    @property
    def labelled(self) -> Labelled:
        """The law with the kind of its labels."""
        return LAWS[self.law]

    def make(self, factor: float = 1.0) -> dt.GeneralFirstOrderMethod:
        """Return the method, its numbers multiplied by a factor."""
        if self.network is None:
            return HEADLESS[self.method][1](factor)
        outputs = self.labelled.law.num_outputs
        optimizer, numbers, options = OPTIMIZERS[self.method]
        scaled = {name: factor * number for name, number in numbers.items()}
        network = NETWORKS[self.network](outputs)
        method = dt.gradient_descent(network, optimizer, loss=self.loss or "squared", **scaled, **options)
        return PERTURBATIONS[self.perturbation or "none"](method, outputs, factor)

    def first_layer(self, num_units: int) -> dt.FirstLayer | None:
        """Return where the first layer starts."""
        return start(self.start, self.labelled.law, num_units)


def can_exist(row: Row) -> bool:
    """Return whether there is such a problem: the loss or the channel has to accept the labels, the network to fit.

    By symmetry phase retrieval never leaves zero, so it needs a start that knows the teacher.
    """
    kind, law = row.labelled
    if row.network is None:
        return kind in HEADLESS[row.method][0] and (row.method != "phase retrieval amp" or row.start == "informed")
    return kind in LOSSES[row.loss or ""] and (law.num_outputs == 1 or row.network not in ONE_OUTPUT)


def _first_that_exists(method: str, law: str, turn: Sequence[int]) -> Row:
    """Return a row of that method and law, the other parts being those whose turn it is, or the next that exist."""
    tables: list[Sequence[str]] = [STARTS, list(NETWORKS), list(PERTURBATIONS), list(LOSSES)]
    turned = [[table[(i + j) % len(table)] for j in range(len(table))] for table, i in zip(tables, turn, strict=True)]
    return next(row for rest in itertools.product(*turned) if can_exist(row := Row(method, law, *rest)))


def _headless_rows() -> list[Row]:
    """Return every method without a network with every law that it accepts, at some start."""
    pairs = itertools.product(enumerate(HEADLESS), enumerate(LAWS))
    turned = [[Row(m, law, STARTS[(i + j + t) % 3]) for t in range(3)] for (i, m), (j, law) in pairs]
    found = [next(filter(can_exist, options), None) for options in turned]
    return [row for row in found if row is not None]


def default_rows() -> list[Row]:
    """Return rows that have every entry of every table."""
    rows = [
        _first_that_exists(method, list(LAWS)[i % len(LAWS)], (i, i, i, 4 * i + 1))
        for i, method in enumerate(OPTIMIZERS)
    ]
    headless, seen = _headless_rows(), {row.method: 0 for row in _headless_rows()}
    for i, method in enumerate(seen):
        own = [row for row in headless if row.method == method]
        rows.append(own[(3 * i) % len(own)])
    return rows


def all_rows() -> list[Row]:
    """Return every method with every law, the other tables rotating through them at speeds of their own."""
    pairs = itertools.product(enumerate(OPTIMIZERS), enumerate(LAWS))
    turns = [((m, law), (i + j // 2, i + 5 * j + j // 4, i + 2 * j, i // 2 + j)) for (i, m), (j, law) in pairs]
    rows = [_first_that_exists(*pair, turn) for pair, turn in turns]
    return [*rows, *_headless_rows()]
