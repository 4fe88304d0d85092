"""The pure core of `simulate`: train once on drawn data; safe under jit and vmap."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from dyntheory.dynamics.curves import Curves
from dyntheory.dynamics.generalization import population_metrics, sample_metrics
from dyntheory.dynamics.loop import Start, run
from dyntheory.dynamics.observables import Record, rows_of
from dyntheory.gaussian.nodes import NodeSet
from dyntheory.ground.arrays import Array, Key, PyTree
from dyntheory.matrix.dense import DenseMatrix
from dyntheory.matrix.finite import finite_matrix
from dyntheory.matrix.scaled import scaled
from dyntheory.problem.laws.first_layer import starting_rows
from dyntheory.problem.laws.inputs import draw_inputs
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.problem.shape import Sizes


def finite_run(
    law: TeacherStudent,
    method: GeneralFirstOrderMethod,
    head: PyTree,
    joint_second_moment: Array,
    key: Key,
    test_nodes: NodeSet,
    *,
    inputs: Any,
    given: tuple[Array, Array] | None,
    num_steps: int,
    sizes: Sizes,
    matrix: str = "dense",
    dtype: str = "float64",
    record: Record = (),
) -> Curves:
    """Train once on drawn data; the pure core of `simulate`, safe under jit and vmap.

    Args:
        law: the data.
        method: the algorithm.
        head: the initial head.
        joint_second_moment: of the rows (w*, w⁰).
        key: of this run.
        test_nodes: for the population error of Gaussian inputs.
        inputs: a name of `dyntheory.problem.laws.inputs.INPUTS`, a function (key, shape) -> rows, or rows (N, d); with
            `law.features` these are the whitened rows Z.
        given: (W*, W⁰) to start from instead of a draw.
        num_steps: T.
        sizes: n, test rows, d.
        matrix: "dense" stores X, "revealed" has the law of a Gaussian X without storing it.
        dtype: "float32" stores X and multiplies by it in single precision; everything else stays as it is.
        record: what is recorded beside the curves, see `dyntheory.dynamics.observables`.
    """
    num_samples, num_test, num_features = sizes
    scales = _scales(law, num_features)
    input_key, weight_key, noise_key = jax.random.split(key, 3)
    if matrix == "revealed":
        data = finite_matrix(
            input_key,
            num_samples,
            num_features,
            num_teacher_units=law.num_teacher_units,
            num_units=method.num_units,
        )
        test = None
    else:
        train, test = draw_inputs(inputs, input_key, num_samples, num_test, num_features, _stored(dtype))
        data = DenseMatrix(train)
    teacher, weights = given if given is not None else _draw_weights(law, joint_second_moment, weight_key, num_features)
    start = Start(
        teacher_weights=teacher,
        weights=weights,
        label_noise=jax.random.normal(noise_key, (num_samples, law.num_outputs), float),
        head=head,
        samples_per_feature=jnp.asarray(num_samples / num_features),
        sample_uniforms=_uniforms(noise_key, 1, (num_steps, num_samples, method.sample_noise)),
        feature_uniforms=_uniforms(noise_key, 2, (num_steps, num_features, method.feature_noise)),
    )
    records = run(
        law,
        method,
        scaled(data, scales),
        start,
        num_steps=num_steps,
        record=(*record, *rows_of("weights")) if num_test else record,
    )
    if test is None or not num_test:
        return Curves(records, *population_metrics(law, method, records.gram, records.head, test_nodes))
    path, fresh = records.recorded.pop("weights"), scaled(DenseMatrix(test), scales)
    return Curves(records, *sample_metrics(law, method, fresh, teacher, path, records.head))


def _draw_weights(law: TeacherStudent, moment: Array, key: Key, num_features: int) -> tuple[Array, Array]:
    normals = jax.random.normal(key, (num_features, moment.shape[0]), float)
    r, spectrum = law.num_teacher_units, law.features
    powers = None if spectrum is None else spectrum.amplitudes(spectrum.modes_of(num_features), r)
    rows = starting_rows(moment, law.teacher_priors, normals, amplitudes=powers)
    return rows[:, :r], rows[:, r:]


def _scales(law: TeacherStudent, num_features: int) -> Array | None:
    """Return √λ of every feature, None where all of them are one."""
    return None if law.features is None else law.features.scales(law.features.modes_of(num_features))


def _uniforms(key: Key, number: int, shape: tuple[int, int, int]) -> Array | None:
    return jax.random.uniform(jax.random.fold_in(key, number), shape, float) if shape[2] else None


def _stored(dtype: str) -> Any:
    return jnp.float32 if dtype == "float32" else float
