"""A bank of named, tagged problems whose learning curves are known: the judge of error bars.

A problem fixes everything but the nodes: law, method, head, start. Its truth is *exact*, by an oracle that shares no
code with the package (`tests.truths`), or a *reference*, the mean of many-node runs over independent scramblings with
its own standard error (`tests/make_references.py`, `tests/references.json`).

Tags: the link, "heavy" (a link that grows fast), "kink" (sign, |z|, ReLU), "two_teachers", "deep" (three layers and
more), "linear", "optimizer" (more than plain descent), "long" (T ≥ 50), "nonlinear_map" (the features' map is not
linear: Adam, sign, thresholds), "quick" (the default run).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import dyntheory as dt
from dyntheory.ground.arrays import PyTree
from dyntheory.ground.precision import as_double, double_precision
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.spectra import power_law
from tests import truths
from tests.truths import Truth


@dataclasses.dataclass(frozen=True)
class Problem:
    """One problem of the bank.

    Args:
        name: how tables and references call it.
        tags: what it is about.
        law: the data.
        method: the algorithm.
        num_steps: T.
        oracle: the exact truth, or None for a reference.
        first_layer: where the first layer starts.
        head_seed: of the head's only draw.
        thin: a reference keeps every that many steps.
    """

    name: str
    tags: frozenset[str]
    law: TeacherStudent
    method: GeneralFirstOrderMethod
    num_steps: int
    oracle: Callable[[Problem], Truth] | None = None
    first_layer: dt.FirstLayer | None = None
    head_seed: int = 0
    thin: int = 1

    @property
    def is_exact(self) -> bool:
        """Whether the truth has no error of its own."""
        return self.oracle is not None

    @functools.cached_property
    def head(self) -> PyTree:
        """The initial head."""
        with double_precision():
            return jax.tree.map(np.asarray, as_double(self.method.init_head(jax.random.key(self.head_seed))))

    @functools.cached_property
    def truth(self) -> Truth:
        """The true curves."""
        return truths.reference(self.name) if self.oracle is None else self.oracle(self)

    def predict(self, seed: int, **options: Any) -> dt.Trajectory:
        """Predict it on the nodes of one seed."""
        options = {"keep_preactivations": False, **options}
        key = jax.random.key(seed)
        head = self.head or None  # a linear model has none
        return dt.predict(
            self.law,
            self.method,
            num_steps=self.num_steps,
            key=key,
            head=head,
            first_layer=self.first_layer,
            **options,
        )


def exp_half(z: Any) -> Any:
    """e^{z/2}."""
    return jnp.exp(z / 2)


def exp_heavy(z: Any) -> Any:
    """e^{3z/2}, of second moment e^{9/2} and fourth e^{18}."""
    return jnp.exp(1.5 * z)


def product(z: Any) -> Any:
    """z₁ z₂: two directions that no sum of one-dimensional links replaces."""
    return z[0] * z[1]


def slanted(z: Any) -> Any:
    """The linear link of two directions that the oracles know."""
    return z[0] - 0.4 * z[1]


TWO = np.array([[1.0, 0.3], [0.3, 1.5]])


def _descend(hidden: tuple[int, ...], activation: str = "tanh", **numbers: Any) -> GeneralFirstOrderMethod:
    return dt.gradient_descent(dt.MLP(hidden, activation), optax.sgd, **numbers)


def _problem(name: str, tags: str, *args: Any, **kwargs: Any) -> Problem:
    return Problem(name, frozenset(tags.split()), *args, **kwargs)


def _linear() -> list[Problem]:
    """Least squares (Marchenko–Pastur) and deep linear networks (moment recursion), depth 1 to 4."""
    flat = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.3)
    squares = [
        _problem(
            f"least_squares_{alpha}", "linear", TeacherStudent(alpha, "linear", 0.3), flat, 20, truths.least_squares
        )
        for alpha in (0.5, 1.0, 4.0)
    ]
    late = _problem(
        "least_squares_long", "linear long", TeacherStudent(0.5, "linear", 0.3), flat, 100, truths.least_squares
    )
    law = TeacherStudent(1.3, slanted, 0.3, teacher_second_moment=TWO)
    deep = [
        _problem(
            f"deep_linear_{len(hidden) + 1}",
            "linear two_teachers" + (" deep" if len(hidden) > 1 else "") + (" optimizer" if momentum else ""),
            law,
            dt.gradient_descent(
                dt.MLP(hidden, "linear") if hidden else dt.LinearModel(),
                optax.sgd,
                learning_rate=0.2,
                momentum=momentum,
            ),
            20,
            functools.partial(truths.deep_linear_network, momentum=momentum),
        )
        for hidden, momentum in (((), 0.6), ((3,), 0.6), ((3, 2), 0.6), ((2, 3, 2), 0.0))
    ]
    return [*squares, late, *deep]


def _one_step() -> list[Problem]:
    """One step of one tanh unit, exact for any link; the start of an erf committee."""
    start = dt.FirstLayer(teacher_overlap=[[0.3]])
    unit = _descend((1,), learning_rate=0.4)
    cases = (
        ("cubic", "cubic", "heavy quick", truths.cubic, 4.0),
        ("abs", "abs", "kink", np.abs, 0.5),
        ("sign", "sign", "kink quick", np.sign, 1.0),
        ("exp_half", exp_half, "exp", truths.exp_half, 2.0),
        ("exp_heavy", exp_heavy, "exp heavy quick", truths.exp_heavy, 2.0),
        ("sin_mixture", "sin_mixture", "smooth", truths.sin_mixture, 0.5),
    )
    steps = [
        _problem(
            f"one_step_{name}",
            f"one_step {tags}",
            TeacherStudent(alpha, link, 0.3),
            unit,
            1,
            functools.partial(truths.one_step_of_a_unit, link=function, overlap=0.3),
            first_layer=start,
        )
        for name, link, tags, function, alpha in cases
    ]
    committee = _problem(
        "erf_committee_start",
        "smooth two_teachers wide",
        TeacherStudent(2.0, "erf", 0.2, teacher_second_moment=TWO),
        _descend((8,), "erf", learning_rate=0.5),
        0,
        truths.erf_committee_start,
    )
    return [*steps, committee]


def _links() -> list[Problem]:
    """Every link on a network of three tanh units."""
    cases = (
        ("sin_mixture", "sin_mixture", "smooth", 2.0, 0.5),
        ("sin_mixture_few", "sin_mixture", "smooth", 0.5, 0.5),
        ("sin_mixture_many", "sin_mixture", "smooth", 4.0, 0.5),
        ("cubic", "cubic", "heavy", 2.0, 0.1),
        ("cubic_few", "cubic", "heavy", 0.5, 0.1),
        ("abs", "abs", "kink", 2.0, 0.5),
        ("sign", "sign", "kink", 1.0, 0.5),
        ("exp_half", exp_half, "exp", 2.0, 0.3),
        ("exp_heavy", exp_heavy, "exp heavy", 2.0, 0.02),
        ("exp_heavy_few", exp_heavy, "exp heavy", 0.5, 0.02),
        ("quartic", "hermite4", "heavy", 2.0, 0.1),
    )
    return [
        _problem(f"two_layers_{name}", tags, TeacherStudent(alpha, link, 0.3), _descend((3,), learning_rate=rate), 12)
        for name, link, tags, alpha, rate in cases
    ]


def _teachers_and_networks() -> list[Problem]:
    """Two teacher directions; one to eight units; two to five layers; kinked activations."""
    one, few = TeacherStudent(2.0, "sin_mixture", 0.3), TeacherStudent(1.0, "sin_mixture", 0.3)
    pair = functools.partial(TeacherStudent, teacher_second_moment=TWO)
    return [
        _problem(
            "committee_tanh", "smooth two_teachers quick", pair(1.0, "tanh", 0.2), _descend((2,), learning_rate=1.0), 6
        ),
        _problem(
            "committee_cubic", "heavy two_teachers", pair(2.0, "cubic", 0.2), _descend((2,), learning_rate=0.05), 12
        ),
        _problem(
            "product", "heavy two_teachers", pair(4.0, product, 0.2), _descend((3,), "gelu", learning_rate=0.3), 12
        ),
        _problem("one_unit", "smooth", one, _descend((1,), learning_rate=0.8), 20),
        _problem("eight_units", "smooth wide", one, _descend((8,), learning_rate=0.5), 10),
        _problem("relu", "kink quick", one, _descend((3,), "relu", learning_rate=0.5), 6),
        _problem("three_layers", "smooth deep", one, _descend((3, 3), learning_rate=0.5), 12),
        _problem(
            "three_layers_abs",
            "kink deep",
            TeacherStudent(1.0, "abs", 0.1),
            _descend((2, 2), "relu", learning_rate=0.3),
            20,
        ),
        _problem("five_layers", "smooth deep", few, _descend((3, 3, 3, 3), learning_rate=0.3), 12, head_seed=1),
    ]


def _optimizers() -> list[Problem]:
    """Momentum, Nesterov, schedules, weight decay; long horizons."""
    law, few = TeacherStudent(2.0, "sin_mixture", 0.3), TeacherStudent(0.5, "tanh", 0.5)
    network = dt.MLP((3,), "tanh")
    scheduled = optax.sgd(optax.cosine_decay_schedule(0.8, 12), momentum=0.5, nesterov=True)
    decayed = optax.chain(optax.add_decayed_weights(0.05), optax.sgd(0.5))
    return [
        _problem("momentum", "smooth optimizer", law, _descend((3,), learning_rate=0.2, momentum=0.8), 12),
        _problem("schedule", "smooth optimizer", law, dt.gradient_descent(network, scheduled), 12),
        _problem("decay", "smooth optimizer", few, dt.gradient_descent(network, decayed), 12),
        _problem("long", "smooth long", few, _descend((2,), learning_rate=0.5), 100, thin=5),
        _problem(
            "long_cubic",
            "heavy long",
            TeacherStudent(2.0, "cubic", 0.3),
            _descend((2,), learning_rate=0.05),
            50,
            thin=2,
        ),
        _problem("long_deep", "smooth deep long", law, _descend((2, 2), learning_rate=0.3), 100, thin=5),
    ]


def _hard() -> list[Problem]:
    """Large steps, few samples, links that grow fast or jump, more units: what the bars have to work for."""
    cases = (
        ("cubic", "cubic", "heavy", 1.0, _descend((4,), learning_rate=0.3)),
        ("exp_heavy", exp_heavy, "exp heavy", 1.0, _descend((3,), learning_rate=0.1)),
        ("sign", "sign", "kink", 0.6, _descend((4,), "relu", learning_rate=0.8)),
        ("abs", "abs", "kink deep", 0.6, _descend((3, 3), "relu", learning_rate=0.5, momentum=0.5)),
    )
    return [
        _problem(f"hard_{name}", f"hard {tags}", TeacherStudent(alpha, link, 0.3), method, 20)
        for name, link, tags, alpha, method in cases
    ]


def _message_passing() -> list[Problem]:
    """AMP on binary signals, whose curves a scalar recursion gives."""
    law = TeacherStudent(1.2, "linear", 0.5, teacher_prior=dt.priors.rademacher())
    bayes, lasso = dt.bayes_amp(dt.priors.rademacher()), dt.lasso_amp(1.3)
    return [
        _problem("amp_bayes", "nonlinear_map quick", law, bayes, 10, truths.bayes_amp),
        _problem("amp_lasso", "nonlinear_map kink", law, lasso, 10, functools.partial(truths.lasso_amp, kappa=1.3)),
    ]


def _nonlinear_optimizers() -> list[Problem]:
    """Adam, sign descent, clipping, soft thresholds, Adam on mini-batches and on features of a power law."""
    law, smooth = TeacherStudent(2.0, "sin_mixture", 0.3), "smooth nonlinear_map optimizer"
    sparse = TeacherStudent(0.8, "linear", 0.3, teacher_prior=dt.priors.bernoulli_gauss(0.3))
    power = dataclasses.replace(law, features=power_law(0.5, num_modes=20, target_exponent=0.8))
    clipped = optax.chain(optax.clip(0.5), optax.sgd(0.5))

    def trained(optimizer: Any, hidden: tuple[int, ...] = (3,), **numbers: Any) -> GeneralFirstOrderMethod:
        return dt.gradient_descent(dt.MLP(hidden, "tanh"), optimizer, **numbers)

    adam = functools.partial(trained, optax.adam)
    batches = dt.mini_batches(adam(learning_rate=0.05), 0.5)
    return [
        _problem("adam", f"{smooth} quick", law, adam(learning_rate=0.1), 12),
        _problem("adam_deep", f"{smooth} deep", law, adam((2, 2), learning_rate=0.05), 20),
        _problem(
            "adam_heavy", "heavy nonlinear_map", dataclasses.replace(law, link="cubic"), adam(learning_rate=0.1), 12
        ),
        _problem("adam_batches", smooth, law, batches, 8),
        _problem("adam_power_law", smooth, power, adam(learning_rate=0.05), 12),
        _problem("sign_descent", "kink nonlinear_map optimizer", law, trained(optax.sign_sgd, learning_rate=0.05), 12),
        _problem(
            "clipped", "kink nonlinear_map optimizer", law, dt.gradient_descent(dt.MLP((3,), "tanh"), clipped), 12
        ),
        _problem("proximal", "kink nonlinear_map", sparse, dt.proximal_gradient(0.2, 0.1, ridge=0.1), 15),
    ]


BANK = (
    *_linear(),
    *_one_step(),
    *_links(),
    *_teachers_and_networks(),
    *_optimizers(),
    *_hard(),
    *_message_passing(),
    *_nonlinear_optimizers(),
)
NAMES = {problem.name: problem for problem in BANK}


def tagged(tag: str) -> tuple[Problem, ...]:
    """Return the problems with that tag."""
    return tuple(problem for problem in BANK if tag in problem.tags)
