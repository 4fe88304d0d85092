"""The versions that decide numbers to the last bit, and how the code of a function is written down."""

from __future__ import annotations

import platform
from importlib.metadata import version

from dyntheory.ground.version import __version__


def versions() -> dict[str, str]:
    """Return them by name."""
    minor = ".".join(platform.python_version_tuple()[:2])
    others = {name: version(name) for name in ("jax", "jaxlib", "numpy", "scipy")}
    return {"dyntheory": __version__, "python": minor, **others}
