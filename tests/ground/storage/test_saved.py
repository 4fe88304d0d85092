"""Every public result can be saved and loads as it was; what no file can hold is refused."""

import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory import priors
from dyntheory.ground.storage.marks import Axes, Coordinate, hints_of, storable
from dyntheory.ground.storage.netcdf import DIGEST, from_xarray
from dyntheory.ground.storage.saved import Saved
from dyntheory.results.agreement import WorstPoint
from dyntheory.verbs.estimation.tune import Candidate
from dyntheory.verbs.studies.size_fits import LimitFit, PowerFit
from tests.ground.storage.same import assert_same

# What is public and no result: the nouns of a problem, and how a computation ended.
COSTLY = ("ResponseFunctions", "TeacherDirection")
NOT_RESULTS = {
    *("TeacherStudent", "FirstLayer", "MLP", "LinearModel", "FlaxNetwork", "GeneralFirstOrderMethod"),
    *("WideNetwork", "FeatureMean", "Status", "DyntheoryWarning"),
}
LAW = dt.TeacherStudent(2.0, "tanh", 0.3)
METHOD = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.3)
RANDOM = np.random.default_rng(7)
ROWS = RANDOM.normal(size=(60, 5))
LABELS = ROWS[:, 0] + ROWS[:, 0] ** 2 + 0.1 * RANDOM.normal(size=60)


def _curves(*lead: int, steps: int = 3) -> dict[str, Any]:
    names = ("train_loss", "test_loss", "train_error", "test_error")
    return {name: RANDOM.normal(size=(*lead, steps)) for name in names}


def _trajectory(steps: int = 3) -> dt.Trajectory:
    numbers = np.arange(steps)
    return dt.Trajectory(
        numbers,
        **_curves(steps=steps),
        head={"a": RANDOM.normal(size=(steps, 2))},
        standard_error=dt.Trajectory(numbers, **_curves(steps=steps)),
        status=dt.Status("diverged", "lower the learning rate", 2),
        provenance={"kind": "simulation", "num_features": 20},
        per_run=dt.Trajectory(numbers, **_curves(4, steps=steps), head={"a": RANDOM.normal(size=(4, steps, 2))}),
        covariance={"train_loss": np.eye(steps)},
    )


def _derivatives() -> dt.Derivatives:
    overlaps = {"teacher_overlap": np.ones((3, 2, 1)), "weight_overlap": np.ones((3, 2, 2))}
    fields = {"steps": np.arange(3), "value": 0.3, "step_size": 0.03, **overlaps}
    return dt.Derivatives(**fields, **_curves(), standard_error=dt.Derivatives(**fields, **_curves()))


def _agreement() -> dt.Agreement:
    """Over fewer steps than the curves have, as after a divergence."""
    names = ("difference", "standard_error", "z", "tolerance")
    curves: dict[str, Any] = {name: {"test_error": RANDOM.normal(size=2)} for name in names}
    numbers: dict[str, Any] = {"threshold": 2.5, "level": 0.01, "allowance": 0.1, "resolution": 0.05}
    worst = WorstPoint("test_error", 1, np.inf, 0.5, 0.6)
    return dt.Agreement(np.arange(2), **curves, **numbers, worst=worst, verdict="disagree", notes=("one", "another"))


def _finite_size() -> dt.FiniteSize:
    fit, power = LimitFit(*RANDOM.normal(size=(5, 3))), PowerFit(*RANDOM.normal(size=(2, 3)))
    runs = tuple(dataclasses.replace(_trajectory(), per_run=None) for _ in range(3))
    spread = {"test_error": RANDOM.normal(size=(3, 3))}
    fits = {"test_error": fit}, {"test_error": power}, {"test_error": power}
    return dt.FiniteSize(np.array([20, 40, 80]), _trajectory(), runs, *fits, spread, _agreement())


def _tuned() -> dt.Tuned:
    """With names that a file cannot tell apart, and a candidate that diverged."""
    best, lost = Candidate("rate 0.1", 2, 0.5, 0.1), Candidate("rate-0.1", 0, np.inf, np.inf)
    found = {"rate 0.1": _trajectory(), "rate-0.1": _trajectory(), "näme": _trajectory(5)}
    return dt.Tuned(best, 0.52, 0.02, (best, lost), found, "test_error")


