"""Learning as a flow in time: order parameters, modes, particles that obey ordinary differential equations.

Each folder is one theory with its simulation beside it, and a door of `dyntheory` itself.
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=("charges", "deep_linear", "memory", "online", "perceptron")
)
