"""SGD on samples from the same start: z-scores against the flow, and what they see."""

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from dyntheory.flows import charges
from dyntheory.flows.charges.potentials import Potential

PROTONS = np.array([[1.0, 0.2], [-0.3, 0.9]])
START = np.array([[0.6, 0.5], [0.3, -0.4], [-0.7, 0.1]])
GIVEN: dict[str, Any] = {"electrons": START, "electron_charges": [0.5, -0.4, 1.1], "train_charges": True}
KEY = jax.random.key(3)


def both(potential: str | Potential, given: dict[str, Any], **options: Any) -> tuple[Any, ...]:
    """Return the flow and runs at two rates."""
    chosen: dict[str, Any] = {"batch_size": 30, "num_runs": 60} | options
    runs = [
        charges.simulate(potential, PROTONS, **given, learning_rate=rate, num_steps=round(2 / rate),
                         record_every=round(0.5 / rate), key=jax.random.fold_in(KEY, number), **chosen)
        for number, rate in enumerate((0.05, 0.025))
    ]  # fmt: skip
    return charges.flow(potential, PROTONS, **given, times=runs[0].times), *runs


Sampled = tuple[charges.ChargePaths, charges.ChargePaths, charges.ChargePaths]


@pytest.fixture(scope="module")
def sampled() -> Sampled:
    theory, coarse, fine = both("erf", GIVEN, noise_std=0.2)
    return theory, coarse, fine


def test_sgd_on_samples_follows_the_flow(sampled: Sampled) -> None:
    theory, coarse, fine = sampled
    found = charges.compare(theory, coarse, fine)
    assert found.resolution < 0.02 and found.largest < 4 and 0.6 < found.root_mean_square < 1.4
    assert coarse.provenance["kind"] == "simulation" and coarse.positions.shape == (60, 5, 3, 2)
    # Negative controls: charges that do not move, and electrons that do not see each other.
    still = charges.flow("erf", PROTONS, **{**GIVEN, "train_charges": False}, times=coarse.times)
    assert charges.compare(still, coarse, fine).largest > 10


@pytest.mark.full
@pytest.mark.parametrize("name", ["relu", "cos", "hermite", "yukawa", "tanh", "exp"])
def test_sgd_follows_the_flow_of_other_units(name: str) -> None:
    given, unit = GIVEN, START / np.linalg.norm(START, axis=1, keepdims=True)
    potential: Any = name
    if name == "hermite":
        potential, given = charges.hermite(2), {"electrons": unit, "train_charges": True}
    elif name == "yukawa":
        potential = charges.yukawa(2, 1.0, width=0.3)
    elif name == "tanh":
        potential = charges.potential_of("tanh")
    elif name == "exp":
        given = {"electrons": 0.4 * START, "electron_charges": [0.1, 0.2, 0.1]}
    protons = PROTONS / np.linalg.norm(PROTONS, axis=1, keepdims=True) * (0.4 if name == "exp" else 1.0)
    runs = [
        charges.simulate(potential, protons, **given, learning_rate=rate, num_steps=round(1 / rate),
                         record_every=round(0.2 / rate), key=jax.random.fold_in(KEY, number), batch_size=60,
                         num_runs=80)
        for number, rate in enumerate((0.02, 0.01))
    ]  # fmt: skip
    found = charges.compare(charges.flow(potential, protons, **given, times=runs[0].times), *runs)
    assert found.resolution < 0.02 and found.largest < 4 and found.root_mean_square < 1.4


@pytest.mark.full
def test_runs_are_those_of_their_key_and_the_sphere_is_kept() -> None:
    unit = START / np.linalg.norm(START, axis=1, keepdims=True)
    given: dict[str, Any] = {"electrons": unit, "learning_rate": 0.02, "num_steps": 6, "num_runs": 3, "on_sphere": True}
    one, again, other = (charges.simulate("erf", PROTONS, **given, key=jax.random.key(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.positions, again.positions)
    assert np.any(one.positions != other.positions) and np.any(one.positions[0, -1] != one.positions[1, -1])
    np.testing.assert_allclose(np.linalg.norm(one.positions, axis=-1), 1.0, atol=1e-14)
    assert len(one.times) == 7 and one.times[-1] == pytest.approx(0.12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"potential": "sign"}, "`potential` sign cannot be simulated"),
        ({"potential": charges.POTENTIALS["cos"]._replace(units=None)}, "cannot be simulated without its `units`"),
        ({"record_every": 4}, "`record_every` must divide `num_steps` = 10"),
        ({"electrons": np.ones((2, 3, 2))}, "`electrons` must be one start"),
        ({"noise_std": -1.0}, "`noise_std` must be zero or positive"),
        ({"batch_size": 0}, "`batch_size` must be at least 1"),
    ],
)
def test_bad_simulations_are_named(options: dict[str, Any], message: str) -> None:
    given = {
        "potential": "erf",
        "protons": PROTONS,
        "electrons": START,
        "learning_rate": 0.1,
        "num_steps": 10,
        "key": KEY,
    }
    with pytest.raises(ValueError, match=message):
        charges.simulate(**{**given, **options})


def test_comparisons_that_cannot_be_made_are_named(sampled: Sampled) -> None:
    theory, runs, _ = sampled
    parts = ("positions", "charges", "loss")
    single = dataclasses.replace(runs, **{name: getattr(runs, name)[:1] for name in parts})
    fewer = dataclasses.replace(theory, positions=theory.positions[:, :, :1], charges=theory.charges[:, :, :1])
    wrong: list[tuple[tuple[Any, ...], str]] = [
        ((dataclasses.replace(theory, times=2 * theory.times), runs), "times of `theory`"),
        ((theory, single), "at least 3 runs"),
        ((theory, runs, runs), "smaller learning rate"),
        ((runs, runs), "from one start"),
        ((fewer, runs), r"`runs` must have positions of the shape that `theory` has, \(5, 1, 2\)"),
    ]
    for given_wrong, message in wrong:
        with pytest.raises(ValueError, match=message):
            charges.compare(*given_wrong)


def test_small_differences_are_differences(sampled: Sampled) -> None:
    """Whatever the unit of weights, z-scores are the same."""
    theory, *runs = sampled
    small = [dataclasses.replace(one, positions=1e-13 * one.positions) for one in (theory, *runs)]
    found = charges.compare(*small).z_positions
    np.testing.assert_allclose(found, charges.compare(*sampled).z_positions, rtol=1e-6)
    assert np.abs(found).min() > 0
