"""What any matrix obeys, asked of the revealed one: linear, adjoint, consistent with what it said before."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dyntheory.gaussian.nodes import draw_nodes
from dyntheory.matrix.limit import check_nodes, limit_matrix
from dyntheory.matrix.revealed import RevealedMatrix
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.shape import Shape

ALPHA, STEPS, UNITS = 1.7, 6, 2


pytestmark = pytest.mark.usefixtures("double")
times = jax.jit(RevealedMatrix.times)
transpose_times = jax.jit(RevealedMatrix.transpose_times)


@functools.cache
def _asked() -> dict[str, Any]:
    """Ask a limit matrix about nonlinear functions of its own answers; keep questions and answers."""
    nodes = draw_nodes(2**12, Shape(STEPS, UNITS, 1).sample_dimensions, num_heavy=1, seed=0)
    start = limit_matrix(TeacherStudent(ALPHA), jnp.eye(1 + UNITS), nodes, num_steps=STEPS)
    matrix = start.matrix
    state, z = times(matrix, matrix.init(), start.teacher_weights)
    state = matrix.grow(state, STEPS)
    w, questions, answers = start.weights, [], []
    for _ in range(STEPS - 1):
        state, h = times(matrix, state, w)
        g = jnp.tanh(h + z) - 0.3 * h**2
        state, p = transpose_times(matrix, state, g)
        questions.append((w, g))
        answers.append((h, p))
        w = 0.7 * w - 0.2 * p
    return {"matrix": matrix, "state": state, "questions": questions, "answers": answers}


def test_answers_are_adjoint() -> None:
    """Σ_i g_i h_i = Σ_j p_j w_j for every pair of questions: α⟨g, Xw/√d⟩ = ⟨Xᵀg/√d, w⟩."""
    asked = _asked()
    matrix: RevealedMatrix = asked["matrix"]
    for w, _ in asked["questions"]:
        h = times(matrix, asked["state"], w)[1]
        for (_, g), (_, p) in zip(asked["questions"], asked["answers"], strict=True):
            np.testing.assert_allclose(ALPHA * matrix.rows.gram(g, h), matrix.columns.gram(p, w), atol=1e-12)


def test_the_same_question_has_the_same_answer() -> None:
    asked = _asked()
    matrix: RevealedMatrix = asked["matrix"]
    for (w, g), (h, p) in zip(asked["questions"], asked["answers"], strict=True):
        np.testing.assert_allclose(times(matrix, asked["state"], w)[1], h, atol=1e-11)
        np.testing.assert_allclose(transpose_times(matrix, asked["state"], g)[1], p, atol=1e-11)


def test_answers_are_linear() -> None:
    asked = _asked()
    matrix: RevealedMatrix = asked["matrix"]
    (w0, g0), (w1, g1) = asked["questions"][1], asked["questions"][3]
    (h0, p0), (h1, p1) = asked["answers"][1], asked["answers"][3]
    np.testing.assert_allclose(times(matrix, asked["state"], 2 * w0 - w1)[1], 2 * h0 - h1, atol=1e-11)
    np.testing.assert_allclose(transpose_times(matrix, asked["state"], g0 + 3 * g1)[1], p0 + 3 * p1, atol=1e-11)


def test_without_memory_answers_are_not_adjoint() -> None:
    """The negative control of the three tests above."""
    asked = _asked()
    matrix = dataclasses.replace(asked["matrix"], memory=False)
    w = asked["questions"][3][0]
    h = times(matrix, asked["state"], w)[1]
    _, g = asked["questions"][1]
    _, p = asked["answers"][1]
    defect = np.abs(ALPHA * matrix.rows.gram(g, h) - matrix.columns.gram(p, w)).max()
    assert defect > 1e-3


def test_questions_need_not_alternate() -> None:
    """Two questions about orthogonal directions in a row get independent answers."""
    nodes = draw_nodes(2**10, Shape(4, UNITS, 1).sample_dimensions, num_heavy=1, seed=1)
    start = limit_matrix(TeacherStudent(1.0), jnp.eye(3), nodes, num_steps=4)
    matrix = start.matrix
    assert isinstance(matrix, RevealedMatrix)
    state, z = times(matrix, matrix.init(), start.teacher_weights)
    state = matrix.grow(state, 4)
    first, second = (jnp.eye(start.weights.shape[0])[:, a : a + 2] for a in (1, 4))
    state, one = times(matrix, state, first)
    state, other = times(matrix, state, second)
    np.testing.assert_allclose(matrix.rows.gram(one, other), 0, atol=1e-12)
    np.testing.assert_allclose(matrix.rows.gram(other, other), np.eye(2), atol=1e-12)
    np.testing.assert_allclose(matrix.rows.gram(other, z), 0, atol=1e-12)


def test_node_sets_that_are_too_small_are_refused() -> None:
    for count, size, message in ((5, 256, "14 coordinates"), (14, 16, "at least")):
        nodes = draw_nodes(size, count, num_heavy=1, seed=0)
        with pytest.raises(ValueError, match=message):
            check_nodes(Shape(5, 2, 1), nodes)


def test_growth_in_pieces_changes_nothing() -> None:
    nodes = draw_nodes(2**10, Shape(4, UNITS, 1).sample_dimensions, num_heavy=1, seed=1)
    answers = []
    for pieces in ((4,), (1, 2, 1)):
        start = limit_matrix(TeacherStudent(1.0), jnp.eye(3), nodes, num_steps=4)
        state, _ = times(start.matrix, start.matrix.init(), start.teacher_weights)
        w = start.weights
        for piece in pieces:
            state = start.matrix.grow(state, piece)
            for _ in range(piece):
                state, h = times(start.matrix, state, w)
                state, p = transpose_times(start.matrix, state, jnp.tanh(h))
                w = w - 0.5 * p
        answers.append(times(start.matrix, state, w)[1])
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-12)


def test_columns_are_counted() -> None:
    """1, the label noise, r + k (T+1) innovations and k T directions."""
    assert Shape(4, UNITS, 1).columns == 1 + 1 + 1 + UNITS * 5 + UNITS * 4
