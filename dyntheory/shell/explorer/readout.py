"""What the page says in words and numbers, as pieces of HTML; every text from outside is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import dyntheory as dt
from dyntheory.shell.explorer.figures import METRICS
from dyntheory.shell.explorer.work import Shown
from dyntheory.shell.report import shown_steps, with_error

Texts = Mapping[str, str]


def alert(heading: str, text: str) -> str:
    """Return a box that screen readers announce."""
    return f'<div role="alert" class="alert"><strong>{escape(heading)}</strong><br>{escape(text)}</div>'


def accuracy(shown: Shown | None, texts: Texts, *, is_stale: bool, busy: str) -> str:
    """Return the line that says what is shown, and what is being done about it.

    Args:
        shown: the curves.
        texts: of the language.
        is_stale: whether they are of other settings than the controls.
        busy: what is being done, empty if nothing is.
    """
    parts: list[str] = [texts["stale"]] if is_stale else []
    if shown is not None:
        level = shown.level
        nodes = shown.theory.trajectory.provenance.get("num_nodes", level.keywords.get("num_nodes"))
        parts.append(texts["accuracy"].format(level=level.number, levels=level.total, nodes=nodes))
        parts += [texts["final"]] if level.is_last and not is_stale else []
    parts += [busy] if busy else []
    data = _attributes(
        level="" if shown is None else shown.level.number,
        levels="" if shown is None else shown.level.total,
        stale=str(is_stale).lower(),
        busy=str(bool(busy)).lower(),
    )
    return f'<p role="status" class="accuracy" id="accuracy"{data}>{escape(" · ".join(parts))}</p>'


def warnings(shown: Shown, texts: Texts) -> str:
    """Return how theory and simulation ended, where they did not end well, and what the verbs warned of."""
    sides = {"theory": shown.theory, **({} if shown.simulation is None else {"simulation": shown.simulation})}
    lines: list[str] = []
    for name, side in sides.items():
        status = side.trajectory.status
        told = [*([] if status.ok else [str(status)]), *side.warnings]
        lines += [f"{texts[name]}: {line}" for line in told]
    return "".join(f'<p class="warning">{escape(line)}</p>' for line in lines)


def assumptions(shown: Shown, texts: Texts) -> str:
    """Return what the prediction rests on."""
    found = shown.theory.trajectory.assumptions
    line = "" if found is None else f"{texts['rests_on']}: {found.level} ({found.reason})"
    return f'<p class="note">{escape(line)}</p>'


def progress(fraction: float, text: str, texts: Texts) -> str:
    """Return a bar with its label."""
    label = escape(f"{texts['simulating']}: {text}")
    bar = f'<progress id="progress" max="1" value="{fraction:.4f}" aria-label="{label}"></progress>'
    return f'<p role="status">{bar} {label}</p>'


def verdict(shown: Shown, texts: Texts) -> str:
    """Return the verdict in words, the report of `compare`, and what is drawn below."""
    agreement = shown.agreement
    if not isinstance(agreement, dt.Agreement):
        return f'<p class="verdict">{escape(texts["no_verdict"])}: {escape(str(agreement))}</p>'
    report = "<br>".join(map(escape, str(agreement).splitlines()))
    drawn = texts["threshold"].format(level=f"{agreement.level:g}", value=f"{agreement.threshold:.2f}")
    data = _attributes(verdict=agreement.verdict)
    return (
        f'<p class="verdict" id="verdict"{data}><strong>{escape(texts[f"verdict_{agreement.verdict}"])}</strong></p>'
        f'<p class="note">{report}</p><h3>{escape(texts["scores"])}</h3><p class="note">{escape(drawn)}</p>'
    )


def simulation_line(simulation: dt.Trajectory | None, texts: Texts) -> str:
    """Return what was simulated, if anything."""
    if simulation is None:
        return f"<p>{escape(texts['not_simulated'])}</p>"
    record = simulation.provenance
    sizes = {"runs": record["num_runs"], "features": record["num_features"], "samples": record["num_samples"]}
    return f'<p id="simulated">{escape(texts["simulated"].format(**sizes))}</p>'


def numbers(shown: Shown, texts: Texts) -> str:
    """Return the curves as a table at about a dozen steps, their full digits as `data-value`."""
    sides = {"theory": shown.theory.trajectory}
    if shown.simulation is not None:
        sides["simulation"] = shown.simulation.trajectory
    columns = [(metric, side, one) for metric in METRICS for side, one in sides.items()]
    heads = [f"{texts[metric.split('_')[0]]}, {texts[side]}" for metric, side, _ in columns]
    first = "".join(f'<th scope="col">{escape(head)}</th>' for head in (texts["step"], *heads))
    rows = []
    for step in shown_steps(sides["theory"].steps):
        cells = "".join(_cell(one, metric, side, step) for metric, side, one in columns)
        rows.append(f'<tr><th scope="row">{step}</th>{cells}</tr>')
    body = f"<thead><tr>{first}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<div class="scroll"><table id="numbers"><caption>{escape(texts["bars"])}</caption>{body}</table></div>'


def kept(text: str, texts: Texts) -> str:
    """Return what a table holds beyond the controls, as TOML."""
    return f'<h2>{escape(texts["rest"])}</h2><pre id="rest">{escape(text)}</pre>' if text else ""


def _cell(trajectory: dt.Trajectory, metric: str, side: str, step: int) -> str:
    if step not in trajectory.steps:
        return "<td>-</td>"
    row = trajectory.at(step)
    data = _attributes(side=side, metric=metric, step=step, value=repr(row[metric]))
    return f"<td{data}>{escape(with_error(row[metric], row.get(f'{metric}_standard_error')))}</td>"


def _attributes(**data: Any) -> str:
    return "".join(f' data-{name}="{escape(str(value))}"' for name, value in data.items())
