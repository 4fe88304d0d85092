"""What `predict` and `simulate` of the wing share: checked arguments, the model, where it starts, provenance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.flows.online.model import Model
from dyntheory.flows.online.units import RELU
from dyntheory.flows.solving import check_times
from dyntheory.ground.arrays import Array, Key
from dyntheory.ground.checks import (
    check_count,
    check_nonnegative,
    check_positive,
    check_scalar,
)
from dyntheory.ground.precision import as_double
from dyntheory.ground.randomness import stream
from dyntheory.problem.laws.first_layer import joint_second_moment
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.laws.links import resolve_link
from dyntheory.problem.laws.priors import Prior
from dyntheory.problem.networks.activations import resolve_activation
from dyntheory.problem.networks.network import MLP
from dyntheory.problem.prepared import check_head, environment

NUM_TIMES, MOST_LOOKS, LEAST_STEPS = 101, 128, 500


class Rates(NamedTuple):
    """Numbers of the algorithm."""

    learning_rate: float | Callable[[Any], Any]
    momentum: float
    head_rate: float
    batch_size: int

    @property
    def schedule(self) -> Callable[[Any], Any] | None:
        """The rate as a function of time, None where it is a number."""
        return self.learning_rate if callable(self.learning_rate) else None


class Prepared(NamedTuple):
    """A checked problem in double precision.

    Args:
        model: what programs are kept by.
        rates: numbers of the algorithm.
        times: α, (T,).
        head: a at the start, (k,).
        joint: E[(w*, w)(w*, w)ᵀ], (r + k, r + k).
        priors: of the teacher's directions, None where they are Gaussian.
        draw: (W*, W⁰) where one is given.
        noise_std: σ.
        told: of law, network and rates, for provenance.
    """

    model: Model
    rates: Rates
    times: np.ndarray
    head: Array
    joint: Array
    priors: tuple[Prior, ...] | None
    draw: tuple[Array, Array] | None
    noise_std: float
    told: dict[str, Any]

    @property
    def numbers(self) -> dict[str, Any]:
        """The numbers of the flow, but for those of the start."""
        rate = 0.0 if callable(self.rates.learning_rate) else float(self.rates.learning_rate)
        return {
            "learning_rate": rate,
            "momentum": self.rates.momentum,
            "head_rate": self.rates.head_rate,
            "batch_size": float(self.rates.batch_size),
            "noise_variance": self.noise_std**2,
        }


def check_grid(time: Any) -> np.ndarray:
    """Return the grid of α that `time` asks for.

    Raises:
        ValueError: not one positive number, nor numbers that increase from zero or later.
    """
    if np.ndim(time) == 0:
        check_positive("time", time, "it is steps/d; or a grid of them")
        return np.linspace(0.0, float(time), NUM_TIMES)
    check_nonnegative("time", time)
    try:
        return check_times(time)
    except ValueError as error:
        raise ValueError(f"`time` must be a row of numbers that increase, got {np.asarray(time)!r}.") from error


def check_rates(given: Mapping[str, Any], times: np.ndarray) -> Rates:
    """Return the rates that were asked for.

    Raises:
        ValueError: a number outside its range, a schedule that is no number or negative on the grid.
    """
    rate = given["learning_rate"]
    if callable(rate):
        for moment in times[np.unique(np.linspace(0, len(times) - 1, MOST_LOOKS).astype(int))]:
            value = np.asarray(rate(jnp.asarray(float(moment))))
            if value.shape != () or not np.isfinite(value) or value < 0:
                raise ValueError(
                    f"`learning_rate` must be a number zero or more at every time, got {value!r} at {moment:g}."
                )
    else:
        check_scalar("learning_rate", rate)
        check_positive("learning_rate", rate)
        rate = float(rate)
    for name in ("momentum", "head_rate"):
        check_scalar(name, given[name])
        check_nonnegative(name, given[name])
    if given["momentum"] >= 1:
        raise ValueError(f"`momentum` must be below 1, got {given['momentum']!r}.")
    batch = check_count("batch_size", given["batch_size"])
    return Rates(rate, float(given["momentum"]), float(given["head_rate"]), batch)


def longest_step(times: np.ndarray) -> float | None:
    """Return the longest step of a solver that must not pass over a pulse of a schedule; None at time zero alone."""
    return float(times[-1]) / LEAST_STEPS if times[-1] > 0 else None


def check_network(network: MLP) -> None:
    """Refuse networks that these equations are not about.

    Raises:
        ValueError: more than one hidden layer, biases, or several outputs.
    """
    what = f"{len(network.hidden)} hidden layers" if len(network.hidden) > 1 else ""
    what = what or ("biases" if network.use_bias else "")
    what = what or (f"{network.num_outputs} outputs" if network.num_outputs > 1 else "")
    if what:
        raise ValueError(
            f"`network` must have one hidden layer, one output and no biases, such as MLP((3,), 'erf'), got {what}."
        )


def check_law(law: TeacherStudent) -> None:
    """Refuse laws that these equations are not about.

    Raises:
        ValueError: correlated features, clouds, labels that are no number plus noise.
    """
    law.__post_init__()
    if law.features is not None:
        raise ValueError(
            "`law` must have uncorrelated features here, got a spectrum: for a linear network "
            "`dyntheory.online.least_squares` takes it."
        )
    if law.separation is not None:
        raise ValueError("`law` must have labels made of inputs here, got clouds: leave `separation` out.")
    if resolve_link(law.link).takes_noise:
        raise ValueError(f"`law` must have labels φ(z) + σ ξ here, got the link {resolve_link(law.link).name!r}.")
    if law.label_shape != ():
        raise ValueError(f"`law` must have one number for a label, got a link of shape {law.label_shape}.")


def prepared(given: Mapping[str, Any]) -> Prepared:
    """Return the problem from the arguments of a verb; call inside `double_precision`.

    Raises:
        ValueError: numbers outside their ranges, problems that the equations are not about.
    """
    law, network, key, layer = given["law"], given["network"], given["key"], given["first_layer"]
    check_law(law)
    check_network(network)
    times = check_grid(given["time"])
    rates = check_rates(given, times)
    law, layer = as_double(law), as_double(layer)
    drawn = as_double(network.init_head(stream(key, "head")))
    head = drawn if given["head"] is None else check_head(given["head"], drawn)
    joint = joint_second_moment(layer, law.teacher_moment, network.num_units)
    r, link = law.num_teacher_units, resolve_link(law.link)
    model = Model(resolve_activation(network.activation), link, network.num_units, r, rates.schedule)
    _check_powers(model, np.asarray(joint))
    told = {
        "law": {"link": link.name, "noise_std": float(law.noise_std), "num_teacher_units": r},
        "network": str(network),
        "rates": {
            **rates._asdict(),
            "learning_rate": "a schedule" if callable(rates.learning_rate) else rates.learning_rate,
        },
        **environment(key),
    }
    draw = None if layer is None else layer.draw
    return Prepared(
        *(model, rates, times, head["layer_2"]["weights"][0], joint, law.teacher_priors, draw),
        noise_std=float(law.noise_std),
        told=told,
    )


def _check_powers(model: Model, joint: np.ndarray) -> None:
    r, powers = model.num_teacher_units, np.diag(joint)
    if model.kind != RELU or np.all(powers > 0):
        return
    name = "`first_layer`" if np.any(powers[r:] <= 0) else "`law`"
    raise ValueError(
        f"{name} must have weights that are not all zero for every rectifier: at zero its derivative is not defined."
    )


def keys_of_runs(key: Key, num_features: int, num_runs: int) -> Key:
    """Return one key for each run; runs at other d are independent of these."""
    return jax.random.split(jax.random.fold_in(stream(key, "runs"), num_features), num_runs)
