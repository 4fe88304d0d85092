"""Compiled programs kept from one process to the next, in a folder that only its user can read or write.

Loading a program runs it, so the folder must be the user's own (0700). It is keyed by the versions of the library and
of JAX and by the processor: a program compiled for another one must not be loaded.
"""

from __future__ import annotations

import hashlib
import os
import platform
import stat
import warnings
from pathlib import Path

from dyntheory.ground.status import DyntheoryWarning
from dyntheory.ground.version import __version__

VARIABLE = "DYNTHEORY_COMPILATION_CACHE"
OFF = "off"
MAX_BYTES = 2**30


def enable_compilation_cache(folder: Path | str | None = None) -> Path | None:
    """Keep compiled programs for later processes: JAX's persistent compilation cache, all that this process compiles.

    Call it before the first computation. What JAX was configured to use already is left as it is.

    Args:
        folder: where they are kept, below it by version and processor; default what the environment variable
            DYNTHEORY_COMPILATION_CACHE names, else `~/.cache/dyntheory/compiled`. Must be yours alone: a program that
            is loaded is run.

    Returns:
        The folder in use, None where nothing is kept: the variable is "off", JAX keeps its programs elsewhere already,
        or, with a warning, the folder cannot be made or is open to others.

    Raises:
        TypeError: not a path.
    """
    import jax

    from dyntheory.ground.kinds import check_arguments

    check_arguments(enable_compilation_cache, locals())
    wanted = os.environ.get(VARIABLE, "") if folder is None else folder
    if (folder is None and str(wanted).lower() == OFF) or getattr(jax.config, "jax_compilation_cache_dir", None):
        return None
    try:
        root = Path(wanted) if wanted else _default_root()
        own = root / f"{__version__}-jax{jax.__version__}-{_processor()}"
        own.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_private(own)
    except (OSError, RuntimeError) as error:  # a user without a home folder is a RuntimeError
        warnings.warn(
            f"Compiled programs are not kept ({error}): set {VARIABLE} to a folder of yours, or to {OFF}.",
            DyntheoryWarning,
            stacklevel=2,
        )
        return None
    jax.config.update("jax_compilation_cache_dir", str(own))
    jax.config.update("jax_compilation_cache_max_size", MAX_BYTES)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)  # a first call makes many small programs
    return own


def _default_root() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "dyntheory" / "compiled"


def _processor() -> str:
    """Return a short name of the processor and what it can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        text = "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
    except OSError:
        text = platform.processor()
    return hashlib.sha256(f"{platform.machine()}\n{text}".encode()).hexdigest()[:16]


def _check_private(folder: Path) -> None:
    if os.name != "posix":
        return
    status = folder.stat()
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise PermissionError(f"'{folder}' must belong to you and be closed to others (chmod 700)")
