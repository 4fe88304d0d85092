"""Deep linear networks: the limit n, d → ∞ to machine precision, by two routes.

F(θ, h) = W_L ⋯ W_3 W_2 h = β·h with a linear link y = s·z + σξ, so the residual
r = F − y is a linear functional of Gaussians and g = r β.

* `solve` reveals the matrix (theory.md §3) with both sides held as coordinates in an
  orthonormal Gaussian frame, where an inner product is a dot product and fresh noise is
  a fresh axis. No nodes, nothing random.
* `solve_spectral` never reveals anything: in the singular basis of X each mode evolves
  by itself given β, and sums over modes are Marchenko–Pastur integrals.
"""

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np

from .gaussian import Array, joint_moment, semidefinite_cholesky
from .linear_curves import marchenko_pastur


class DeepLinear(NamedTuple):
    """Learning curves of a deep linear network; T steps, k units, r teacher directions."""

    train_error: Array  # (T+1,)
    test_error: Array  # (T+1,)
    weight_overlap: Array  # (T+1, k, k)  E[w^t w^tᵀ]
    teacher_overlap: Array  # (T+1, k, r)  E[w^t w*ᵀ]
    heads: list[list[Array]]  # T+1 lists of matrices


def solve(
    head: Sequence[Array],
    link_slope: Array,
    *,
    alpha: float,
    learning_rate: float,
    noise_std: float,
    num_steps: int,
    second_moment: Array,
    teacher_overlap: Array,
    teacher_second_moment: Array,
    momentum: float = 0.0,
    memory: bool = True,
    tolerance: float = 1e-10,
) -> DeepLinear:
    """Solve by revelation in coordinates on both sides.

    Args:
        head: matrices [W_2 (k_2, k), …, W_L (1, k_{L−1})]; empty for depth 1 (k = 1).
        link_slope: (r,) s in y = s·z + σξ.
        alpha: n/d.
        learning_rate: η of all layers.
        noise_std: σ.
        num_steps: T.
        second_moment: (k, k) E[w⁰ w⁰ᵀ].
        teacher_overlap: (k, r) E[w⁰ w*ᵀ].
        teacher_second_moment: (r, r) E[w* w*ᵀ].
        momentum: heavy-ball μ: trace ← μ·trace + gradient, parameter ← parameter − η·trace.
        memory: False is the negative control without the Onsager terms.
        tolerance: relative remainder below which a direction is not new.
    """
    k, r = teacher_overlap.shape
    moment = joint_moment(teacher_second_moment, teacher_overlap, second_moment)
    matrix = _RevealedMatrix(alpha, r + k, num_steps + 1, memory=memory, tolerance=tolerance)
    rows = np.zeros((r + k, matrix.size))
    rows[:, : r + k] = semidefinite_cholesky(moment)
    teacher, weights = rows[:r], rows[r:]
    noise = noise_std * np.eye(1, matrix.size)[0]
    labels = link_slope @ matrix.forward(teacher) + noise
    matrices, states = list(head), []
    trace, traces = np.zeros_like(weights), [np.zeros_like(matrix) for matrix in matrices]
    for _ in range(num_steps + 1):
        vector = _product(matrices, k)[0]
        h = matrix.forward(weights)
        residual = vector @ h - labels
        states.append((matrices, weights @ weights.T, weights @ teacher.T, float(residual @ residual)))
        trace = momentum * trace + np.outer(vector, matrix.backward(residual)) / alpha
        weights = weights - learning_rate * trace
        gradients = _head_gradients(matrices, h @ residual)
        traces = [momentum * m + gradient for m, gradient in zip(traces, gradients, strict=True)]
        matrices = [w - learning_rate * m for w, m in zip(matrices, traces, strict=True)]
    return _collect(states, link_slope, teacher_second_moment, noise_std)


def solve_spectral(
    head: Sequence[Array],
    link_slope: Array,
    *,
    alpha: float,
    learning_rate: float,
    noise_std: float,
    num_steps: int,
    second_moment: Array,
    teacher_overlap: Array,
    teacher_second_moment: Array,
    momentum: float = 0.0,
    num_nodes: int = 400,
) -> DeepLinear:
    """Solve mode by mode over the spectrum of X; arguments as in `solve`.

    With XᵀX/d = Σ_j s_j e_j e_jᵀ, s = α h and h of law MP_{1/α}, the feature-side mode j
    obeys w_j ← w_j − (η/α) √s_j r_j β with r_j = √s_j (β·w_j − s·w*_j) − σ ξ_j, ξ_j the
    noise along the j-th left singular vector. Each mode is a linear function of its own
    (w*_j, w⁰_j, ξ_j), stored as coefficients (node, unit, r + k + 1).
    """
    k, r = teacher_overlap.shape
    moment = np.eye(r + k + 1)
    moment[:-1, :-1] = joint_moment(teacher_second_moment, teacher_overlap, second_moment)
    positive, mass = marchenko_pastur(1 / alpha, num_nodes=num_nodes)
    eigenvalues = np.append(alpha * positive, 0.0)
    feature_mass = np.append(mass, max(0.0, 1 - alpha))
    sample_mass = np.append(mass, 0.0) / alpha
    left_over = noise_std**2 * max(0.0, 1 - 1 / alpha)
    root = np.sqrt(eigenvalues)[:, None]
    identity = np.eye(r + k + 1)
    target = root * (link_slope @ identity[:r]) + noise_std * identity[-1]
    weights = np.tile(identity[r : r + k], (len(root), 1, 1))
    matrices, states = list(head), []
    trace, traces = np.zeros_like(weights), [np.zeros_like(matrix) for matrix in matrices]
    for _ in range(num_steps + 1):
        vector = _product(matrices, k)[0]
        h = root[:, :, None] * weights
        residual = np.einsum("a,jac->jc", vector, h) - target
        overlap = np.einsum("j,jac,cd,jbd->ab", feature_mass, weights, moment, weights)
        with_teacher = np.einsum("j,jac,ci->ai", feature_mass, weights, moment[:, :r])
        train = np.einsum("j,jc,cd,jd->", sample_mass, residual, moment, residual) + left_over
        states.append((matrices, overlap, with_teacher, float(train)))
        correlation = np.einsum("j,jac,cd,jd->a", sample_mass, h, moment, residual)
        trace = momentum * trace + vector[:, None] * (root * residual)[:, None, :] / alpha
        weights = weights - learning_rate * trace
        gradients = _head_gradients(matrices, correlation)
        traces = [momentum * m + gradient for m, gradient in zip(traces, gradients, strict=True)]
        matrices = [w - learning_rate * m for w, m in zip(matrices, traces, strict=True)]
    return _collect(states, link_slope, teacher_second_moment, noise_std)


