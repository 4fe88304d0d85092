"""A file holds exactly what was saved, or says why it cannot be read."""

import dataclasses
import getpass
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray

from dyntheory.ground.status import Assumptions, Status
from dyntheory.ground.storage.netcdf import DIGEST, SCHEMA, SCHEMA_VERSION, from_xarray, load, save, to_xarray
from dyntheory.results.trajectory import CURVES, POSITIVE, Trajectory
from tests import ROOT
from tests.ground.storage.same import assert_same

STATES, RUNS, ROWS, UNITS = 6, 5, 7, 3


def _head(rng: np.random.Generator, *lead: int) -> dict[str, Any]:
    return {
        "layers": [
            {"kernel": rng.normal(size=(*lead, 3, 2)), "bias": rng.normal(size=(*lead, 2)).astype(np.float32)},
            {"kernel": rng.normal(size=(*lead, 2, 1))},
        ],
        "pair": (rng.normal(size=lead), None, ()),
        "empty": {},
        "numbered": {0: rng.integers(0, 9, (*lead, 2)), 1: rng.normal(size=(*lead, 1)) > 0},
        "no entries": np.zeros((*lead, 0)),
        "weird/näme é": rng.normal(size=(*lead, 4)),
        "weird_n_me__": rng.normal(size=(*lead, 5)),
    }


def _arrays(rng: np.random.Generator, *lead: int) -> dict[str, Any]:
    curves: dict[str, Any] = {name: rng.normal(size=lead) for name in POSITIVE}
    return {
        **curves,
        "teacher_overlap": rng.normal(size=(*lead, UNITS, 1)),
        "weight_overlap": rng.normal(size=(*lead, UNITS, UNITS)),
        "head": _head(rng, *lead),
        "recorded": {"overlap": rng.normal(size=(*lead, UNITS)), "pair": tuple(rng.normal(size=(2, *lead)))},
    }


def _full() -> Trajectory:
    rng = np.random.default_rng(5)
    steps = np.arange(STATES, dtype=np.int32)
    fields = _arrays(rng, STATES)
    fields["train_error"][3:] = [np.nan, np.inf, -np.inf]
    fields["test_error"][0] = 5e-324
    return Trajectory(
        steps,
        **fields,
        standard_error=Trajectory(steps, **_arrays(rng, STATES)),
        per_run=Trajectory(
            steps,
            **_arrays(rng, RUNS, STATES),
            recorded_preactivations=rng.normal(size=(RUNS, STATES, ROWS, UNITS)),
            provenance={"kind": "simulation"},
        ),
        status=Status("diverged", "2 of 5 runs diverged: lower the learning rate", 3),
        assumptions=Assumptions("theorem", "smooth maps, α = 2"),
        provenance={"kind": "simulation", "num_features": 1000, "link": None, "tiny": 1e-300, "law": {"a": [0.1, 2]}},
        num_diverged=2,
        covariance={name: rng.normal(size=(STATES, STATES)) for name in CURVES},
        magnification={"test_error": rng.normal(size=STATES)},
        recorded_preactivations=rng.normal(size=(STATES, RUNS * ROWS, UNITS)),
        labels=rng.normal(size=RUNS * ROWS),
        sample_weights=np.full(RUNS * ROWS, 1 / (RUNS * ROWS)),
    )


def _minimal() -> Trajectory:
    return Trajectory(np.arange(3), train_error=np.array([3.0, 2.0, 1.0]))


def test_round_trip_is_exact(tmp_path: Path) -> None:
    trajectory = _full()
    path = trajectory.save(tmp_path / "a.nc")
    assert_same(load(path), trajectory)
    assert_same(from_xarray(to_xarray(trajectory)), trajectory)


def test_a_second_generation_is_the_same_file(tmp_path: Path) -> None:
    save(_full(), tmp_path / "a.nc")
    save(load(tmp_path / "a.nc"), tmp_path / "b.nc")
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "b.nc").read_bytes()


@pytest.mark.parametrize("num_steps", [0, 2])
def test_what_was_not_computed_stays_none(tmp_path: Path, num_steps: int) -> None:
    trajectory = Trajectory(np.arange(num_steps + 1), test_error=np.ones(num_steps + 1))
    save(trajectory, tmp_path / "a.nc")
    assert_same(load(tmp_path / "a.nc"), trajectory)


