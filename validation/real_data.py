"""Claim: The law fitted to (X, y) predicts learning curves on real data before any training, within a stated gap.

Not exactly, and this record says by how much. Data are the sets that come with scikit-learn, columns standardised: the
progression of diabetes, the value of a handwritten digit, its parity (±1), breast cancer (±1). A linear model and a
two-layer tanh network are trained on n random rows by gradient descent from random weights, and tested on the rest.
The law behind the prediction is fitted twice: on all rows (the population, which no one has), and on one set of n
training rows (what one has).

PASS RULE, from what a prototype reached. With the law of all rows, at every step: the linear model's test error within
15 %, the network's within 50 %, plus 4 standard errors of the mean over splits; breast cancer is not judged but
recorded, since `applicability` calls it outside (44 % of the variance is in one direction of 30). Standard errors
above 5 % leave the claim unresolved. What is fitted on n rows is recorded and not judged.

The bounds stood before the first run. That one, with 40 splits, was unresolved by its standard errors; the number of
splits was raised to 200, and the control must now miss on every judged set, not on one of them.

NEGATIVE CONTROL. The same with the fitted eigenvalues replaced by equal ones must miss the linear model's bound.

    python -m validation.real_data [--quick]    # writes validation/results/real_data.*
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

import dyntheory as dt
from dyntheory.dynamics import loop
from dyntheory.dynamics.observables import rows_of
from dyntheory.ground.precision import as_double, double_precision
from dyntheory.matrix.dense import DenseMatrix
from dyntheory.plot.style import new_figure
from dyntheory.problem.laws.links import Link
from validation.claim import Claim, Verdict
from validation.record import Outcome, joint_outcome

NAMES = ("train_error", "test_error")
BOUNDS = {"linear": 0.15, "tanh": 0.5}
MOST_ERROR = 0.05


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is trained on what."""

    sets: tuple[str, ...] = ("diabetes", "digit value", "digit parity", "breast cancer")
    num_splits: int = 200
    num_steps: int = 40
    rate: float = 0.5  # times 1/largest eigenvalue
    rows_per_column: float = 5.0
    num_units: int = 3


class Data(NamedTuple):
    """Standardised columns and centred labels."""

    rows: np.ndarray
    labels: np.ndarray


class Curves(NamedTuple):
    """Mean curves of the real training, with standard errors over splits."""

    train_error: np.ndarray
    test_error: np.ndarray
    train_bar: np.ndarray
    test_bar: np.ndarray


def load(name: str) -> Data:
    """Return one of the bundled sets, columns standardised, labels of variance one."""
    from sklearn import datasets

    if name.startswith("digit"):
        rows, labels = datasets.load_digits(return_X_y=True)
        rows = rows[:, np.mean(rows != 0, axis=0) > 0.1]
        labels = labels if name == "digit value" else 2.0 * (labels % 2) - 1
    else:
        rows, labels = {"diabetes": datasets.load_diabetes, "breast cancer": datasets.load_breast_cancer}[name](
            return_X_y=True
        )
    rows, labels = np.asarray(rows, dtype=float), np.asarray(labels, dtype=float)
    return Data((rows - rows.mean(axis=0)) / rows.std(axis=0), (labels - labels.mean()) / labels.std())


