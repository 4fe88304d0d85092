"""The direction that labels depend on, from one training run, with a confidence interval for every coordinate.

What the weights receive at step t is p^t = v^t + Σ_{s≤t} B_ts w^s + B_t⋆ w*, v Gaussian with covariance α E[g g^T]
(two-time form). The middle term is known from the run. What is left, (d, k), is w* seen through k noisy channels: the
best combination of them is an unbiased coordinate-wise estimate of w* with Gaussian errors of known size.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.special import ndtri

from dyntheory.ground.arrays import Array, ArrayLike, Key, PyTree
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import double_precision
from dyntheory.ground.resources import Resources
from dyntheory.ground.status import DyntheoryWarning
from dyntheory.ground.storage.marks import Axes
from dyntheory.ground.storage.saved import Saved
from dyntheory.problem.laws.label_powers import moment_powers
from dyntheory.problem.laws.rows import LabelledRows, labelled_rows
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.verbs.estimation.debias import run_responses
from dyntheory.verbs.estimation.observed_run import observed_run
from dyntheory.verbs.estimation.probes import Probes
from dyntheory.verbs.estimation.training_run import TrainingRun
from dyntheory.verbs.estimation.weight_responses import KnownSpectrum

# Times its start: the training loss of an unstable run. Intervals of 95 % hold 87 to 100 % of the coordinates where it
# has not grown so far, and hardly any where it has grown thousandfold (n = 300, d = 60, rates 2 to 8).
UNSTABLE_GROWTH = 2.0


@dataclasses.dataclass(frozen=True)
class TeacherDirection(Saved):
    """The direction with its errors, in standardised columns.

    Args:
        direction: ŵ, (d,), an unbiased estimate of w* scaled to mean square one; its own mean square is
            1 + standard_error².
        standard_error: of every coordinate.
        interval: (d, 2), at the level asked for.
        step: of the run, the one that tells most.
        overlap: estimated cosine between ŵ and w*.
        signal_power: variance of the labels along w*, by moments; columns' coefficients of a linear law are
            √(signal_power/d) ŵ.
    """

    direction: Annotated[np.ndarray, Axes("feature")]
    standard_error: float
    interval: Annotated[np.ndarray, Axes("feature", "end")]
    step: int
    overlap: float
    signal_power: float

    @property
    def coefficients(self) -> np.ndarray:
        """Coefficients (d,) of y = x·b on standardised columns for a linear law; the scale has an error too."""
        return np.sqrt(max(self.signal_power, 0.0) / len(self.direction)) * self.direction


def teacher_direction(
    inputs: ArrayLike,
    labels: ArrayLike,
    method: GeneralFirstOrderMethod,
    *,
    num_steps: int,
    key: Key,
    level: float = 0.95,
    head: PyTree = None,
    weights: ArrayLike | None = None,
) -> TeacherDirection:
    """Estimate the direction w* of labels y = φ(x·w*/√d, ξ), with confidence intervals, from one training run.

    The link φ need not be known; E φ′ must not be zero (with an even link no method that starts at random sees w*).

    Scaling:
        Columns are standardised and taken to be independent: with correlated columns ŵ is biased. n/d and T are O(1);
        the errors are those of n, d → ∞. At n = 400, d = 200 intervals of 95 % hold 94.5 % of the coordinates with
        tanh units, 90.5 % with ReLU, whose responses are noisier.

    Args:
        inputs: X, (n, d).
        labels: y, (n,).
        method: as in `dyntheory.estimate`.
        num_steps: T, one or more.
        key: `jax.random.key(seed)`.
        level: of the intervals.
        head: the initial head.
        weights: the initial first layer (d, k).

    Raises:
        TypeError: see `dyntheory.estimate`.
        ValueError: the same; a level outside (0, 1); labels that do not vary or in which no direction is seen.

    Warns:
        DyntheoryWarning: training is unstable; steps from there on are not used.

    Reference: `han2024gradient`, debiased gradient descent; here for a network's k channels.
    """
    if np.ndim(labels) != 1:
        raise ValueError(f"`labels` must have shape (n,), got {np.shape(labels)}: a direction belongs to one label.")
    data = labelled_rows(inputs, labels)
    check_arguments(teacher_direction, locals())
    if not 0 < level < 1:
        raise ValueError(f"`level` must be between 0 and 1, got {level}.")
    if num_steps < 1:
        raise ValueError(f"`num_steps` must be one or more, got {num_steps}: a direction shows in the first update.")
    data = labelled_rows(inputs, labels)
    if np.ptp(data.labels) == 0:
        raise ValueError("`labels` must vary, got one value: no direction is in them.")
    with double_precision():
        asked = {"num_steps": num_steps, "key": key, "head": head, "weights": weights}
        seen = observed_run(data, method, **asked, resources=Resources.checked(), corrects_head=False)
        channels, noise = jax.jit(_channels)(seen.method, seen.inputs, seen.training, seen.probes)
        found = np.asarray(channels), np.asarray(noise)
    stable = _stable_steps(np.asarray(seen.training.train_loss))
    if stable < num_steps:
        told = f"Training is unstable from step {stable} on; only the steps before are used: lower the learning rate."
        warnings.warn(told, DyntheoryWarning, stacklevel=2)
    return _combined(*(one[:stable] for one in found), data=data, level=level)


def _stable_steps(train_loss: Float[np.ndarray, " states"]) -> int:
    """Return how many states come before the first whose loss is not finite or above twice its start, at most T."""
    with np.errstate(all="ignore"):
        grown = ~(train_loss[:-1] <= UNSTABLE_GROWTH * train_loss[0])
    return int(np.argmax(np.append(grown, True)))


def _channels(method: GeneralFirstOrderMethod, inputs: Array, run: TrainingRun, probes: Probes) -> tuple[Array, Array]:
    """Return B_t⋆ w* + v^t of every step, (T, d, k), and the covariance of v^t, (T, k, k)."""
    (n, d), k = inputs.shape, method.num_units
    alpha = jnp.asarray(n / d)
    white = KnownSpectrum(jnp.ones(1), jnp.ones(1))
    response = run_responses(method, run, white, jnp.zeros(n, int), probes, alpha).residual
    steps, g = response.shape[0], run.residuals
    received = jnp.einsum("nd,tnk->tdk", inputs / jnp.sqrt(d), g)
    own = jnp.einsum("tasb,sdb->tda", response.reshape(steps, k, steps, k), run.weights[:-1])
    return received - own, alpha * jnp.einsum("tna,tnb->tab", g, g) / n


def _combined(
    channels: Float[np.ndarray, "steps d k"],
    noise: Float[np.ndarray, "steps k k"],
    *,
    data: LabelledRows,
    level: float,
) -> TeacherDirection:
    """Combine the channels of the step with the largest ratio of signal to noise."""
    best, found = 0.0, None
    for step, (seen, covariance) in enumerate(zip(channels, noise, strict=True)):
        values, vectors = np.linalg.eigh(covariance)
        if values[-1] <= 0:  # nothing was sent back: the rows are fitted
            continue
        kept = values > 1e-10 * values.max()
        whiten = vectors[:, kept] / np.sqrt(values[kept])
        ratios, combinations = np.linalg.eigh(whiten.T @ (seen.T @ seen / len(seen) - covariance) @ whiten)
        if ratios[-1] > best:
            best, found = float(ratios[-1]), (step, seen @ whiten @ combinations[:, -1])
    if found is None or best < 2.0 / np.sqrt(len(channels[0])):
        raise ValueError("No direction is seen in the labels: take more rows, more steps, or a link that is not even.")
    step, combined = found
    direction = combined / np.sqrt(best)
    centred = data.labels - data.labels.mean()
    direction = direction * np.sign(direction @ (data.rows.T @ centred))
    error = 1.0 / np.sqrt(best)
    half = float(ndtri(0.5 + level / 2)) * error
    power = moment_powers(data.rows, centred, is_white=True).signal
    interval = np.stack([direction - half, direction + half], axis=1)
    return TeacherDirection(direction, error, interval, step, float(np.sqrt(best / (1.0 + best))), power)
