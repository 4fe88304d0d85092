"""What a prediction takes is known before it starts, and what does not fit is refused."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest

import dyntheory as dt
from dyntheory.gaussian.nodes import NUM_BLOCKS, draw_nodes
from dyntheory.ground.precision import double_precision
from dyntheory.matrix.limit import limit_matrix
from dyntheory.problem.prepared import prepare
from dyntheory.problem.shape import Shape
from dyntheory.verbs.prediction import cost as cost_module
from dyntheory.verbs.prediction import pieces
from dyntheory.verbs.prediction.pieces import LimitProblem, nets_for, solve

METHOD = dt.gradient_descent(dt.MLP(hidden=(2,)), optax.sgd, learning_rate=0.3)


def test_memory_covers_what_a_run_holds(law: dt.TeacherStudent, monkeypatch: pytest.MonkeyPatch) -> None:
    """The arrays of the last state, counted; the rest is copies while the basis grows."""
    monkeypatch.setattr(pieces, "PIECE", 4)
    steps, nodes, held = 12, 2**12, []
    with double_precision():
        ready = prepare(law, METHOD, jax.random.key(0), head=None, first_layer=None, num_heads=1)
        problem = LimitProblem(ready.law, ready.method, ready.heads[0], ready.joint_second_moment)
        test = draw_nodes(2**8, Shape.of(law, METHOD, 0).test_dimensions, num_heavy=1, seed=0)
        nets = nets_for(law, METHOD, num_steps=steps, num_nodes=nodes, key=jax.random.key(0))

        def count(state: pieces.State) -> None:
            held.append(sum(leaf.nbytes for leaf in jax.tree.leaves((state.fixed, state.carry))))

        solve(problem, nets, test, num_steps=steps, after_piece=count)
    estimated = dt.prediction_cost(law, METHOD, num_steps=steps, num_nodes=nodes).memory
    assert held[-1] < estimated < 4 * held[-1]


def test_cost_grows_as_the_arrays_do(law: dt.TeacherStudent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost_module, "_bandwidth", lambda: 1e10)
    one = dt.prediction_cost(law, METHOD, num_steps=200, num_nodes=2**15)
    twice_the_nodes = dt.prediction_cost(law, METHOD, num_steps=200, num_nodes=2**16)
    twice_the_steps = dt.prediction_cost(law, METHOD, num_steps=400, num_nodes=2**15)
    assert twice_the_nodes.seconds == pytest.approx(2 * one.seconds)
    assert twice_the_steps.seconds == pytest.approx(4 * one.seconds, rel=0.02)
    assert twice_the_nodes.memory == pytest.approx(2 * one.memory, rel=0.1)
    assert one.num_columns == 1 + 1 + 1 + 2 * 201 + 2 * 200


def _bytes_of_a_step(num_modes: int, num_steps: int) -> float:
    """Return what the compiled program of one step of a linear method reads and writes, on few sample nodes."""
    with double_precision():
        law = dt.TeacherStudent(2.0, features=dt.spectra.power_law(0.6, num_modes=num_modes))
        nodes = draw_nodes(2**8, Shape(num_steps, 1, 1).sample_dimensions, num_heavy=1, seed=0)
        start = limit_matrix(law, jnp.eye(2), nodes, num_steps=num_steps)
        first, _ = start.matrix.times(
            start.matrix.init(), jnp.concatenate([start.teacher_weights, start.weights], axis=1)
        )

        def step(state: Any, weights: jax.Array, residuals: jax.Array) -> Any:
            state, update = start.matrix.transpose_times(state, residuals)
            return start.matrix.times(state, weights + update)

        arguments = start.matrix.grow(first, num_steps), start.weights, jnp.ones((2**8, 1))
        found = jax.jit(step).lower(*arguments).compile().cost_analysis()
    assert found is not None
    return found["bytes accessed"]


@pytest.mark.full
def test_seconds_know_what_correlated_features_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What more modes add to the compiled step, times steps and solutions, within a factor of 1.3 from 25 steps on."""
    monkeypatch.setattr(cost_module, "_bandwidth", lambda: 1.0)
    method, steps = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.1), 25

    def seconds(num_modes: int) -> float:
        law = dt.TeacherStudent(2.0, features=dt.spectra.power_law(0.6, num_modes=num_modes))
        return dt.prediction_cost(law, method, num_steps=steps, num_nodes=2**9).seconds

    estimated = seconds(24) - seconds(8)
    # One piece has the whole capacity from its start; the estimate has half of it, as a long run has.
    compiled = (_bytes_of_a_step(24, steps) - _bytes_of_a_step(8, steps)) * steps / 2 * (1 + NUM_BLOCKS)
    assert 1 / 1.3 < estimated / compiled < 1.3


def test_long_runs_on_correlated_features_are_dominated_by_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost_module, "_bandwidth", lambda: 1e10)
    method = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.1)
    plain, spectral = (
        dt.prediction_cost(dt.TeacherStudent(2.0, features=features), method, num_steps=400, num_nodes=2**14)
        for features in (None, dt.spectra.power_law(1.2, num_modes=200))
    )
    assert spectral.seconds > 20 * plain.seconds and spectral.seconds > 60
    assert spectral.memory > plain.memory


def test_what_does_not_fit_is_refused_before_it_starts(law: dt.TeacherStudent, key: jax.Array) -> None:
    with pytest.raises(ValueError, match=r"needs about .* GB .*0\.001 GB may be used: lower `num_nodes`"):
        dt.predict(law, METHOD, num_steps=10, num_nodes=2**14, key=key, max_memory=10**6)


def test_memory_ends_the_doubling_with_a_status(law: dt.TeacherStudent, key: jax.Array) -> None:
    budget = dt.prediction_cost(law, METHOD, num_steps=0, num_nodes=2**12).memory
    with pytest.warns(dt.DyntheoryWarning, match="within the budget"):
        result = dt.predict(law, METHOD, num_steps=0, num_nodes=2**11, key=key, rtol=1e-7, max_memory=budget)
    assert result.status.code == "unresolved" and "within the budget" in result.status.message
    assert result.provenance["num_nodes"] == 2**12
