"""Where gradient descent ends: logistic loss at the largest margin, least squares at the least norm.

With z_i = y_i x_i the flow ẇ = Σ_i z_i/(1 + e^{z_i·w}) is w(t) = ŵ ln t + ρ̃ + o(1), ŵ the least weight with
z_i·w ≥ 1. On the support ŵ = Σ_k a_k z_k and Σ_k e^{−z_k·ρ̃} z_k = ŵ, so that e^{−z_k·ρ̃} = a_k where the support
vectors are independent. The direction misses that of ŵ by |(I − ûûᵀ) ρ̃|/(|ŵ| ln t): a logarithm is all that is left of
time, and the flow is solved in s = ln(1 + t),

    dw/ds = Σ_i z_i e^{s − ln(1 + e^{z_i·w})},

which does not overflow at t = 1e40 and beyond. What is left, o(1), falls as t^(−p): p is the least eigenvalue of
Σ_k e^{−z_k·ρ̃} z_k z_kᵀ on the support, or z·ŵ − 1 of the next sample where that is less. Descent with small steps η
is at t = η × steps.

Reference: `soudry2018implicit`, Theorems 3 and 4.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.flows.perceptron.data import checked_inputs, signed_rows
from dyntheory.flows.perceptron.margins import LargestMargin, margin_of_rows
from dyntheory.flows.solving import solve_flow
from dyntheory.ground.arrays import Array, ArrayLike, OptionalArray, PyTree
from dyntheory.ground.checks import check_finite
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.status import Outcome, Status
from dyntheory.ground.storage.marks import Axes, Coordinate
from dyntheory.ground.storage.saved import Saved

STEEP = 300.0  # (R/γ)² from which on the flow is stiff
NEWTON_STEPS = 60


@dataclasses.dataclass(frozen=True)
class ImplicitBias(Saved):
    """How the weights of logistic loss go to infinity: ŵ ln t + ρ̃.

    Args:
        weights: ŵ, (d,).
        offset: ρ̃ in the span of the support vectors, (d,); what is orthogonal to it depends on the start and the other
            samples. None where a support vector has no weight in ŵ, and the flow another form.
        is_complete: whether the support vectors span the space, so that `offset` is all of ρ̃.
        rate: c in |w/|w| − ŵ/|ŵ|| ≈ c/ln t; None where `offset` is not all of ρ̃.
        decay_exponent: p in w − ŵ ln t − ρ̃ ∝ t^(−p); None without `offset`.
        largest_margin: of the data, with its duals and support.
        status: "unresolved" where the margin is, or ρ̃ was not found.
    """

    weights: Annotated[np.ndarray, Axes("feature")]
    offset: Annotated[OptionalArray, Axes("feature")]
    is_complete: bool
    rate: float | None
    decay_exponent: float | None
    largest_margin: LargestMargin
    status: Status = dataclasses.field(default_factory=Status)


@dataclasses.dataclass(frozen=True)
class LogisticFlow(Saved):
    """Weights of logistic loss at times that are told by their logarithms.

    Args:
        log_times: ln t, (T,).
        weights: w, (T, d).
        error: of the solver, (T, d).
        direction_error: |w/|w| − ŵ/|ŵ||, (T,).
        margin: smallest z_i·w/|w|, (T,).
        log_loss: ln Σ_i ln(1 + e^{−z_i·w}), (T,).
        bias: ŵ and ρ̃ that theory expects.
        status: how the solver ended.
    """

    log_times: Annotated[np.ndarray, Coordinate("log_time")]
    weights: Annotated[np.ndarray, Axes("log_time", "feature")]
    error: Annotated[np.ndarray, Axes("log_time", "feature")]
    direction_error: Annotated[np.ndarray, Axes("log_time")]
    margin: Annotated[np.ndarray, Axes("log_time")]
    log_loss: Annotated[np.ndarray, Axes("log_time")]
    bias: ImplicitBias
    status: Status = dataclasses.field(default_factory=Status)


def implicit_bias(inputs: ArrayLike, labels: ArrayLike) -> ImplicitBias:
    """Return where gradient flow on the logistic loss of separable labels goes.

    Scaling:
        The loss is a sum over samples and the weight is w·x; no offset.

    Args:
        inputs: (n, d).
        labels: (n,), −1 or 1, separable by a plane through the origin.

    Returns:
        ŵ, ρ̃ and the rate c of the direction.

    Raises:
        ValueError: shapes that do not match, labels that are none, or that no plane separates.

    Example:
        >>> import numpy as np, dyntheory as dt
        >>> bias = dt.perceptron.implicit_bias(np.array([[1.0, 0.0], [0.0, 2.0]]), [1, 1])
        >>> bias.weights, abs(bias.offset).round(4)  # duals of both: 1 and 1/4, z·ρ̃ = 0 and ln 4
        (array([1. , 0.5]), array([0.    , 0.6931]))

    Reference: `soudry2018implicit`, Theorems 3 and 4.
    """
    check_arguments(implicit_bias, locals())
    return bias_of_rows(signed_rows(inputs, labels))


def bias_of_rows(rows: np.ndarray) -> ImplicitBias:
    """Return ŵ and ρ̃ of rows z_i."""
    found = margin_of_rows(rows)
    if found.weights is None:
        raise ValueError(
            "`labels` must be separable by a plane through the origin: otherwise the loss has a minimum, at finite "
            "weights. Append a column of ones for an offset."
        )
    close = rows @ found.weights < 1 + 1e-7
    support = rows[found.support]
    is_complete = int(np.linalg.matrix_rank(support)) == rows.shape[1]
    if close.sum() > len(found.support):
        close_rows = rows[close]
        if np.linalg.matrix_rank(close_rows) > np.linalg.matrix_rank(support):
            told = "A sample lies on the margin without holding it: corrections grow as ln ln t."
            return _unknown(found, is_complete, told)
        support = close_rows
    offset = _offset(support, found.weights)
    if offset is None:
        return _unknown(found, is_complete, "The offset was not found: the support vectors are nearly dependent.")
    direction = found.weights / np.linalg.norm(found.weights)
    across = offset - direction * (direction @ offset)
    rate = float(np.linalg.norm(across) / np.linalg.norm(found.weights)) if is_complete else None
    # Beside the zeros of what the support does not span.
    heights = np.exp(-support @ offset)
    least = np.linalg.eigvalsh(support.T @ (heights[:, None] * support))[-int(np.linalg.matrix_rank(support))]
    others = (rows @ found.weights)[~close]
    decay = float(min(least, others.min() - 1 if len(others) else np.inf))
    return ImplicitBias(found.weights, offset, is_complete, rate, decay, found, found.status)


def _unknown(found: LargestMargin, is_complete: bool, told: str) -> ImplicitBias:
    status = Status(Outcome.UNRESOLVED, told)
    return ImplicitBias(np.asarray(found.weights), None, is_complete, None, None, found, status)


def _offset(support: np.ndarray, weights: np.ndarray) -> np.ndarray | None:
    """Minimise Σ_k e^{−z_k·ρ} + ŵ·ρ, convex, over the span of the support by damped Newton steps."""
    _, sizes, basis = np.linalg.svd(support, full_matrices=False)
    basis = basis[sizes > 1e-10 * sizes[0]]
    z, target = support @ basis.T, basis @ weights
    rho = -target * np.log(target @ target / len(z))  # all heights the mean dual, whatever the units

    def value(rho: np.ndarray) -> float:
        with np.errstate(over="ignore"):
            return float(np.exp(-z @ rho).sum() + target @ rho)

    for _ in range(NEWTON_STEPS):
        heights = np.exp(-z @ rho)
        gradient = target - z.T @ heights
        step = np.linalg.lstsq(z.T @ (heights[:, None] * z), gradient, rcond=None)[0]
        size = 1.0
        while value(rho - size * step) > value(rho) and size > 1e-10:
            size /= 2
        rho = rho - size * step
    left = np.linalg.norm(target - z.T @ np.exp(-z @ rho))
    return rho @ basis if left < 1e-9 * np.linalg.norm(target) else None


def logistic_flow(
    inputs: ArrayLike,
    labels: ArrayLike,
    *,
    log_times: ArrayLike,
    initial: ArrayLike | None = None,
    rtol: float = 1e-8,
) -> LogisticFlow:
    """Follow gradient flow on the logistic loss of separable labels, to times such as 1e40.

    ẇ = Σ_i z_i/(1 + e^{z_i·w}), z_i = y_i x_i, in logarithmic time.

    Scaling:
        The loss is a sum over samples; for a mean over them t counts n times as much.

    Args:
        inputs: (n, d).
        labels: (n,), −1 or 1, separable by a plane through the origin.
        log_times: ln t, increasing, (T,); 40 ln 10 is t = 1e40.
        initial: w at t = 0, (d,); default zero.
        rtol: tolerance of the weights.

    Returns:
        Weights with the error of the solver, how far their direction is from that of the largest margin, and what
        theory expects.

    Raises:
        ImportError: without diffrax.
        ValueError: shapes that do not match, labels that are not separable, times that do not increase.

    Example:
        >>> import numpy as np, dyntheory as dt
        >>> inputs, late = np.array([[1.0, 0.0], [0.0, 2.0]]), 40 * np.log(10)
        >>> flow = dt.perceptron.logistic_flow(inputs, [1, 1], log_times=[late])
        >>> bool(abs(flow.direction_error[0] * late / flow.bias.rate - 1) < 0.01)
        True

    Reference: `soudry2018implicit`.
    """
    check_arguments(logistic_flow, locals())
    rows = signed_rows(inputs, labels)
    moments = np.asarray(log_times, float)
    if moments.ndim != 1 or not len(moments) or not np.isfinite(moments).all() or (np.diff(moments) <= 0).any():
        raise ValueError(f"`log_times` must be a row of finite numbers that increase, got {log_times!r}.")
    shifted = np.logaddexp(0.0, moments)
    if (np.diff(shifted) <= 0).any() or shifted[0] <= 0:
        raise ValueError(f"`log_times` must be above −700 and apart by more than rounding, got {log_times!r}.")
    start = _start(initial, rows.shape[1], "initial")
    bias = bias_of_rows(rows)
    stiff = bias.largest_margin.mistake_bound > STEEP
    flow = solve_flow(_in_log_time, start, shifted, rows, rtol=rtol, stiff=stiff)
    fields = flow.states @ rows.T
    sizes = np.abs(flow.states).max(axis=1, keepdims=True)
    norms = sizes * np.linalg.norm(flow.states / sizes, axis=1, keepdims=True)  # early squares are no numbers
    direction = bias.weights / np.linalg.norm(bias.weights)
    # A start at zero has no direction, but no time asked for is zero.
    off = np.linalg.norm(flow.states / norms - direction, axis=1)
    log_loss = np.array([_log_loss(row) for row in fields])
    margin = fields.min(axis=1) / norms[:, 0]
    return LogisticFlow(moments, flow.states, flow.error, off, margin, log_loss, bias, flow.status)


def least_squares_limit(inputs: ArrayLike, labels: ArrayLike, *, initial: ArrayLike | None = None) -> np.ndarray:
    """Return where gradient descent on least squares ends: the solution nearest to its start.

    w = w₀ + X⁺(y − X w₀) = X⁺y + (I − X⁺X) w₀, at any step size that converges: from zero the solution of least norm.

    Args:
        inputs: X, (n, d); of any rank.
        labels: y, (n,) or (n, outputs).
        initial: w₀, (d,) or (d, outputs); default zero.

    Returns:
        w, in the shape of w₀.

    Raises:
        ValueError: shapes that do not match, or numbers that are not finite.

    Example:
        >>> import dyntheory as dt
        >>> dt.perceptron.least_squares_limit([[1.0, 1.0]], [2.0], initial=[0.0, 1.0])
        array([0.5, 1.5])

    Reference: `gunasekar2018characterizing`.
    """
    check_arguments(least_squares_limit, locals())
    rows, targets = checked_inputs(inputs), np.asarray(labels, float)
    if targets.ndim not in (1, 2) or len(targets) != len(rows):
        raise ValueError(f"`labels` must have the shape ({len(rows)},) or ({len(rows)}, outputs), got {targets.shape}.")
    check_finite("labels", targets)
    start = np.zeros((rows.shape[1], *targets.shape[1:])) if initial is None else np.asarray(initial, float)
    if start.shape != (rows.shape[1], *targets.shape[1:]):
        raise ValueError(f"`initial` must have the shape {(rows.shape[1], *targets.shape[1:])}, got {start.shape}.")
    check_finite("initial", start)
    return start + np.linalg.lstsq(rows, targets - rows @ start, rcond=None)[0]


def _start(initial: ArrayLike | None, num_features: int, name: str) -> np.ndarray:
    start = np.zeros(num_features) if initial is None else np.asarray(initial, float)
    if start.shape != (num_features,) or not np.isfinite(start).all():
        raise ValueError(f"`{name}` must be ({num_features},) finite numbers, got {initial!r}.")
    return start


def _in_log_time(time: Array, weights: PyTree, rows: PyTree) -> PyTree:
    return jnp.exp(time - jax.nn.softplus(rows @ weights)) @ rows


def _log_loss(fields: np.ndarray) -> float:
    """Return ln Σ ln(1 + e^{−f}), where the terms underflow too."""
    logs = np.where(fields > 30, -fields, np.log(np.logaddexp(0.0, -np.minimum(fields, 30))))
    top = logs.max()
    return float(top + np.log(np.exp(logs - top).sum()))
