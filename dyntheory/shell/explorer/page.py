"""One visit of the page: its state, what it asked to be computed, and what it shows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from dyntheory.ground.arrays import Progress
from dyntheory.shell.explorer.form import fields_of, form_class, values_of, words_of
from dyntheory.shell.explorer.lanes import FINISHED, Failed, Lane, Progressed
from dyntheory.shell.explorer.results import Results
from dyntheory.shell.explorer.state import State, encoded
from dyntheory.shell.explorer.texts import TEXTS
from dyntheory.shell.explorer.toml_text import toml_text
from dyntheory.shell.explorer.work import Memory, Shown, simulation_of, theory_of
from dyntheory.shell.failures import explained

DEBOUNCE = 0.06  # seconds in which nothing newer must come before a prediction begins


class Lanes(NamedTuple):
    """The threads that all visits share: a simulation does not keep a prediction waiting."""

    theory: Lane
    simulation: Lane

    def close(self, timeout: float) -> None:
        """End all work and wait for the threads, at most that many seconds each."""
        for lane in self:
            lane.close(timeout)


class Page:
    """One visit.

    Args:
        state: to begin with.
        start: the state at the command line's start, which a person can go back to.
        lanes: that compute.
        token: of the address.
        at_ease: calls a function in the thread of the page; safe from other threads.
        location: of the browser; its `search` is written.
    """

    def __init__(
        self,
        state: State,
        start: State,
        lanes: Lanes,
        token: str,
        at_ease: Callable[[Callable[[], None]], object],
        location: Any,
    ) -> None:
        self.state, self.start, self.lanes = state, start, lanes
        self.token, self.at_ease, self.location = token, at_ease, location
        self.memory = Memory()
        self.newest = self.newest_simulation = 0
        texts = TEXTS[state.view["language"]]
        self.form = form_class()(
            fields=fields_of(state, texts),
            values=values_of(state),
            words=words_of(state, texts),
            sizing_mode="stretch_width",
        )
        self.form.hear = self._edited
        self.results = Results(texts, on_simulate=self.simulate, on_cancel=self.cancel)
        self.results.axis = state.view["axis"]
        self.refresh()

    def refresh(self, *, wait: float = 0.0) -> None:
        """Ask for the curves of the state as it is now."""
        self.newest += 1
        self.results.is_busy = True
        self.results.describe()
        state = self.state
        self.lanes.theory.submit(
            self,
            lambda progress: theory_of(state.table, self.memory, progress),
            self._to(self._theory, self.newest),
            wait=wait,
        )

    def simulate(self, *_: Any) -> None:
        """Ask for a simulation of the state as it is now."""
        state = self.state
        self.newest_simulation += 1

        def work(progress: Progress) -> Any:
            return simulation_of(state.table, self.memory, progress)

        self.results.simulation_begins()
        self.lanes.simulation.submit(self, work, self._to(self._simulation, self.newest_simulation))

    def cancel(self, *_: Any) -> None:
        """End the simulation; everything else stays."""
        self.newest_simulation += 1
        self.lanes.simulation.cancel(self)
        self.results.simulation_ends(was_cancelled=True)

    def close(self, *_: Any) -> None:
        """End what this visit asked for."""
        for lane in self.lanes:
            lane.cancel(self)

    def _to(self, handle: Callable[[Any, int], None], number: int) -> Callable[[Any], object]:
        return lambda value: self.at_ease(partial(handle, value, number))

    def _edited(self, message: dict[str, str]) -> None:
        name, text = str(message["name"]), str(message["text"])
        if name == "reset":
            self.state = State(self.start.rest, self.start.texts, self.state.view)
            self.form.values = values_of(self.state)
        else:
            self.state = self.state.edited(name, text)
        texts = TEXTS[self.state.view["language"]]
        self.form.fields, self.form.words = fields_of(self.state, texts), words_of(self.state, texts)
        if name in self.state.view:
            self.results.translate(texts, self.state.view["axis"])
            self._write_address()
        else:
            self.results.failed = self.results.address_refused = ""
            self.refresh(wait=DEBOUNCE)

    def _write_address(self) -> None:
        if self.location is not None:
            self.location.search = encoded(self.state.query(self.start), self.token)

    def _theory(self, value: Any, number: int) -> None:
        if number != self.newest:
            return
        if isinstance(value, Progressed):
            self.results.goes_on(value.fraction)
            return
        if value is FINISHED:
            self.results.is_busy = False
            self.results.describe()
            return
        self.results.kept = toml_text(self.state.rest)
        if isinstance(value, Failed):
            self.results.refuse(explained(value.error)[0])
        elif isinstance(value, Shown):
            self.results.show(value)
        self._write_address()

    def _simulation(self, value: Any, number: int) -> None:
        if number != self.newest_simulation:
            return
        if isinstance(value, Progressed):
            self.results.simulation_goes_on(value.fraction, value.text)
        elif isinstance(value, Failed):
            self.results.simulation_fails(explained(value.error)[0])
        elif value is FINISHED:
            self.results.simulation_ends()
        else:
            self.refresh()
