"""What a terminal is told meanwhile: a progress bar after two seconds, and warnings as single lines."""

from __future__ import annotations

import contextlib
import sys
import threading
import warnings
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from dyntheory.ground.status import DyntheoryWarning

PATIENCE = 2.0


@contextlib.contextmanager
def progress_bar(title: str, *, patience: float = PATIENCE) -> Iterator[Callable[[float, str], None]]:
    """Yield a function (fraction, text) that moves a bar; the bar appears after `patience` seconds.

    It is drawn on the error stream, and only when that and the output are both terminals.
    """
    console = Console(stderr=True)
    if not (console.is_terminal and sys.stdout.isatty()):
        yield lambda fraction, text: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task(title, total=1.0)
    timer = threading.Timer(patience, bar.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda fraction, text: bar.update(task, completed=fraction, description=f"{title}: {text}")
    finally:
        timer.cancel()
        timer.join()
        bar.stop()


@contextlib.contextmanager
def warnings_as_lines() -> Iterator[list[str]]:
    """Turn the library's warnings into single lines on the error stream; the texts yielded back are left out."""
    known: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DyntheoryWarning)
        yield known
    for warning in caught:
        if not issubclass(warning.category, DyntheoryWarning):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        elif str(warning.message) not in known:
            print(f"dyntheory: warning: {warning.message}", file=sys.stderr)
