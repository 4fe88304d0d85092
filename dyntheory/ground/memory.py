"""How much memory a computation may take."""

from __future__ import annotations

import psutil

SHARE_OF_AVAILABLE = 0.8


def available_memory() -> int:
    """Return the bytes a computation may take by default: most of what is free now."""
    return int(SHARE_OF_AVAILABLE * psutil.virtual_memory().available)