def _twins() -> dt.AssumptionReport:
    report = dt.assumption_report(np.repeat(ROWS[:30], 2, axis=0), np.repeat(LABELS[:30], 2))
    assert report.findings
    return report


def _applicability() -> dt.Applicability:
    return dt.applicability(LAW, METHOD, num_steps=3, num_samples=60, num_features=5, inputs=ROWS)


def _wide() -> dt.WideTrajectory:
    kernels: dict[str, Any] = {
        "forward_kernels": RANDOM.normal(size=(3, 1, 4, 4)),
        "ntk": RANDOM.normal(size=(3, 4, 4)),
    }
    outputs: dict[str, Any] = {"train_outputs": RANDOM.normal(size=(3, 4)), "test_outputs": RANDOM.normal(size=(3, 2))}
    error = dt.WideTrajectory(np.arange(3), **outputs)
    return dt.WideTrajectory(np.arange(3), **outputs, **kernels, **_curves(), standard_error=error)


def _best_rates() -> dt.BestRates:
    """With a width at which a prediction diverged."""
    rates, outcomes = np.array([0.5, 1.0, 2.0]), ("ok", "ok", "diverged")
    loss, of_widths = np.array([0.2, 0.1, np.nan]), RANDOM.normal(size=(2, 3))
    return dt.BestRates(
        *(rates, loss, 0.01 * loss, outcomes, 1.0, np.inf, False, "The best rate need not transfer: edge.", 6),
        widths=np.array([64, 256]),
        standard_rates=4 * rates,
        standard_loss=of_widths,
        standard_loss_error=of_widths**2,
        standard_outcomes=(outcomes, outcomes),
        standard_best=np.array([0.1, 0.03]),
        standard_best_error=np.array([0.01, np.inf]),
        provenance={"kind": "prediction"},
    )


def _online() -> dt.OnlineTrajectory:
    """Of three runs."""

    def curves(*lead: int) -> dict[str, Any]:
        shapes = {"test_error": (4,), "excess_error": (4,), "weight_overlap": (4, 2, 2), "teacher_overlap": (4, 2, 3)}
        shapes |= {"head": (4, 2), "teacher_moment": (3, 3)}
        return {name: RANDOM.normal(size=(*lead, *shape)) for name, shape in shapes.items()}

    times = np.array([0.0, 0.5, 1.0, 4.0])
    parts: dict[str, Any] = {
        "standard_error": dt.OnlineTrajectory(times, **curves()),
        "per_run": dt.OnlineTrajectory(times, **curves(3)),
    }
    return dt.OnlineTrajectory(times, **curves(), **parts, num_diverged=0)


def _charge_paths() -> dt.ChargePaths:
    """With an electron that is too many, and a run that diverged."""
    lead, endings = RANDOM.normal(size=(2, 3, 4, 2)), ("converged", "diverged")
    curves = RANDOM.normal(size=(2, 3))
    matching, matched = np.array([[0, 1, 2, -1]] * 2), np.array([[0.1, 0.2, 0.3, np.inf]] * 2)
    given = (lead, lead[..., 0], curves, curves, lead[..., 1], matching, matched, np.array([0.1, np.nan]))
    return dt.ChargePaths(np.arange(3.0), *given, RANDOM.normal(size=(3, 2)), np.ones(3), endings)


def _linear_paths() -> dt.LinearPaths:
    products, modes = RANDOM.normal(size=(2, 3, 4, 5)), RANDOM.normal(size=(2, 3, 4))
    weights = (RANDOM.normal(size=(2, 3, 6, 5)), RANDOM.normal(size=(2, 3, 4, 6)))
    given = (products, modes[..., 0], modes, modes, modes[..., 1], np.arange(4.0), modes[:, 0], weights)
    return dt.LinearPaths(np.arange(3.0), *given, provenance={"kind": "flow"})


