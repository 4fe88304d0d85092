"""The right side of the page: what was computed, drawn and told, and the buttons below."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import dyntheory as dt
from dyntheory.shell.explorer import export, readout
from dyntheory.shell.explorer.figures import CurvesFigure, ScoresFigure, spans_decades
from dyntheory.shell.explorer.work import Shown

STYLE = """
:host { font: inherit; color: inherit; line-height: 1.45; }
p { margin: 0.25rem 0; font-size: 0.92rem; } h2 { font-size: 1.02rem; margin: 0.6rem 0 0.2rem; }
h3 { font-size: 0.95rem; margin: 0.6rem 0 0; }
.alert { border: 2px solid #b3261e; background: #fdecea; color: #7a1712; padding: 0.5rem 0.7rem; border-radius: 4px; }
.warning { border-left: 4px solid #e8743b; background: #fff4ec; padding: 0.2rem 0.6rem; }
.note { color: #4a5663; font-size: 0.87rem; } .accuracy { font-size: 0.92rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9rem; }
caption { text-align: left; color: #4a5663; font-size: 0.87rem; }
th, td { padding: 0.15rem 0.7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #e4e8ed; }
.scroll { overflow-x: auto; } pre { overflow-x: auto; background: #f1f3f6; padding: 0.5rem; border-radius: 4px; }
progress { width: min(100%, 20rem); accent-color: #0b3c78; }
"""
PIECES = ("alert", "heading", "accuracy", "warnings", "assumptions", "simulation", "progress", "verdict", "numbers")
FIGURE_KINDS = {"png": "PNG", "svg": "SVG", "pdf": "PDF"}


class Results:
    """What is shown of one visit.

    Args:
        texts: of the language.
        on_simulate: called when a simulation is wanted.
        on_cancel: called when it is not wanted any more.
    """

    def __init__(
        self, texts: Mapping[str, str], *, on_simulate: Callable[..., None], on_cancel: Callable[..., None]
    ) -> None:
        import panel as pn

        self.texts, self.axis, self.kept = texts, "auto", ""
        self.shown: Shown | None = None
        self.refused = ""
        self.failed = ""
        self.address_refused = ""
        self.is_busy = False
        self.is_simulating = False
        html = {
            name: pn.pane.HTML("", stylesheets=[STYLE], sizing_mode="stretch_width", margin=0)
            for name in (*PIECES, "save", "kept")
        }
        self.html: dict[str, Any] = html
        self.curves = CurvesFigure(texts, is_log=False)
        self.scores = ScoresFigure(texts)
        self.curves_pane = pn.pane.Bokeh(self.curves.figure, sizing_mode="stretch_width", margin=0)
        self.scores_pane = pn.pane.Bokeh(self.scores.figure, sizing_mode="stretch_width", margin=0)
        self.scores_box = pn.Column(self.scores_pane, sizing_mode="stretch_width", margin=0, visible=False)
        self.simulate = pn.widgets.Button(button_type="primary", on_click=on_simulate, margin=(4, 8, 4, 0))
        self.cancel = pn.widgets.Button(on_click=on_cancel, disabled=True, margin=(4, 0))
        self.saves = self._save_buttons()
        self.above, self.below = self._laid_out()
        self.describe()

    def show(self, shown: Shown) -> None:
        """Put curves in place of those shown."""
        self.shown, self.refused = shown, ""
        self._draw()
        self.describe()

    def goes_on(self, fraction: float) -> None:
        """Say how far a prediction is."""
        self.html["accuracy"].object = self._accuracy(fraction)

    def refuse(self, text: str) -> None:
        """Say why the settings cannot be computed; the last curves stay, and are labelled."""
        self.refused = text
        self.describe()

    def translate(self, texts: Mapping[str, str], axis: str) -> None:
        """Show everything in another language, or errors on another axis."""
        self.texts, self.axis = texts, axis
        self.curves, self.scores = CurvesFigure(texts, is_log=self._is_log()), ScoresFigure(texts)
        self._draw()
        self.curves_pane.object, self.scores_pane.object = self.curves.figure, self.scores.figure
        self.describe()

    def simulation_begins(self) -> None:
        """Show a bar in place of the button."""
        self.failed, self.is_simulating = "", True
        self.simulation_goes_on(0.0, self.texts["waiting"])
        self.describe()

    def simulation_goes_on(self, fraction: float, text: str) -> None:
        """Move the bar."""
        if self.is_simulating:
            self.html["progress"].object = readout.progress(fraction, text, self.texts)

    def simulation_ends(self, *, was_cancelled: bool = False) -> None:
        """Give the button back."""
        self.is_simulating = False
        self.html["progress"].object = f"<p>{self.texts['cancelling']}</p>" if was_cancelled else ""
        self.describe()

    def simulation_fails(self, text: str) -> None:
        """Say why there is no simulation."""
        self.failed = text
        self.describe()

    def describe(self) -> None:
        """Write all words anew."""
        texts, shown, html = self.texts, self.shown, self.html
        alerts = [
            (texts["address_refused"], self.address_refused),
            (texts["problem_refused"], self.refused),
            (texts["simulation_refused"], self.failed),
        ]
        html["alert"].object = "".join(readout.alert(heading, text) for heading, text in alerts if text)
        html["heading"].object = f"<h2>{texts['curves']}</h2>"
        html["accuracy"].object = self._accuracy()
        html["save"].object, html["kept"].object = f"<h2>{texts['export']}</h2>", readout.kept(self.kept, texts)
        self.curves_pane.styles = {"opacity": "0.4" if self._is_stale else "1"}
        self._name_buttons()
        if shown is None:
            return
        simulation = None if shown.simulation is None else shown.simulation.trajectory
        html["warnings"].object = readout.warnings(shown, texts)
        html["assumptions"].object = readout.assumptions(shown, texts)
        html["simulation"].object = f"<h2>{texts['group_simulation']}</h2>" + readout.simulation_line(simulation, texts)
        html["verdict"].object = "" if shown.agreement is None else readout.verdict(shown, texts)
        html["numbers"].object = f"<h2>{texts['numbers']}</h2>" + readout.numbers(shown, texts)

    @property
    def _is_stale(self) -> bool:
        """Whether the curves are of other settings than the controls."""
        return bool(self.refused) and self.shown is not None

    def _accuracy(self, fraction: float = 0.0) -> str:
        busy = f"{self.texts['computing']} {fraction:.0%}" if fraction else self.texts["computing"]
        return readout.accuracy(self.shown, self.texts, is_stale=self._is_stale, busy=busy if self.is_busy else "")

    def _draw(self) -> None:
        if self.shown is None:
            return
        simulation = None if self.shown.simulation is None else self.shown.simulation.trajectory
        is_log = self._is_log()
        if is_log != self.curves.is_log:
            self.curves = CurvesFigure(self.texts, is_log=is_log)
            self.curves_pane.object = self.curves.figure
        self.curves.show(self.shown.theory.trajectory, simulation)
        agreement = self.shown.agreement
        self.scores_box.visible = isinstance(agreement, dt.Agreement)
        if isinstance(agreement, dt.Agreement):
            self.scores.show(agreement)

    def _is_log(self) -> bool:
        if self.axis != "auto" or self.shown is None:
            return self.axis == "log"
        sides = (self.shown.theory, self.shown.simulation)
        return spans_decades([side.trajectory for side in sides if side is not None])

    def _save_buttons(self) -> dict[str, Any]:
        import panel as pn

        def made(filename: str, write: Callable[[Shown], bytes]) -> Any:
            def file() -> io.BytesIO | None:
                return None if self.shown is None else io.BytesIO(write(self.shown))

            return pn.widgets.FileDownload(callback=file, filename=filename, button_type="default", margin=(4, 8, 4, 0))

        def figure(kind: str) -> Callable[[Shown], bytes]:
            scale = {"auto": None, "linear": False, "log": True}
            return lambda shown: export.figure_bytes(shown, kind, logy=scale[self.axis])

        def simulated(shown: Shown) -> bytes:
            if shown.simulation is None:
                raise ValueError("These settings have not been simulated.")
            return export.netcdf_bytes(shown.simulation.trajectory)

        return {
            **{kind: made(f"curves.{kind}", figure(kind)) for kind in export.FIGURES},
            "toml": made("problem.toml", export.toml_bytes),
            "python": made("curves.py", export.python_bytes),
            "theory": made("theory.nc", lambda shown: export.netcdf_bytes(shown.theory.trajectory)),
            "simulation": made("simulation.nc", simulated),
        }

    def _name_buttons(self) -> None:
        texts = self.texts
        self.simulate.name, self.cancel.name = texts["simulate"], texts["cancel"]
        self.simulate.disabled, self.cancel.disabled = self.is_simulating, not self.is_simulating
        for name, button in self.saves.items():
            kind = FIGURE_KINDS.get(name)
            button.label = texts["save_figure"].format(kind=kind) if kind else texts[f"save_{name}"]
            has_one = self.shown is not None and (name != "simulation" or self.shown.simulation is not None)
            button.disabled = not has_one

    def _laid_out(self) -> tuple[Any, Any]:
        """Return the curves with what must be seen with them, and the rest."""
        import panel as pn

        html = self.html
        above = pn.Column(
            *(html["alert"], html["heading"], html["accuracy"], html["warnings"], self.curves_pane),
            sizing_mode="stretch_width",
            margin=0,
        )
        below = pn.Column(
            *(html["assumptions"], html["simulation"]),
            pn.FlexBox(self.simulate, self.cancel, margin=0),
            *(html["progress"], html["verdict"], self.scores_box, html["numbers"], html["save"]),
            pn.FlexBox(*self.saves.values(), margin=0),
            html["kept"],
            sizing_mode="stretch_width",
            margin=0,
        )
        return above, below
