"""Warnings of the library, told apart by the thread that they come from."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator
from typing import Any

from dyntheory.ground.status import DyntheoryWarning

_heard = threading.local()


@contextlib.contextmanager
def warnings_by_thread() -> Iterator[None]:
    """Let `heard` collect the library's warnings, in all threads, while this lasts.

    `warnings.catch_warnings` alone is for one thread: two that use it at a time lose what they caught.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("always", DyntheoryWarning)
        usual = warnings.showwarning

        def show(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
            found = getattr(_heard, "texts", None)
            if found is not None and issubclass(category, DyntheoryWarning):
                found.append(str(message))
            else:
                usual(message, category, *where, **more)

        warnings.showwarning = show
        yield


@contextlib.contextmanager
def heard() -> Iterator[list[str]]:
    """Yield the texts of the library's warnings in this thread, as they come."""
    _heard.texts = texts = []
    try:
        yield texts
    finally:
        _heard.texts = None
