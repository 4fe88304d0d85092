"""How the tests compile: fast rather than well, with those options which the installed XLA knows.

Compiling is most of the time of the tests. XLA ends the process at a flag it does not know, and flags come and go:
jaxlib 0.12 has no `xla_cpu_use_fusion_emitters` any more. `python -m tests.fast_compiling` prints the known ones as
flags.
"""

import functools

from dyntheory.ground.compiling import PLAIN_LOOPS, UNOPTIMISED, Options, known

# No optimisations by LLVM, and loops emitted the plain way.
WANTED: Options = {**UNOPTIMISED, "xla_llvm_disable_expensive_passes": True, **PLAIN_LOOPS}


@functools.cache
def options() -> Options:
    """Return the options for `jax.jit(..., compiler_options=...)`."""
    return known(WANTED)


if __name__ == "__main__":
    print(*(f"--{name}={str(value).lower()}" for name, value in options().items()))
