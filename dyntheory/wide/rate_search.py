"""The best learning rate in the limit of infinite width, and that of scripts in standard parametrisation beside it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import optax

from dyntheory.ground.arrays import Array, ArrayLike, Key, Progress
from dyntheory.ground.checks import check_count, check_positive
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.resources import Resources
from dyntheory.ground.status import quiet
from dyntheory.problem.methods.hyperparameters import OptimizerFactory
from dyntheory.problem.networks.losses import Loss
from dyntheory.wide.network import WideNetwork
from dyntheory.wide.prediction import predict
from dyntheory.wide.rate_results import BestRates, Curve, judge, minimum
from dyntheory.wide.results import WideTrajectory

FEWEST = 3


def best_rates(
    network: WideNetwork,
    inputs: ArrayLike,
    labels: ArrayLike,
    *,
    rates: ArrayLike,
    num_steps: int,
    key: Key,
    widths: ArrayLike | None = None,
    standard_rates: ArrayLike | None = None,
    optimizer: OptimizerFactory = optax.sgd,
    loss: str | Callable[[Array, Array], Array] | Loss = "squared",
    masks: ArrayLike | None = None,
    num_nodes: int | None = None,
    drop_below: float = 1e-2,
    max_memory: float | None = None,
    progress: Progress | None = None,
    **hyperparameters: Any,
) -> BestRates:
    """Predict which learning rate trains a wide network best, and whether it is the best at every width.

    One prediction per rate. In μP losses at width N differ from the limit by O(1/N), so the best rate of narrow
    networks is that of wide ones if the limit has one minimum, sharp and away from the edge of stability. Where it has
    two of the same depth, or one beside rates at which training is unstable, best rates jump from width to width though
    every layer is scaled as it should: a coordinate check passes and transfer fails.

    Scaling:
        Rates are those of `WideNetwork`: outputs move by O(η) at any width and any γ₀. A script in standard
        parametrisation at width N (one rate η_s, kernels of size 1/√fan_in) moves outputs by O(N η_s), so its rates are
        given as N η_s; its first layer is all but frozen, so its best N η_s may be several times larger.

    Args:
        network: depth, activation, γ₀; parametrisation "mup".
        inputs: (P, D).
        labels: (P,) or (P, outputs).
        rates: (R,) learning rates, positive, increasing, three or more; best equidistant in their logarithm.
        num_steps: T, one or more.
        key: `jax.random.key(seed)`; all predictions share its nodes.
        widths: N, (W,), of the standard parametrisation beside it; default none. They need a rule that is linear in the
            gradients (SGD, momentum). Initial outputs are taken as subtracted, and the scatter of O(1/√N) between
            networks is left out: it takes some of them past the edge of stability, so below N of a few hundred the best
            mean loss is at lower rates than predicted.
        standard_rates: (S,) N η_s for all of them; default `rates`.
        optimizer: an optax factory with the keyword `learning_rate`.
        loss: as in `predict`.
        masks: as in `predict`.
        num_nodes: as in `predict`.
        drop_below: as in `predict`.
        max_memory: as in `predict`.
        progress: called with (fraction done, what is being done).
        **hyperparameters: other numbers for the factory, `momentum=0.9`.

    Returns:
        Curves, their minima with error bars, and the verdict on the first; `print` shows it. Rates transfer if the
        minimum is bracketed, resolved together with all rates within a factor 1.5, away from any other that comes
        within 10 % or two errors of its loss, and less than a factor 2 wide at that height.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: rates that are too few, not increasing or not positive, a network of finite width, a learning rate
            beside `rates`, or what `predict` refuses.

    Example:
        >>> import jax, numpy as np, dyntheory as dt
        >>> inputs = np.random.default_rng(0).standard_normal((3, 5))
        >>> found = dt.wide.best_rates(dt.WideNetwork(1), inputs, np.array([1.0, -1, 1]), rates=[1.0, 2.0, 4.0, 8.0],
        ...                            num_steps=2, key=jax.random.key(0), num_nodes=2**10)
        >>> 2.0 < found.best_rate < 8.0
        True

    Reference: `yang2021tuning` for the transfer; `bordelon2022self`.
    """
    check_arguments(best_rates, locals())
    _check_request(network, hyperparameters)
    grid, sizes = _grid("rates", rates), [] if widths is None else _widths(widths)
    other = grid if standard_rates is None else _grid("standard_rates", standard_rates)
    num_steps = check_count("num_steps", num_steps)
    resources = Resources.checked(max_memory=max_memory, progress=progress)
    total, done = len(grid) + len(sizes) * len(other), iter(range(len(grid) + len(sizes) * len(other)))
    options = {"optimizer": optimizer, "num_steps": num_steps, "key": key, "loss": loss, "masks": masks}
    options |= {"num_nodes": num_nodes, "drop_below": drop_below, "max_memory": max_memory, **hyperparameters}

    def at(one: WideNetwork, rate: float) -> WideTrajectory:
        report = functools.partial(_report, resources.report, next(done) / total, 1 / total)
        with quiet():
            return predict(
                one, inputs, labels, learning_rate=rate, keep_kernels=False, progress=report, **options
            )  # learning_rate is data, so all of them share their programs

    networks = [dataclasses.replace(network, parametrisation="standard", width=n, feature_learning=1.0) for n in sizes]
    standard = [
        _curve(other, [at(one, rate / size) for rate in other]) for one, size in zip(networks, sizes, strict=True)
    ]
    found = [at(network, rate) for rate in grid]
    return _result(_curve(grid, found), found[0].provenance, num_steps, sizes, standard)


def _report(report: Progress, begin: float, share: float, fraction: float, doing: str) -> None:
    report(begin + share * fraction, doing)


def _check_request(network: WideNetwork, hyperparameters: dict[str, Any]) -> None:
    if network.parametrisation != "mup":
        raise ValueError(
            f'`network` must have parametrisation="mup", got "{network.parametrisation}": finite widths of the '
            "standard parametrisation are asked for by `widths`."
        )
    if "learning_rate" in hyperparameters:
        raise ValueError("`learning_rate` is given by `rates`, one prediction for each: leave it out.")


def _grid(name: str, value: ArrayLike) -> np.ndarray:
    check_positive(name, value)
    grid = np.asarray(value, float)
    if grid.ndim != 1 or len(grid) < FEWEST or not np.all(np.diff(grid) > 0):
        raise ValueError(f"`{name}` must be {FEWEST} or more increasing numbers, got {value!r}.")
    return grid


def _widths(value: ArrayLike) -> list[int]:
    sizes = np.asarray(value)
    if sizes.ndim != 1 or not sizes.size:
        raise ValueError(f"`widths` must be a sequence of counts, or None, got {value!r}.")
    return [check_count("widths", size.item()) for size in sizes]


def _curve(rates: np.ndarray, found: list[WideTrajectory]) -> Curve:
    """Return losses after the last step, with their errors."""
    errors = [one.standard_error for one in found]
    return Curve(
        rates,
        np.array([one.train_loss[-1] for one in found], float),
        np.array([np.nan if one is None else one.train_loss[-1] for one in errors], float),
        tuple(str(one.status.code) for one in found),
    )


def _result(
    curve: Curve, provenance: dict[str, Any], num_steps: int, sizes: list[int], standard: list[Curve]
) -> BestRates:
    least = minimum(curve)
    should, verdict = judge(curve, num_steps)
    beside: dict[str, Any] = {}
    if sizes:
        found = [minimum(one) for one in standard]
        best = np.array([(one.rate, one.error) for one in found]) / np.array(sizes)[:, None]
        beside = {
            "widths": np.array(sizes),
            "standard_rates": standard[0].rates,
            "standard_loss": np.stack([one.loss for one in standard]),
            "standard_loss_error": np.stack([one.error for one in standard]),
            "standard_outcomes": tuple(one.outcomes for one in standard),
            "standard_best": best[:, 0],
            "standard_best_error": best[:, 1],
        }
    return BestRates(
        curve.rates,
        curve.loss,
        curve.error,
        curve.outcomes,
        least.rate,
        least.error,
        should,
        verdict,
        num_steps,
        **beside,
        provenance=provenance,
    )
