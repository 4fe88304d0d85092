"""How programs are compiled: well where they run for long, fast where a first call would mostly wait for the compiler.

On processors most of that wait is LLVM's. Loops emitted the plain way cost nothing when they run and a third less to
compile, where XLA still can; without LLVM's optimisations a program compiles two to three times faster and runs up to
half as long again. Which of the two a program gets depends on its sizes alone, so the same call always gives the same
bits. The options belong to the programs of this library and touch no other.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import jax

from dyntheory.ground.tracing import is_traced

Result = TypeVar("Result")
Options = dict[str, Any]

PLAIN_LOOPS: Options = {"xla_cpu_use_fusion_emitters": False}  # jaxlib 0.12 has no such option any more
UNOPTIMISED: Options = {"xla_backend_optimization_level": "0"}
MOST_WORK = 2**19
LOCK = threading.Lock()


def is_brief(num_nodes: int, num_steps: int, num_units: int) -> bool:
    """Return whether a run is short enough for a program that compiles fast: at most 0.2 s of work on two cores."""
    return num_nodes * num_steps * num_units <= MOST_WORK


def compiled(function: Callable[..., Result], *, fast: bool = False, **keywords: Any) -> Callable[..., Result]:
    """Return `jax.jit(function, **keywords)` with these options, which are asked for at the first call.

    Inside another program it is a part of that one, and compiled as that one is.

    Args:
        function: what is compiled.
        fast: whether it compiles fast rather than well.
        **keywords: of `jax.jit`.
    """
    made: list[Any] = []

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Result:
        if is_traced((args, kwargs)):
            return function(*args, **kwargs)
        with LOCK:  # two threads would compile for programs of their own
            if not made:
                made.append(jax.jit(function, compiler_options=options(fast=fast) or None, **keywords))
        return made[0](*args, **kwargs)

    return call


@functools.cache
def options(*, fast: bool) -> Options:
    """Return compiler options that the installed XLA knows, for the default backend."""
    plain = known(PLAIN_LOOPS) if jax.default_backend() == "cpu" else {}
    return {**plain, **(known(UNOPTIMISED) if fast else {})}


def known(wanted: Options) -> Options:
    """Return those options that the installed XLA has: it refuses others."""
    return {name: value for name, value in wanted.items() if _is_known(name, value)}


def _is_known(name: str, value: Any) -> bool:
    try:
        jax.jit(lambda: 0, compiler_options={name: value}).lower().compile()
    except jax.errors.JaxRuntimeError as error:
        if "No such compile option" not in str(error):
            raise
        return False
    return True
