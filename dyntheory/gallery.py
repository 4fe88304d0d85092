"""The pictures of the field: the public door of `dyntheory.plot.gallery`."""

from dyntheory.plot.gallery import *  # noqa: F403
from dyntheory.plot.gallery import __all__ as __all__
