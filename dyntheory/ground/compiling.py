"""How programs are compiled: well where they run for long, fast where a first call would mostly wait for the compiler.

On processors most of that wait is LLVM's. Loops emitted the plain way, where XLA still can, save a third of it and cost
predictions nothing when they run; without LLVM's optimisations a first prediction waits half of what is left, and
later ones run up to half as long again, kernels of positions several times as long. Which of the two a program gets
depends on its sizes alone, so the same call always gives the same bits. The options belong to the programs of this
library and touch no other; on accelerators, where none of this was measured, there are none.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import jax

from dyntheory.ground.tracing import is_traced

Result = TypeVar("Result")
Options = dict[str, Any]

PLAIN_LOOPS: Options = {"xla_cpu_use_fusion_emitters": False}  # jaxlib 0.12 has no such option any more
UNOPTIMISED: Options = {"xla_backend_optimization_level": "0"}
MOST_WORK = 3 * 2**19
MAPS, MOST_MAPS = Path("/proc/self/maps"), 45_000


def is_brief(num_nodes: int, num_steps: int, num_units: int) -> bool:
    """Return whether a run is short enough for a program that compiles fast: some tenths of a second."""
    return num_nodes * num_steps * num_units <= MOST_WORK


class Compiled(Generic[Result]):
    """A function that is compiled when it is called; inside another program it is a part of that one."""

    def __init__(self, function: Callable[..., Result], fast: bool, keywords: dict[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self.function, self.fast, self.keywords = function, fast, keywords
        self._lock, self._jitted = threading.Lock(), None

    @property
    def jitted(self) -> Any:
        """What `jax.jit` makes of it; made once, or two threads would compile for programs of their own."""
        with self._lock:
            if self._jitted is None:
                chosen = options(fast=self.fast) or None
                self._jitted = jax.jit(self.function, compiler_options=chosen, **self.keywords)
            return self._jitted

    def __call__(self, *args: Any, **kwargs: Any) -> Result:
        """Run it, compiled unless a program is being traced."""
        if is_traced((self.function, args, kwargs)):
            return self.function(*args, **kwargs)
        jitted = self.jitted
        before = jitted._cache_size()
        result = jitted(*args, **kwargs)
        if jitted._cache_size() > before:
            forget_if_many()
        return result

    @property
    def num_programs(self) -> int:
        """How many programs were compiled: one for every set of shapes and static arguments."""
        return self.jitted._cache_size()


def forget_if_many() -> None:
    """Forget all compiled programs before there are too many.

    Each holds some hundred memory maps, of which Linux grants a process 65,530; LLVM ends it at the next one.
    """
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()


def compiled(function: Callable[..., Result], *, fast: bool = False, **keywords: Any) -> Compiled[Result]:
    """Return `jax.jit(function, **keywords)` with options of its own, which are asked for at the first call.

    Args:
        function: what is compiled.
        fast: whether it compiles fast rather than well.
        **keywords: of `jax.jit`.
    """
    return Compiled(function, fast, keywords)


@functools.cache
def options(*, fast: bool) -> Options:
    """Return compiler options that the installed XLA knows, for the default backend; none but for processors."""
    if jax.default_backend() != "cpu":
        return {}
    return known({**PLAIN_LOOPS, **UNOPTIMISED} if fast else PLAIN_LOOPS)


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
