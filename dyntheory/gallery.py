"""The pictures of the field: the public door of `dyntheory.plot.gallery`."""

from dyntheory.plot import gallery
from dyntheory.plot.gallery import *  # noqa: F403

__all__ = [*gallery.__all__]