@pytest.mark.parametrize("head", [None, {}, (), [], np.arange(3.0), (np.arange(3.0),)])
def test_smallest_heads(tmp_path: Path, head: Any) -> None:
    trajectory = dataclasses.replace(_minimal(), head=head)
    save(trajectory, tmp_path / "a.nc")
    assert_same(load(tmp_path / "a.nc"), trajectory)


def test_several_outputs_and_other_steps(tmp_path: Path) -> None:
    trajectory = dataclasses.replace(
        _minimal(),
        steps=np.array([0, 10, 20]),
        recorded_preactivations=np.ones((3, 4, 2)),
        labels=np.arange(8.0).reshape(4, 2),
        sample_weights=np.full(4, 0.25),
        per_run=Trajectory(np.tile([0, 10, 20], (5, 1)), train_error=np.ones((5, 3)), head=[np.ones((5, 3, 2))]),
    )
    save(trajectory, tmp_path / "a.nc")
    assert_same(load(tmp_path / "a.nc"), trajectory)


def test_dimensions_carry_names() -> None:
    dataset = to_xarray(_full())
    assert dataset["test_error"].dims == ("step",)
    assert dataset["teacher_overlap"].dims == ("step", "unit", "teacher")
    assert dataset["weight_overlap_standard_error"].dims == ("step", "unit", "unit_")
    assert dataset["test_error_per_run"].dims == ("run", "step")
    assert dataset["head_layers_0_kernel"].dims[0] == "step"
    assert dataset["head_layers_0_kernel_per_run"].dims[:2] == ("run", "step")
    assert dataset["recorded_pair_1_per_run"].dims == ("run", "step")
    assert dataset["test_error_covariance"].dims == ("step", "step_")
    assert dataset["labels"].dims == ("sample",)
    assert float(dataset["train_error"].sel(step=1)) == _full().at(1)["train_error"]
    assert all(name.isascii() and name.replace("_", "").isalnum() for name in map(str, dataset.variables))


class Moments(NamedTuple):
    mean: Any
    square: Any


def test_other_containers_come_back_as_dicts_and_jax_arrays_as_numpy(tmp_path: Path) -> None:
    ones = np.ones(3, np.float32)
    trajectory = dataclasses.replace(_minimal(), head=Moments(jnp.ones(3, jnp.float32), {"a": 2 * ones}))
    save(trajectory, tmp_path / "a.nc")
    assert_same(load(tmp_path / "a.nc").head, {"mean": ones, "square": {"a": 2 * ones}})


def test_numpy_values_in_the_provenance_become_plain(tmp_path: Path) -> None:
    provenance = {"num_runs": np.int64(3), "rate": np.float64(0.1), "moment": np.eye(2), "pair": (1, 2)}
    save(dataclasses.replace(_minimal(), provenance=provenance), tmp_path / "a.nc")
    plain = {"num_runs": 3, "rate": 0.1, "moment": [[1.0, 0.0], [0.0, 1.0]], "pair": [1, 2]}
    assert load(tmp_path / "a.nc").provenance == plain


def test_long_metadata_fits(tmp_path: Path) -> None:
    trajectory = dataclasses.replace(_minimal(), provenance={"config": "x" * 300_000})
    save(trajectory, tmp_path / "a.nc")
    assert_same(load(tmp_path / "a.nc"), trajectory)


def test_the_file_is_compressed_and_checked(tmp_path: Path) -> None:
    zeros = dataclasses.replace(_minimal(), recorded_preactivations=np.zeros((3, 20_000, 4)))
    save(zeros, tmp_path / "a.nc")
    assert (tmp_path / "a.nc").stat().st_size < 100_000
    with h5py.File(tmp_path / "a.nc") as file:
        variable = file["train_error"]
        assert isinstance(variable, h5py.Dataset)
        assert variable.fletcher32 and variable.compression == "gzip"


def test_nothing_about_user_host_or_path(tmp_path: Path) -> None:
    save(_full(), tmp_path / "a.nc")
    content = (tmp_path / "a.nc").read_bytes()
    for secret in (str(tmp_path), tmp_path.name, str(Path.home()) + "/", platform.node(), getpass.getuser() + "@"):
        assert secret.encode() not in content