@functools.partial(jax.jit, static_argnames=("num_samples", "num_steps"))
def _train(
    method: dt.GeneralFirstOrderMethod,
    data: Data,
    head: Any,
    keys: jax.Array,
    *,
    num_samples: int,
    num_steps: int,
) -> tuple[jax.Array, jax.Array]:
    """Return train and test errors of every split."""
    given = dt.TeacherStudent(1.0, Link("given", lambda z, label, _: label[0], takes_noise=True))
    d = data.rows.shape[1]

    def one(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        order, where = jax.random.permutation(key, data.rows.shape[0]), jax.random.fold_in(key, 1)
        rows, labels = data.rows[order], data.labels[order]
        start = loop.Start(
            teacher_weights=jnp.zeros((d, 1)),
            weights=jax.random.normal(where, (d, method.num_units), float),
            label_noise=labels[:num_samples, None],
            head=head,
            samples_per_feature=jnp.asarray(num_samples / d),
        )
        records = loop.run(
            given, method, DenseMatrix(rows[:num_samples]), start, num_steps=num_steps, record=rows_of("weights")
        )
        rest = DenseMatrix(rows[num_samples:])

        def error(state: tuple[jax.Array, Any]) -> jax.Array:
            predictions = jax.vmap(method.output, in_axes=(None, 0))(state[1], rest.times((), state[0])[1])
            return jnp.mean(jax.vmap(method.error)(predictions, labels[num_samples:]))

        return records.train_error, jax.lax.map(error, (records.recorded["weights"], records.head))

    return jax.lax.map(one, keys)


def train(method: dt.GeneralFirstOrderMethod, data: Data, head: Any, num_samples: int, settings: Settings) -> Curves:
    """Return means over splits."""
    with double_precision():
        rows, keys = as_double(data), jax.random.split(jax.random.key(1), settings.num_splits)
        numbers = {"num_samples": num_samples, "num_steps": settings.num_steps}
        found = [np.asarray(one) for one in _train(as_double(method), rows, as_double(head), keys, **numbers)]
    bars = [one.std(axis=0, ddof=1) / settings.num_splits**0.5 for one in found]
    return Curves(found[0].mean(axis=0), found[1].mean(axis=0), *bars)


def measure(name: str, settings: Settings) -> dict[str, Any]:
    """Return curves and gaps of one data set."""
    data = load(name)
    d = data.rows.shape[1]
    num_samples = round(settings.rows_per_column * d)
    fitted = dt.fit_law(*data, num_samples=num_samples)
    order = np.random.default_rng(0).permutation(len(data.rows))[:num_samples]
    part = dt.fit_law(data.rows[order], data.labels[order])
    flat = dataclasses.replace(fitted.law, features=None)
    laws = {"all rows": fitted.law, "training rows": part.law, "control": flat}
    rate = settings.rate / float(np.linalg.eigvalsh(np.cov(data.rows.T)).max())
    networks = {"linear": dt.LinearModel(), "tanh": dt.MLP((settings.num_units,), "tanh")}
    result: dict[str, Any] = {
        "num_features": d,
        "num_samples": num_samples,
        "learning_rate": rate,
        "law": str(fitted).splitlines(),
        "law of training rows": str(part).splitlines(),
    }
    for kind, network in networks.items():
        method = dt.gradient_descent(network, optax.sgd, learning_rate=rate)
        head = network.init_head(jax.random.key(2))
        real = train(method, data, head, num_samples, settings)
        report = dt.applicability(
            fitted.law, method, num_steps=settings.num_steps, num_samples=num_samples, num_features=d, inputs=data.rows
        )
        result[kind] = {"real": real._asdict(), "applicability": {c.name: c.level for c in report.checks}}
        for source, law in laws.items():
            if source == "control" and kind != "linear":
                continue
            theory = dt.predict(law, method, num_steps=settings.num_steps, key=jax.random.key(0), head=head or None)
            gap = theory.test_error / real.test_error - 1
            result[kind][source] = {
                **{one: getattr(theory, one) for one in NAMES},
                "largest_gap": gap[np.argmax(np.abs(gap))],
                "last_gap": gap[-1],
                "largest_train_gap": np.max(np.abs(theory.train_error / real.train_error - 1)),
            }
    return result


def outcome_of(numbers: dict[str, Any], kind: str, source: str) -> Outcome:
    """Return whether the test error stays within its bound at every step."""
    real, theory = numbers[kind]["real"], numbers[kind][source]
    if np.max(real["test_bar"] / real["test_error"]) > MOST_ERROR:
        return Outcome.UNRESOLVED
    allowed = BOUNDS[kind] * real["test_error"] + 4 * real["test_bar"]
    return Outcome.PASSED if np.all(np.abs(theory["test_error"] - real["test_error"]) < allowed) else Outcome.FAILED


def judge(numbers: dict[str, Any], settings: Settings) -> Verdict:
    """Apply the pass rule and ask the control to miss, on every set but the one outside."""
    judged = [numbers[name] for name in settings.sets if name != "breast cancer"]
    outcome = joint_outcome(outcome_of(one, kind, "all rows") for one in judged for kind in BOUNDS)
    if outcome is Outcome.PASSED and any(outcome_of(one, "linear", "control") is Outcome.PASSED for one in judged):
        outcome = Outcome.FAILED
    return outcome, numbers


def table(numbers: dict[str, Any], settings: Settings) -> Iterator[str]:
    """Yield the largest gaps, one line for every set and network."""
    for name, one in numbers.items():
        for kind in BOUNDS:
            sources = [source for source in ("all rows", "training rows", "control") if source in one[kind]]
            gaps = {source: f"{one[kind][source]['largest_gap']:+.1%}" for source in sources}
            yield f"{name} {kind} {gaps}"


def draw(numbers: dict[str, Any], settings: Settings) -> Figure:
    """Draw test errors: dots for training, lines for predictions."""
    figure = new_figure(3.2 * len(numbers), 5.6)
    axes = figure.subplots(2, len(numbers), squeeze=False, sharex=True)
    styles = {"all rows": ("C0", "-"), "training rows": ("C1", "--"), "control": ("0.6", ":")}
    for column, (name, one) in enumerate(numbers.items()):
        for row, kind in enumerate(BOUNDS):
            ax, real = axes[row, column], one[kind]["real"]
            steps = np.arange(len(real["test_error"]))
            ax.errorbar(
                steps, real["test_error"], 2 * real["test_bar"], fmt="k.", ms=3, lw=0.8, label="trained (2 s.e.)"
            )
            for source, (colour, line) in styles.items():
                if source in one[kind]:
                    label = f"law of {source}" if source != "control" else "equal eigenvalues"
                    ax.plot(steps, one[kind][source]["test_error"], line, color=colour, label=label)
            ax.set_title(f"{name}, {kind}", fontsize=9)
            ax.set_yscale("log")
            if column == 0:
                ax.set_ylabel("test error")
            if row == 1:
                ax.set_xlabel("step")
    axes[0, 0].legend(fontsize=7)
    return figure


CLAIM = Claim(
    "real_data",
    __doc__,
    pass_rule=(
        "See the docstring: 15 % for the linear model, 50 % for the network, plus 4 standard errors; control misses."
    ),
    settings=Settings,
    quick=Settings(sets=("digit value",), num_splits=60, num_steps=8),
    measure=lambda settings: {name: measure(name, settings) for name in settings.sets},
    judge=judge,
    table=table,
    draw=draw,
)


if __name__ == "__main__":
    raise SystemExit(CLAIM.command())