class _RevealedMatrix:
    """X/√d known through the directions already asked for, in frame coordinates.

    Sample axis 0 is the label noise; every other axis, on either side, is the fresh
    Gaussian of one revealed direction.
    """

    def __init__(self, alpha: float, num_initial: int, num_steps: int, *, memory: bool, tolerance: float) -> None:
        self.size = 1 + num_initial + 2 * num_steps
        self._alpha, self._memory, self._tolerance = alpha, memory, tolerance
        self._feature_axis, self._sample_axis = num_initial, 1
        self._features: list[tuple[Array, Array]] = []  # (q, ε): feature, sample side
        self._samples: list[tuple[Array, Array]] = []  # (v, ĝ): feature, sample side

    def forward(self, rows: Array) -> Array:
        """Return X w/√d, one row per row of feature coordinates."""
        return np.stack([self._forward(row) for row in rows])

    def backward(self, g: Array) -> Array:
        """Return Xᵀ g/√d in feature coordinates."""
        known = [direction for _, direction in self._samples]
        new = self._new_direction(g, known)
        if new is not None:
            self._samples.append((self._axis(self._feature_axis), new))
            self._feature_axis += 1
        result = sum(np.sqrt(self._alpha) * v * (unit @ g) for v, unit in self._samples)
        if self._memory:
            result = result + sum(self._alpha * q * (eps @ g) for q, eps in self._features)
        return np.asarray(result)

    def _forward(self, w: Array) -> Array:
        """Return X w/√d for one w, revealing its new direction if it has one."""
        known = [direction for direction, _ in self._features]
        new = self._new_direction(w, known)
        if new is not None:
            self._features.append((new, self._axis(self._sample_axis)))
            self._sample_axis += 1
        result = sum((eps * (q @ w) for q, eps in self._features), np.zeros(self.size))
        if self._memory:
            onsager = (unit * (v @ w) for v, unit in self._samples)
            result = result + sum(onsager, np.zeros(self.size)) / np.sqrt(self._alpha)
        return result

    def _new_direction(self, vector: Array, known: list[Array]) -> Array | None:
        """Return the normalised remainder of `vector`, None if it holds nothing new."""
        remainder = vector
        for _ in range(2):
            for direction in known:
                remainder = remainder - direction * (direction @ remainder)
        length = np.linalg.norm(remainder)
        if length <= self._tolerance * np.linalg.norm(vector):
            return None
        return remainder / length

    def _axis(self, index: int) -> Array:
        """Return the unit vector along one axis."""
        return np.eye(1, self.size, index)[0]


def _product(matrices: Sequence[Array], width: int) -> Array:
    """Return the last matrix times … times the first, the identity if there is none."""
    return reduce(lambda product, matrix: matrix @ product, matrices, np.eye(width))


def _head_gradients(matrices: list[Array], correlation: Array) -> list[Array]:
    """Return the gradients (later layers)ᵀ (earlier layers · E[r h])ᵀ of every W_l."""
    gradients = []
    for index, matrix in enumerate(matrices):
        before = _product(matrices[:index], len(correlation)) @ correlation
        after = _product(matrices[index + 1 :], matrix.shape[0])[0]
        gradients.append(np.outer(after, before))
    return gradients


def _collect(
    states: list[tuple[list[Array], Array, Array, float]],
    link_slope: Array,
    teacher_second_moment: Array,
    noise_std: float,
) -> DeepLinear:
    """Add the test error E(β·h − s·z)² + σ² and stack over time."""
    heads, overlaps, teacher_overlaps, train_errors = zip(*states, strict=True)
    signal = link_slope @ teacher_second_moment @ link_slope
    test_errors = []
    for matrices, overlap, with_teacher in zip(heads, overlaps, teacher_overlaps, strict=True):
        vector = _product(matrices, len(overlap))[0]
        fit = vector @ overlap @ vector - 2 * vector @ with_teacher @ link_slope
        test_errors.append(float(fit + signal) + noise_std**2)
    return DeepLinear(
        train_error=np.array(train_errors),
        test_error=np.array(test_errors),
        weight_overlap=np.stack(overlaps),
        teacher_overlap=np.stack(teacher_overlaps),
        heads=list(heads),
    )
