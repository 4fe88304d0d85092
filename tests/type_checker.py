"""The type checker of the import hook, one decoration at a time.

beartype collects its own warnings while it decorates, in `warnings.catch_warnings`, which swaps settings of the whole
process. Functions defined inside others are decorated whenever these are traced, and a node set and its sub-nets are
traced in threads beside each other: two decorations at once can leave the settings of the first behind, and what the
library warns of later is then lost.
"""

import threading
from collections.abc import Callable
from typing import Any

import beartype

_LOCK = threading.RLock()


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with checks of its arguments and of what it returns."""
    with _LOCK:
        return beartype.beartype(function)
