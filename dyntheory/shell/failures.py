"""What a person reads when a command fails: one line, and never a traceback unless it is asked for.

Whatever a file or an argument holds ends in `BAD_INPUT`. What remains is a fault of the library: `FAULT`, with the way
to its traceback.
"""

from __future__ import annotations

import os

from dyntheory.shell.exit_status import BAD_INPUT, FAULT

DEBUG = "DYNTHEORY_DEBUG"
LONGEST = 2000
EXPECTED = (ValueError, TypeError, OSError, ModuleNotFoundError)
TYPED = {"force=True (--force)": "--force", "resume=True (--resume)": "--resume"}  # as keywords: as options


def wants_traceback() -> bool:
    """Return whether the environment variable DYNTHEORY_DEBUG asks for tracebacks."""
    return os.environ.get(DEBUG, "") not in ("", "0")


def explained(error: Exception) -> tuple[str, int]:
    """Return one line about an error that ended a command, and the exit status.

    Example:
        >>> explained(ValueError("`num_steps` must be an integer."))
        ('`num_steps` must be an integer.', 2)
        >>> explained(MemoryError())
        ('more memory is needed than there is: ask for fewer steps, runs, nodes or features.', 2)
    """
    text = _shortened(" ".join(str(error).split()))
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text:
        detail = f" ({text})" if text else ""
        return f"more memory is needed than there is{detail}: ask for fewer steps, runs, nodes or features.", BAD_INPUT
    if isinstance(error, EXPECTED):
        for keyword, option in TYPED.items():
            text = text.replace(keyword, option)
        return text or type(error).__name__, BAD_INPUT
    kind = type(error).__name__
    return f"a fault of dyntheory, {kind}: {text} Set {DEBUG}=1 to see where, and please report it.", FAULT


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"
