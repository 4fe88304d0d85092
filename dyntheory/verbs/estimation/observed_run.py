"""One training run as it is observed: rows in the units of the theory, all that the maps saw, and what to move.

`estimate` and `teacher_direction` put their questions to the same value; neither trains by itself.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from dyntheory.ground.arrays import Array, ArrayLike, Key, PyTree
from dyntheory.ground.checks import check_count, check_key, check_positive, check_scalar
from dyntheory.ground.compiling import compiled
from dyntheory.ground.precision import abstract_array, as_double
from dyntheory.ground.randomness import stream
from dyntheory.ground.resources import Resources
from dyntheory.problem.laws.rows import LabelledRows
from dyntheory.problem.methods.contract import check_method
from dyntheory.problem.methods.label_kinds import check_labels
from dyntheory.problem.methods.linearity import feature_map_is_linear
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.problem.prepared import check_head
from dyntheory.verbs.estimation.plan import EstimatePlan, RunSize, cost_in_words, plan_estimate
from dyntheory.verbs.estimation.probes import Probes, probes_of
from dyntheory.verbs.estimation.training_run import TrainingRun, train_on


class ObservedRun(NamedTuple):
    """A training run, with what is needed to ask what its rows have taught it.

    Args:
        data: standardised rows and their labels.
        method: in double precision.
        inputs: X, the rows of `data` on the device.
        training: what the maps saw.
        plan: how its responses are measured, and what that costs.
        probes: what rows are moved by.
        key: of whatever else is drawn for this run.
    """

    data: LabelledRows
    method: GeneralFirstOrderMethod
    inputs: Float[Array, "samples features"]
    training: TrainingRun
    plan: EstimatePlan
    probes: Probes
    key: Key


def observed_run(
    data: LabelledRows,
    method: GeneralFirstOrderMethod,
    *,
    num_steps: int,
    key: Key,
    head: PyTree,
    weights: ArrayLike | None,
    resources: Resources,
    max_trainings: float | None = None,
    corrects_head: bool = True,
) -> ObservedRun:
    """Train once and choose what to move; call inside `double_precision`.

    Args:
        data: rows and labels.
        method: as in `dyntheory.estimate`.
        num_steps: T.
        key: `jax.random.key(seed)`.
        head: the initial head, or None.
        weights: the initial first layer (d, k), or None.
        resources: memory, and who is told the cost before it is spent.
        max_trainings: how much work may be planned.
        corrects_head: what rows teach the head will be measured; it has a share in the cost.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: labels, head or first layer that do not fit, a method whose responses cannot be propagated, too
            little memory.
    """
    check_method(method)
    check_labels(data.labels, method, name="`labels`")
    num_steps = check_count("num_steps", num_steps, minimum=0)
    check_key(key)
    if max_trainings is not None:
        check_scalar("max_trainings", max_trainings)
        check_positive("max_trainings", max_trainings)
    method, (n, d), own = as_double(method), data.rows.shape, stream(key, "estimate")
    head = _checked_head(method, data, key, head)
    first = _first_layer(method, (d, method.num_units), jax.random.fold_in(own, 2), weights)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(head)) if corrects_head else 0
    size = RunSize(n, d, method.num_units, num_steps, parameters, method.has_kink is False)
    plan = plan_estimate(size, max_memory=resources.max_memory, max_ratio=max_trainings)
    resources.report(0.0, f"training; {cost_in_words(plan.work, plan.ratio)}")
    x, labels = jnp.asarray(data.rows), jnp.asarray(data.labels)
    uniforms = jax.random.uniform(own, (num_steps, n, method.sample_noise), float)
    training = _train(method, x, labels, head, first, uniforms, num_steps=num_steps)
    probes = probes_of(plan, training, jax.random.fold_in(own, 1), is_smooth=size.is_smooth)
    return ObservedRun(data, method, x, training, plan, probes, own)


_train = compiled(train_on, static_argnames=("num_steps",))


def _checked_head(method: GeneralFirstOrderMethod, data: LabelledRows, key: Key, head: PyTree) -> PyTree:
    """Return the head, given or drawn, for which labels and responses are known to fit."""
    drawn = as_double(method.init_head(stream(key, "head")))
    head = drawn if head is None else check_head(head, drawn)
    prediction = jax.eval_shape(method.output, head, abstract_array((method.num_units,))).shape
    if prediction != data.labels.shape[1:]:
        raise ValueError(
            f"The network's output has shape {prediction} and a label has shape {data.labels.shape[1:]}: change "
            "`num_outputs` of the network or the shape of `labels`."
        )
    if not feature_map_is_linear(method, head):
        raise ValueError(
            "The responses of this optimizer cannot be propagated: its update of the first layer is not linear in the "
            "gradients (Adam, sign, clipping, thresholds), or not by operations that are known to be. `estimate` takes "
            "SGD, momentum, Nesterov, weight decay, schedules and mini-batches; for the others hold out rows, or "
            "predict with `predict`."
        )
    return head


def _first_layer(
    method: GeneralFirstOrderMethod, shape: tuple[int, int], key: Key, weights: ArrayLike | None
) -> Float[Array, "features units"]:
    if weights is None:
        return jnp.zeros(shape) if method.starts_at_zero else jax.random.normal(key, shape, float)
    given = np.asarray(weights, dtype=float)
    if given.shape != shape or not np.isfinite(given).all():
        raise ValueError(f"`weights` must be finite with shape (d, k) = {shape}, got {given.shape}.")
    return jnp.asarray(given)
