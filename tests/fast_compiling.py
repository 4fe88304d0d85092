"""How the tests compile: fast rather than well, with those options which the installed XLA knows.

Compiling is most of the time of the tests. XLA ends the process at a flag it does not know, and flags come and go:
jaxlib 0.12 has no `xla_cpu_use_fusion_emitters` any more. `python -m tests.fast_compiling` prints the known ones as
flags.
"""

import functools

import jax

Options = dict[str, str | bool]
# No optimisations by LLVM, and loops emitted the plain way.
WANTED: Options = {
    "xla_backend_optimization_level": "0",
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_use_fusion_emitters": False,
}


def is_known(name: str, value: str | bool) -> bool:
    """Say whether the installed XLA has an option of this name."""
    try:
        jax.jit(lambda: 0, compiler_options={name: value}).lower().compile()
    except jax.errors.JaxRuntimeError as error:
        if "No such compile option" not in str(error):
            raise
        return False
    return True


@functools.cache
def options() -> Options:
    """Return the options for `jax.jit(..., compiler_options=...)`."""
    return {name: value for name, value in WANTED.items() if is_known(name, value)}


if __name__ == "__main__":
    print(*(f"--{name}={str(value).lower()}" for name, value in options().items()))
