"""A claim as a value: one sentence that can be wrong, the rule that decides, and what measures, judges and draws it.

A script states one, `CLAIM`, and this file does what is the same for all: measure, judge, print, record, draw, exit.

    CLAIM.check()                         # in Python: the record
    python -m validation.layers --quick   # on the command line: the exit status of its outcome
    python -m validation                  # all of them
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import tyro
from matplotlib.figure import Figure

from dyntheory.ground.files import replacing
from dyntheory.plot.style import save_figure
from validation import sentence
from validation.record import RESULTS, Outcome, Record, aligned, provenance

Settings = TypeVar("Settings")
Found = TypeVar("Found")
Verdict = tuple[Outcome, Mapping[str, Any]]  # and the numbers that the record keeps


@dataclasses.dataclass(frozen=True)
class Options(Generic[Settings]):
    """The command line of a claim.

    Args:
        settings: what is run.
        quick: small sizes for all that is not set here.
        results: directory for what is left behind; default validation/results where the claim itself is checked, else
            none.
    """

    settings: Settings
    quick: bool = False
    results: Path | None = None


@dataclasses.dataclass(frozen=True)
class Claim(Generic[Settings, Found]):
    """One claim.

    Args:
        name: of the script, the record and the figure.
        doc: of the script: the claim, its pass rule in full, its controls, how its settings came about.
        pass_rule: what decides, in one sentence.
        settings: a dataclass whose defaults are what is claimed.
        quick: settings at which the same takes seconds.
        measure: returns everything that is found.
        judge: returns the outcome and the numbers of the record.
        draw: returns the figure, NAME.png; without one the table is kept, NAME.md.
        table: returns the lines that are printed; default the numbers of the record.
        is_claimed: whether settings, on this machine, are those of the claim; default whether they are the defaults.
        dtype: what the record says of the precision.
    """

    name: str
    doc: str | None
    _: dataclasses.KW_ONLY
    pass_rule: str
    settings: type[Settings]
    quick: Settings
    measure: Callable[[Settings], Found]
    judge: Callable[[Found, Settings], Verdict]
    draw: Callable[[Found, Settings], Figure] | None = None
    table: Callable[[Found, Settings], Iterable[str]] | None = None
    is_claimed: Callable[[Settings], bool] | None = None
    dtype: str = "float64"

    @property
    def text(self) -> str:
        """One sentence that can be wrong."""
        return sentence(self.doc)

    def check(self, settings: Settings | None = None, *, results: Path | None = None) -> Record:
        """Measure, judge, print; leave a record and a figure behind.

        Args:
            settings: what is run; default the settings of the claim.
            results: where record and figure go; default validation/results if this is what is claimed, else nowhere.
        """
        chosen: Any = self.settings() if settings is None else settings
        found = self.measure(chosen)
        outcome, numbers = self.judge(found, chosen)
        origin = provenance(dtype=self.dtype)
        record = Record(self.name, self.text, self.pass_rule, dataclasses.asdict(chosen), numbers, outcome, origin)
        table = "\n".join(aligned(numbers) if self.table is None else self.table(found, chosen))
        print(f"{table}\n{outcome.value}: {self.text}", flush=True)
        is_claimed = self.is_claimed(chosen) if self.is_claimed else chosen == self.settings()
        directory = results or (RESULTS if is_claimed else None)
        if directory is not None:
            record.write(directory)
            if self.draw is not None:
                save_figure(self.draw(found, chosen), directory / f"{self.name}.png", force=True)
            else:
                with replacing(directory / f"{self.name}.md", force=True) as beside:
                    beside.write_text(table + "\n", encoding="utf-8")
        return record

    def command(self, arguments: Sequence[str] | None = None) -> int:
        """Check what the command line asks for and return the exit status."""
        given = sys.argv[1:] if arguments is None else arguments
        chosen = self.quick if "--quick" in given else self.settings()
        options: Options[Any] = tyro.cli(
            Options[type(chosen)],
            default=Options(chosen),
            args=given,
            prog=f"python -m validation.{self.name}",
            description=self.doc,
            config=(tyro.conf.OmitArgPrefixes,),
        )
        return self.check(options.settings, results=options.results).exit_status