EXAMPLES: dict[str, Callable[[], Any]] = {
    "OnlineTrajectory": _online,
    "ChargePaths": _charge_paths,
    "LinearPaths": _linear_paths,
    "Trajectory": _trajectory,
    "WideTrajectory": _wide,
    "BestRates": _best_rates,
    "Derivatives": _derivatives,
    "ResponseFunctions": lambda: dt.responses(LAW, METHOD, num_steps=1, key=jax.random.key(0), num_nodes=2**9),
    "Cost": lambda: dt.prediction_cost(LAW, METHOD, num_steps=3, num_nodes=2**9),
    "Applicability": _applicability,
    "Agreement": _agreement,
    "FiniteSize": _finite_size,
    "Tuned": _tuned,
    "Choice": lambda: dt.Choice({"rate_0": 0.1}, 3, 0.5, 0.01),
    "Design": lambda: dt.Design(
        dt.Choice({"rate_0": 0.1}, 3, 0.5, 0.01, 0.49, 0.02), dt.Choice({"rate_0": 0.2}, 3, np.inf, 0.01), (0.6, 0.5)
    ),
    "TeacherDirection": lambda: dt.teacher_direction(ROWS, ROWS[:, 0], METHOD, num_steps=1, key=jax.random.key(0)),
    "AssumptionReport": _twins,
    "FittedLaw": lambda: dt.fit_law(ROWS, LABELS),
}


def _results(names: dict[str, Any]) -> set[str]:
    """Return the names of classes that hold values and are no nouns."""
    classes = {name for name, value in names.items() if isinstance(value, type) and name not in NOT_RESULTS}
    return {name for name in classes if dataclasses.is_dataclass(names[name]) or issubclass(names[name], tuple)}


@pytest.mark.parametrize("name", ["curves.csv", "curves.JSON", "curves.npz"])
def test_a_name_of_another_format_is_refused(name: str, tmp_path: Path) -> None:
    """The file would be NetCDF whatever it is called; the way to a table that the refusal tells works."""
    with pytest.raises(ValueError, match=r"writes NetCDF.*end it in \.nc"):
        _trajectory().save(tmp_path / name)
    assert not (tmp_path / name).exists()
    table = _trajectory().to_xarray()[["train_error", "test_error"]].to_dataframe().to_csv()
    assert table.startswith("step,train_error,test_error\n0,")
    assert _trajectory().save(tmp_path / "rate_0.5").exists()


def test_every_public_result_has_an_example_here() -> None:
    public = {name: getattr(dt, name) for name in dt.__all__}
    assert _results(public) == set(EXAMPLES)
    assert all(issubclass(public[name], Saved) for name in EXAMPLES)


def test_a_result_that_was_forgotten_is_seen() -> None:
    """Negative control of the rule above."""

    @dataclasses.dataclass(frozen=True)
    class Forgotten:
        value: float

    assert _results({"Forgotten": Forgotten, "Status": dt.Status}) == {"Forgotten"}


@functools.cache
def _example(name: str) -> Any:
    return EXAMPLES[name]()


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.full] * (name in COSTLY)) for name in EXAMPLES])
def test_every_public_result_loads_as_it_was_saved(name: str, tmp_path: Path) -> None:
    result = _example(name)
    assert type(result).__name__ == name
    loaded = dt.load(result.save(tmp_path / "a.nc"))
    assert_same(loaded, _plain(result))
    assert_same(from_xarray(result.to_xarray()), loaded)
    assert str(loaded) == str(_plain(result))


