"""The loop on labels that are given: the run of the law that made them, without its teacher."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.dynamics.loop import Start, run
from dyntheory.matrix.dense import DenseMatrix


@pytest.mark.parametrize("num_outputs", [1, 2])
def test_given_labels_stand_for_the_law_that_made_them(num_outputs: int, double: None) -> None:
    random = np.random.default_rng(0)
    rows, noise = (jnp.asarray(random.normal(size=shape)) for shape in ((30, 20), (30, num_outputs)))
    teacher, first = (jnp.asarray(random.normal(size=(20, units))) for units in (2, 3))
    link = jnp.tanh if num_outputs == 2 else lambda z: z[0] * z[1]
    law = dt.TeacherStudent(1.5, link=link, noise_std=0.3, teacher_second_moment=np.eye(2))
    method = dt.gradient_descent(dt.MLP((3,), num_outputs=num_outputs), optax.sgd, learning_rate=0.5)
    head, alpha = method.init_head(jax.random.key(0)), jnp.asarray(1.5)
    known = run(law, method, DenseMatrix(rows), Start(teacher, first, noise, head, alpha), num_steps=4)
    blind = Start(jnp.zeros((20, 0)), first, jnp.zeros((30, 0)), head, alpha)
    given = run(known.labels, method, DenseMatrix(rows), blind, num_steps=4)
    np.testing.assert_allclose(given.train_loss, known.train_loss, rtol=1e-10)
    np.testing.assert_allclose(given.gram, known.gram[:, 2:, 2:], rtol=1e-10)
    other = run(known.labels[::-1], method, DenseMatrix(rows), blind, num_steps=4)
    assert np.abs(other.train_loss / known.train_loss - 1).max() > 0.01
