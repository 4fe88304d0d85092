"""Programs compile fast or well by their sizes alone, with options that the installed XLA has, and for themselves."""

import threading
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.ground import compiling
from dyntheory.ground.compiling import compiled, is_brief, known, options
from dyntheory.verbs.prediction import pieces


def test_options_are_those_that_this_xla_knows() -> None:
    """An option that it lacks would end every call; one that it has is used, on processors alone."""
    assert known({"xla_no_such_option": True}) == {}
    jax.jit(lambda: 0, compiler_options=options(fast=True)).lower().compile()
    for backend, has_some in (("cpu", True), ("gpu", False)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jax, "default_backend", lambda backend=backend: backend)
            fast, well = (options.__wrapped__(fast=fast) for fast in (True, False))
        assert (fast.items() > well.items()) == bool(fast) == has_some


def test_a_program_is_made_once_whatever_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, Any]] = []
    plain = jax.jit

    def noted(function: Any, **keywords: Any) -> Any:
        made.append(keywords)
        return plain(function, **keywords)

    def cubes(x: jax.Array, *, times: int) -> jax.Array:
        """Cube."""
        return times * x**3

    monkeypatch.setattr(jax, "jit", noted)
    options(fast=True)  # asked for beforehand: asking compiles as well
    made.clear()
    program = compiled(cubes, fast=True, static_argnames="times")
    assert (getattr(program, "__name__", ""), program.__doc__, made) == ("cubes", "Cube.", [])
    found: list[jax.Array] = []
    threads = [threading.Thread(target=lambda: found.append(program(jnp.arange(3.0), times=2))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [{"compiler_options": options(fast=True), "static_argnames": "times"}]
    np.testing.assert_array_equal(np.stack(found), [[0.0, 2.0, 16.0]] * 4)


def test_inside_another_program_it_is_a_part_of_it() -> None:
    """XLA takes options for whole programs only: a part with options of its own would be refused."""
    double = compiled(lambda x: 2 * x, fast=True)
    assert float(jax.jit(lambda x: double(x) + 1)(3.0)) == 7.0
    assert float(jax.grad(double)(3.0)) == 2.0
    with pytest.raises(Exception, match="compiler_options"):
        jax.jit(lambda x: jax.jit(lambda y: 2 * y, compiler_options=options(fast=True))(x))(3.0)


def test_short_runs_compile_fast_and_long_ones_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the sizes of the whole prediction, for all nodes and for the sub-nets; numbers agree but for rounding."""
    used: set[bool] = set()

    def noting(fast: bool, program: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            used.add(fast)
            return program(*args, **kwargs)

        return call

    monkeypatch.setattr(pieces, "_ADVANCE", {fast: noting(fast, one) for fast, one in pieces._ADVANCE.items()})
    method = dt.gradient_descent(dt.MLP((2,), "tanh"), optax.sgd, learning_rate=0.3)
    law, curves = dt.TeacherStudent(2.0, noise_std=0.3), []
    for most, fast in ((2**10 * 3 * 2, True), (2**10 * 3 * 2 - 1, False)):
        monkeypatch.setattr(compiling, "MOST_WORK", most)
        used.clear()
        curves.append(dt.predict(law, method, num_steps=3, num_nodes=2**10, key=jax.random.key(0)))
        assert used == {fast}
    np.testing.assert_allclose(curves[0].test_error, curves[1].test_error, rtol=1e-12)


def test_what_is_recorded_as_a_reference_runs_long() -> None:
    """A prediction of seconds is worth its compiler: 100 steps of four units on 2^14 nodes."""
    assert is_brief(2**11, 20, 3) and not is_brief(2**14, 100, 4)


def test_programs_are_forgotten_before_there_are_too_many(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = compiled(lambda x: x + 1.0)
    maps = tmp_path / "maps"
    monkeypatch.setattr(compiling, "MAPS", maps)
    maps.write_text("one\n" * compiling.MOST_MAPS)
    program(jnp.zeros(2))
    assert program.num_programs == 1
    maps.write_text("one\n" * (compiling.MOST_MAPS + 1))
    program(jnp.zeros(2))
    assert program.num_programs == 1  # nothing was compiled, so nobody looked
    program(jnp.zeros(3))
    assert program.num_programs == 0
    assert float(program(jnp.zeros(3))[0]) == 1.0