def _plain(value: Any) -> Any:
    """Return a result with Python's numbers in the place of NumPy's scalars, which JSON does not tell apart."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {one.name: _plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
        return dataclasses.replace(value, **fields)
    if isinstance(value, tuple):
        parts = [_plain(one) for one in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return value.item() if isinstance(value, np.generic) else value


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_field_has_a_hint_that_can_be_followed(name: str) -> None:
    """Fields that are None in the examples count too: arrays among them must have names for their axes."""
    seen: set[Any] = set()

    def check(cls: Any) -> None:
        seen.add(cls)
        for field, hint in hints_of(cls).items():
            assert hint.kind is not np.ndarray or hint.mark(Axes), f"{cls.__name__}.{field}"
            if hint.is_structure and hint.kind not in seen:
                check(hint.kind)

    check(getattr(dt, name))


def test_variables_say_where_they_belong() -> None:
    dataset = _finite_size().to_xarray()
    assert dataset["size"].dims == ("size",) and dataset["test_error_spread"].dims == ("size", "step")
    assert dataset["test_error_theory"].dims == ("step",) and "test_error_standard_error_2_runs" in dataset
    assert dataset["slope_test_error_limit"].dims == ("step",)
    assert dataset["test_error_z_agreement"].dims == dataset["step_agreement"].dims != ("step",)
    assert dataset["test_error_per_run_theory"].dims == ("run", "step")
    assert "step_theory" not in _tuned().to_xarray() and "step" not in dataset["size"].dims


LAWS = {
    "named link": dt.TeacherStudent(2.0, "probit", 0.3),
    "spectrum": dt.TeacherStudent(jnp.asarray(2.0), features=dt.spectra.two_level(0.25, 4.0)),
    "moments": dt.TeacherStudent(2.0, teacher_second_moment=np.eye(2)),
    "priors": dt.TeacherStudent(2.0, teacher_prior=(priors.laplace(), priors.rademacher())),
    "separation": dt.TeacherStudent(2.0, separation=1.5),
}


@pytest.mark.parametrize("name", LAWS)
def test_laws_of_numbers_and_names_are_kept(name: str, tmp_path: Path) -> None:
    fitted = dataclasses.replace(_example("FittedLaw"), law=LAWS[name])
    law = dt.load(fitted.save(tmp_path / "a.nc")).law
    assert law.link == fitted.law.link and law.num_teacher_units == fitted.law.num_teacher_units
    leaves = [jax.tree.leaves(one) for one in (law, fitted.law)]
    for one, other in zip(*leaves, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("law", "field"),
    [
        (dt.TeacherStudent(2.0, lambda z: z**2), r"law\.link\.function"),
        (dt.TeacherStudent(2.0, teacher_prior=priors.QuantilePrior(lambda u: u)), r"law\.teacher_prior"),
    ],
)
def test_a_law_with_a_function_is_refused(law: dt.TeacherStudent, field: str, tmp_path: Path) -> None:
    fitted = dataclasses.replace(_example("FittedLaw"), law=law)
    with pytest.raises(TypeError, match=rf"`{field}` must be a number, a name or .*no Python functions"):
        fitted.save(tmp_path / "a.nc")
    assert not list(tmp_path.iterdir())


@dataclasses.dataclass(frozen=True)
class Unmarked(Saved):
    steps: np.ndarray


@dataclasses.dataclass(frozen=True)
class Marked(Saved):
    values: Annotated[np.ndarray, Axes("step")]
    count: int = 3


def test_an_array_whose_axes_have_no_names_is_refused() -> None:
    with pytest.raises(TypeError, match=r"axes of `steps` have no names: mark its hint with Axes"):
        Unmarked(np.arange(3)).to_xarray()
    with pytest.raises(TypeError, match=r"`values` must be given, got None"):
        Marked(None).to_xarray()  # pyright: ignore[reportArgumentType]


@dataclasses.dataclass(frozen=True)
class TwoCoordinates(Saved):
    sizes: Annotated[np.ndarray, Coordinate("size")]
    steps: Annotated[np.ndarray, Coordinate("step")]


def test_coordinates_of_different_axes_stay_apart() -> None:
    dataset = TwoCoordinates(np.arange(3), np.arange(3)).to_xarray()
    assert dataset["size"].dims == ("size",) and dataset["step"].dims == ("step",)


def test_a_field_that_is_newer_than_its_file_has_its_default() -> None:
    dataset = Marked(np.arange(3.0), 5).to_xarray()
    assert from_xarray(dataset).count == 5
    del dataset.attrs["count"]
    with pytest.raises(ValueError, match=r"damaged \(its count changed after it was saved\)"):
        from_xarray(dataset)
    digests = json.loads(dataset.attrs[DIGEST])
    del digests["count"]
    assert from_xarray(dataset.assign_attrs({DIGEST: json.dumps(digests)})).count == 3


def test_two_classes_of_one_name_are_refused() -> None:
    with pytest.raises(TypeError, match="Two classes are stored as 'Trajectory'"):
        storable(type("Trajectory", (), {}))
