"""The flags of `make test` are known to the installed XLA, which would end the process at any other."""

import os
import subprocess
import sys

from tests import ROOT


def _starts(flags: str) -> bool:
    """Say whether JAX finds its devices under these flags."""
    code = "import jax; jax.devices()"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, cwd=ROOT).returncode == 0


def test_known_flags_are_printed_and_others_left_out() -> None:
    command = [sys.executable, "-m", "tests.fast_compiling"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert "--xla_backend_optimization_level=0" in printed
    assert _starts(printed)
    assert not _starts("--xla_no_such_option=true")
