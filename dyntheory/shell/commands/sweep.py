"""`dyntheory sweep`: predictions at every point of a grid or a list, written into the table [sweep] of a problem."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import dyntheory as dt
from dyntheory.ground.files import replacing
from dyntheory.shell.arguments import Arguments
from dyntheory.shell.exit_status import DISAGREES, DONE, UNRESOLVED
from dyntheory.shell.report import NOTATION, print_lines, print_table, with_error
from dyntheory.shell.run import open_problem
from dyntheory.shell.tables.problem import Problem

if TYPE_CHECKING:
    import xarray

MOST_ROWS, MOST_LETTERS = 40, 24
TRAINED = ("num_heads", "keep_preactivations", "num_steps", "key", "first_layer")


class _Numbers(NamedTuple):
    """A dataset, saved as results are."""

    found: Any

    def save(self, path: Path, *, force: bool) -> Path:
        """Write it whole or not at all."""
        with replacing(path, force=force) as beside:
            self.found.to_netcdf(beside, engine="h5netcdf")
        return path


def command(task: Arguments) -> int:
    """Predict at every point of the table [sweep]: over = { learning_rate = [0.1, 0.3], noise_std = [0.1, 0.5] }.

    Keys are those of the problem, as --set has them. train = true trains networks at every point as well.
    """
    outputs, saving = task.outputs("sweep"), task.saving()
    problem = open_problem(task.problem, overrides=task.set)
    found = perform(problem, saving)
    show(found)
    outputs.write(lambda: drawn(found), {"sweep": _Numbers(found)})
    return status_of(found)


def perform(problem: Problem, keywords: dict[str, Any]) -> xarray.Dataset:
    """Return the sweep of a problem, given keywords of `dyntheory.sweep`."""
    from dyntheory.ground.progress import progress_bar, warnings_as_lines
    from dyntheory.shell.tables.study import sweep_of

    study, simulation = sweep_of(problem), None
    if problem.table["sweep"].get("train", False):
        simulation = {name: value for name, value in problem.simulate_arguments().items() if name not in TRAINED}
    swept = any("num_steps" in point for point in (study.over if isinstance(study.over, list) else [study.over]))
    with warnings_as_lines(), progress_bar("sweep") as progress:
        found = dt.sweep(
            study.law,
            study.method,
            over=study.over,
            first_layer=study.first_layer,
            num_steps=None if swept else problem.predict["num_steps"],
            num_nodes=problem.predict.get("num_nodes"),
            key=problem.predict["key"],
            simulation=simulation,
            progress=progress,
            **keywords,
        )
    return found.assign_attrs(configuration=json.dumps(problem.table))


def show(found: xarray.Dataset) -> None:
    """Print the errors after the last step of every point, and how it ended; of trained points also the verdict."""
    sources = list(found.source.values) if "source" in found.dims else []
    swept = [str(name) for name in found.coords if name not in ("step", "point", "source")]
    flat = found.stack(row=[name for name in found.status.dims if name != "source"])
    rows = []
    for place in range(min(flat.sizes["row"], MOST_ROWS)):
        one = flat.isel(row=place)
        if sources:
            cells = [_last(one.sel(source=source), "test_error") for source in sources]
            ended = " ".join(dict.fromkeys(map(str, one.status.values)))
            cells += [ended, str(one.verdict.values)]
        else:
            cells = [_last(one, "train_error"), _last(one, "test_error"), str(one.status.values)]
        rows.append([*(_shown(one[name].values) for name in swept), *cells])
    errors = [f"test error,\n{source}" for source in sources] or ["train error", "test error"]
    headings = [*(name.replace("_", "\n", 1) for name in swept), *errors, "status", *(["verdict"] * bool(sources))]
    print_table(headings, rows)
    left = flat.sizes["row"] - len(rows)
    print_lines(NOTATION, *([f"{left} more: --out FILE.nc holds them all"] if left else []))


def _last(one: xarray.Dataset, name: str) -> str:
    """Return a curve at the last step of its point."""
    known = one.dropna("step", subset=[name])
    if not known.sizes["step"]:
        return "-"
    return with_error(float(known[name][-1]), float(known[f"{name}_standard_error"][-1]))


def _shown(value: Any) -> str:
    text = f"{float(value):.6g}" if value.dtype.kind in "if" else str(value)
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 1]}…"


def drawn(found: xarray.Dataset) -> Any:
    """Return a map for two swept numbers, else slices along the first."""
    chosen = found.sel(source="theory") if "source" in found.dims and found.sizes["source"] > 1 else found
    names = [str(name) for name in chosen.status.dims]
    numeric = [name for name in names if name in chosen.coords and chosen[name].dtype.kind in "if"]
    if len(names) == 2 and len(numeric) == 2 and min(chosen.sizes[name] for name in names) > 2:
        return dt.plot.phase_diagram(chosen)
    along = numeric[0] if numeric else names[0]
    return dt.plot.slices(found, along=along)


def status_of(found: xarray.Dataset) -> int:
    """Return the exit status: a disagreement before a point that did not end well."""
    if "verdict" in found and (found.verdict == "disagree").any():
        return DISAGREES
    undecided = "verdict" in found and bool((found.verdict == "unresolved").any())
    return UNRESOLVED if undecided or found.status.isin(["unresolved", "diverged"]).any() else DONE
