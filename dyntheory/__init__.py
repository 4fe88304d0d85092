"""dyntheory: how a neural network will learn, predicted without training it.

Theory and simulation are one loop over one description of the algorithm: a random matrix answers X·w and Xᵀ·g, and
whoever answers (a dense array, or the limit n, d → ∞) decides what you get.
"""

from __future__ import annotations

import lazy_loader

# The public names are those of `__init__.pyi`, where checkers and editors read them too. Each is imported when it is
# asked for: `import dyntheory` loads no other package, JAX least of all.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