def test_any_reader_of_netcdf_opens_it(tmp_path: Path) -> None:
    save(_full(), tmp_path / "a.nc")
    with xarray.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as dataset:
        assert dataset.attrs[SCHEMA] == SCHEMA_VERSION
        np.testing.assert_array_equal(dataset["step"], np.arange(STATES))


def test_an_existing_file_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    save(_minimal(), path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match=r"exists.*force=True"):
        save(_full(), path)
    assert path.read_bytes() == before
    save(_full(), path, force=True)
    assert_same(load(path), _full())
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_save_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    save(_minimal(), path)
    with pytest.raises(TypeError):
        save(dataclasses.replace(_minimal(), provenance={"link": np.sin}), path, force=True)
    assert_same(load(path), _minimal())
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"provenance": {"path": Path("x")}}, TypeError, "must consist of numbers, strings.*PosixPath.*store its name"),
        ({"head": {"a": np.array(["x"] * 3)}}, TypeError, "Leaf 'head_a' must be numeric.*got <U1"),
        ({"head": {"a": np.ones(3, np.float16)}}, TypeError, "float32 or wider, got float16"),
        ({"head": {"a": np.ones(2)}}, ValueError, r"Leaf 'head_a' must have leading axes step, got shape \(2,\)"),
        ({"head": {"a": 1.0}}, ValueError, r"leading axes step, got shape \(\)"),
        ({"test_error": np.ones(4)}, ValueError, "`test_error` must have 3 steps, as `steps` says, got 4"),
        ({"test_error": np.ones((3, 2))}, ValueError, r"`test_error` must have axes \(step\), got shape \(3, 2\)"),
        (
            {"per_run": Trajectory(np.arange(3), per_run=Trajectory(np.arange(3)))},
            ValueError,
            "`per_run` must not have a standard_error or per_run of its own",
        ),
    ],
)
def test_what_cannot_be_stored(changes: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        to_xarray(dataclasses.replace(_minimal(), **changes))


def test_a_missing_file_or_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no file .*check the name"):
        load(tmp_path / "a.nc")
    with pytest.raises(FileNotFoundError, match=r"directory .*create it first"):
        save(_minimal(), tmp_path / "nowhere" / "a.nc")


@pytest.mark.parametrize("kind", ["empty", "text", "truncated", "flipped"])
def test_damaged_files(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.nc"
    save(_full(), path)
    content = bytearray(path.read_bytes())
    if kind == "flipped":
        with h5py.File(path) as file:
            variable = file["recorded_preactivations"]
            assert isinstance(variable, h5py.Dataset)
            start = variable.id.get_chunk_info(0).byte_offset
        content[start + 100] ^= 0xFF
    damaged = {"empty": b"", "text": b"a,b\n1,2\n", "truncated": content[: len(content) // 2], "flipped": content}
    path.write_bytes(damaged[kind])
    with pytest.raises(ValueError, match="is not a NetCDF file, or it is damaged or incomplete"):
        load(path)


def test_files_of_others(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    xarray.Dataset({"train_error": ("step", np.ones(3))}).to_netcdf(path, engine="h5netcdf")
    with pytest.raises(ValueError, match=r"a\.nc' cannot be read\. This dataset was not written by dyntheory"):
        load(path)


def test_a_newer_schema(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    to_xarray(_minimal()).assign_attrs({SCHEMA: 99}).to_netcdf(path, engine="h5netcdf")
    with pytest.raises(ValueError, match=r"schema version of this dataset is 99, .* reads up to 2: upgrade dyntheory"):
        load(path)


@pytest.mark.parametrize("lost", ["head_pair_0", "step", "test_error", "train_loss_covariance"])
def test_a_lost_variable(lost: str) -> None:
    with pytest.raises(ValueError, match=r"The dataset is damaged.*compute it again"):
        from_xarray(to_xarray(_full()).drop_vars(lost))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "{"),
        ("status", '{"code": "fine"}'),
        ("status", "null"),
        ("head", '["tree"]'),
        ("num_diverged", '"two"'),
        ("arrays", '{"train_error": null}'),
        ("assumptions", '{"level": "theorem"}'),
        ("num_diverged", "7"),
        (DIGEST, "[]"),
        (DIGEST, "{"),
    ],
)
def test_damaged_metadata(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="The dataset is damaged"):
        from_xarray(to_xarray(_full()).assign_attrs({name: value}))


def test_a_class_that_is_not_known() -> None:
    with pytest.raises(ValueError, match=r"knows no result or part named 'Forecast': upgrade dyntheory"):
        from_xarray(to_xarray(_minimal()).assign_attrs(dyntheory_result="Forecast"))


def test_version_1_still_loads() -> None:
    """As `Trajectory.save` wrote it: arrays go by their names, a part without steps shares those of the whole."""
    ones, runs = np.ones(3), np.ones((2, 3))
    variables = {
        "step": ("step", np.arange(3)),
        "test_error": ("step", 4 * ones),
        "head_a": ("step", ones),
        "test_error_covariance": (("step", "step_"), np.eye(3)),
        "test_error_standard_error": ("step", 0.1 * ones),
        "step_per_run": (("run", "step"), np.tile(np.arange(3), (2, 1))),
        "test_error_per_run": (("run", "step"), runs),
        "head_a_per_run": (("run", "step"), runs),
    }
    bare = {"status": {"code": "ok", "message": "", "step": None}, "assumptions": None, "num_diverged": None}
    bare |= {"provenance": {}, "head": ["none"]}
    status = {"code": "diverged", "message": "1 of 3 runs diverged", "step": 2}
    described = {
        **bare,
        "status": status,
        "assumptions": {"level": "theorem", "reason": "smooth maps"},
        "num_diverged": 1,
        "head": ["dict", [["a", ["leaf", "head_a"]]]],
        "standard_error": bare,
        "per_run": bare | {"head": ["dict", [["a", ["leaf", "head_a_per_run"]]]], "provenance": {"kind": "simulation"}},
    }
    attributes = {name: json.dumps(value) for name, value in described.items()}
    steps = np.arange(3)
    expected = Trajectory(
        steps,
        test_error=4 * ones,
        head={"a": ones},
        standard_error=Trajectory(steps, test_error=0.1 * ones),
        status=Status(**status),
        assumptions=Assumptions("theorem", "smooth maps"),
        per_run=Trajectory(
            np.tile(steps, (2, 1)), test_error=runs, head={"a": runs}, provenance={"kind": "simulation"}
        ),
        num_diverged=1,
        covariance={"test_error": np.eye(3)},
    )
    assert_same(from_xarray(xarray.Dataset(variables, attrs={SCHEMA: 1, **attributes})), expected)


def test_notes_of_the_user_do_no_harm() -> None:
    assert_same(from_xarray(to_xarray(_full()).assign_attrs(comment="figure 3")), _full())


def test_loaded_heads_are_pytrees_of_the_same_structure(tmp_path: Path) -> None:
    save(_full(), tmp_path / "a.nc")
    assert jax.tree.structure(load(tmp_path / "a.nc").head) == jax.tree.structure(_full().head)


FULL_DISK = """
import resource, sys
import numpy as np
from dyntheory.results.trajectory import Trajectory
result = Trajectory(np.arange(3000), train_error=np.random.default_rng(0).normal(size=3000))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)  # every write beyond that many bytes fails
try:
    result.save(sys.argv[1], force=True)
except OSError as error:
    sys.exit(f"refused: {error}")
"""


@pytest.mark.skipif(os.name != "posix", reason="limits of files are of POSIX")
def test_a_full_disk_is_an_error_and_keeps_what_was_there(tmp_path: Path) -> None:
    """HDF5 on a disk that fails under it ended the process by a signal, when its objects were torn down."""
    target = tmp_path / "a.nc"
    target.write_text("before")
    command = [sys.executable, "-c", FULL_DISK, str(target), "9000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and re.search(r"refused: .*File too large: 0\.0\d* MB could not.*a\.nc'", done.stderr)
    assert target.read_text() == "before" and [path.name for path in tmp_path.iterdir()] == ["a.nc"]


def test_a_process_that_has_computed_nothing_reads_a_file(tmp_path: Path) -> None:
    """The class that a file names is imported with it: nobody has asked for it before."""
    path = save(Trajectory(np.arange(3), train_error=np.ones(3)), tmp_path / "curves.nc")
    code = "import sys, dyntheory as dt; print(*dt.load(sys.argv[1]).train_error)"
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "1.0 1.0 1.0\n", done.stderr
