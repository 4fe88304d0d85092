"""A regressor and a classifier in scikit-learn's form that stop training by the estimate, with no row held out.

Inputs are standardised inside; constant columns get no weight. Missing entries and words belong to a pipeline before
them (`SimpleImputer`, `OneHotEncoder`).
"""

from __future__ import annotations

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dyntheory.ground.arrays import ArrayLike
from dyntheory.ground.checks import check_count, check_positive
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import double_precision
from dyntheory.ground.status import Outcome
from dyntheory.problem.laws.rows import FEWEST_ROWS
from dyntheory.problem.methods.gradient_descent import gradient_descent
from dyntheory.problem.networks.network import MLP
from dyntheory.results.trajectory import Trajectory
from dyntheory.verbs.estimation.estimate import estimate
from dyntheory.verbs.estimation.reliable_steps import EstimateWarning

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "The estimators are scikit-learn's, which is not installed: pip install 'dyntheory[data]'."
    ) from error

STOPPING = ("theory", None)


class UnstableTraining(EstimateWarning, ConvergenceWarning):
    """Training, or the estimate that stops it, became unstable within `num_steps`; the text says where and the cure."""


class _Stopped(BaseEstimator):
    """What both share: a network trained by gradient descent and stopped by the estimate."""

    def __init__(
        self,
        hidden: tuple[int, ...] = (4,),
        activation: str = "tanh",
        learning_rate: float | None = None,
        num_steps: int = 100,
        early_stopping: str | None = "theory",
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.learning_rate = learning_rate
        self.num_steps = num_steps
        self.early_stopping = early_stopping
        self.random_state = random_state

    def _fit(self, inputs: np.ndarray, targets: np.ndarray, loss: str) -> None:
        """Train, and keep the network at the step that the estimate chooses."""
        check_arguments(_Stopped.__init__, vars(self))
        if self.learning_rate is not None:
            check_positive("learning_rate", self.learning_rate)
        if self.early_stopping not in STOPPING:
            raise ValueError(f"`early_stopping` must be 'theory' or None, got {self.early_stopping!r}.")
        if len(inputs) < FEWEST_ROWS:
            raise ValueError(f"`fit` needs {FEWEST_ROWS} samples or more, got n_samples={len(inputs)}.")
        spread = inputs.std(axis=0)
        self._kept = spread > 1e-12 * np.maximum(np.abs(inputs.mean(axis=0)), 1e-300)
        if not self._kept.any():
            raise ValueError("`X` must have a column that varies.")
        rows = inputs[:, self._kept]
        outputs = 1 if targets.ndim == 1 else targets.shape[1]
        self._num_outputs = outputs
        network = self._network()
        rate = _safe_rate(rows, loss) if self.learning_rate is None else self.learning_rate
        method = gradient_descent(network, optax.sgd, learning_rate=rate, loss=loss)
        key = jax.random.key(_seed(self.random_state))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EstimateWarning)  # said below, with the step that was chosen
            found = estimate(rows, targets, method, num_steps=self.num_steps, key=key)
        if found.recorded_weights is None or found.test_loss is None:
            raise ValueError("The first layers of all steps take more than 64 MB: lower `num_steps` or `hidden`.")
        self.n_iter_ = _step_to_keep(found, self.early_stopping)
        if not found.status.ok:
            told = f"Step {self.n_iter_} of {self.num_steps} is kept. {found.status}"
            warnings.warn(told, UnstableTraining, stacklevel=3)
        units = found.provenance["standardisation"]
        self._mean, self._scale = np.asarray(units["mean"]), np.asarray(units["scale"])
        self._weights = found.recorded_weights[self.n_iter_]
        self._head = jax.tree.map(lambda leaf: leaf[self.n_iter_], found.head)
        self.trajectory_ = found
        self.estimated_loss_ = float(found.test_loss[self.n_iter_])

    def _network(self) -> MLP:
        """Return the network, made anew: its functions cannot be pickled."""
        return MLP(self.hidden, self.activation, num_outputs=self._num_outputs, use_bias=True)

    def _outputs(self, inputs: np.ndarray) -> np.ndarray:
        rows = (inputs[:, self._kept] - self._mean) / self._scale
        h = rows @ self._weights / np.sqrt(rows.shape[1])
        with double_precision():
            return np.asarray(jax.vmap(self._network().apply_head, in_axes=(None, 0))(self._head, jnp.asarray(h)))


def _checked(model: Any, *data: Any, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and labels as scikit-learn checks them; no labels where none are given."""
    found = validate_data(model, *data, dtype=float, **options)
    return found if isinstance(found, tuple) else (found, np.empty(0))  # pyright: ignore[reportReturnType]


def _step_to_keep(found: Trajectory, early_stopping: str | None) -> int:
    """Return the step of the smallest estimated loss, or without early stopping the last before a divergence."""
    assert found.test_loss is not None
    if early_stopping is None and found.status.code != Outcome.DIVERGED:
        return found.num_steps
    usable = np.isfinite(found.test_loss)
    return int(np.argmin(np.where(usable, found.test_loss, np.inf)) if early_stopping else np.flatnonzero(usable)[-1])


def _seed(random_state: int | np.random.RandomState | None) -> int:
    """Return the seed that scikit-learn's forms of randomness stand for; a generator is asked for one."""
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    return 0 if random_state is None else check_count("random_state", random_state, minimum=0)


def _safe_rate(rows: np.ndarray, loss: str) -> float:
    """Return min(1, 2/λ), λ the largest eigenvalue of the correlation of the columns; a quarter for the squared loss.

    At 2/λ a linear model of numbers becomes unstable, and as the head grows, so does the curvature. Losses of classes
    are at most a quarter as curved.
    """
    scaled = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    largest = np.linalg.norm(scaled, ord=2) ** 2 / len(rows)
    return float(min(1.0, 2.0 / largest)) * (0.25 if loss == "squared" else 1.0)


class NetworkRegressor(RegressorMixin, _Stopped):
    """A network for numbers, squared loss on standardised labels.

    Args:
        hidden: widths of the hidden layers; the first is the k of the theory and should be far below n and d.
        activation: a name of `dyntheory.problem.networks.activations`.
        learning_rate: of gradient descent; None takes min(¼, ½/λ), λ the largest eigenvalue of the columns'
            correlation.
        num_steps: T, the largest number of steps.
        early_stopping: "theory" stops where the estimated loss on fresh rows is smallest; None at the end, or at the
            last step before training diverges.
        random_state: seed of head and first layer; None is 0; a `RandomState` is asked for one.

    Attributes:
        n_iter_: the step it stopped at.
        trajectory_: what `dyntheory.estimate` returned, labels standardised.
        estimated_loss_: half the squared error on fresh rows that is estimated at that step, in units of `y` squared;
            NaN where there is no estimate.
        n_features_in_: columns seen in `fit`.

    Raises:
        ValueError: from `fit`, data that cannot be used.

    Warns:
        UnstableTraining: from `fit`, training or its estimate became unstable: no step from there on is kept.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(200, 20))
        >>> model = NetworkRegressor(num_steps=30).fit(rows, rows[:, 0])
        >>> bool(model.score(rows, rows[:, 0]) > 0.5)
        True
    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> NetworkRegressor:
        """Train on rows (n, d) and labels (n,)."""
        if np.asarray(y).dtype.kind in "US":
            raise ValueError("`y` must hold numbers, got words: NetworkClassifier takes classes.")
        inputs, labels = _checked(self, X, y, y_numeric=True)
        mean, spread = float(labels.mean()), float(labels.std())
        self._label_mean, self._label_scale = mean, spread if spread > 0 else 1.0
        self._fit(inputs, (labels - self._label_mean) / self._label_scale, "squared")
        self.estimated_loss_ *= self._label_scale**2
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return predictions (m,) for rows (m, d)."""
        check_is_fitted(self)
        inputs, _ = _checked(self, X, reset=False)
        return self._label_mean + self._label_scale * self._outputs(inputs)


class NetworkClassifier(ClassifierMixin, _Stopped):
    """A network for classes: logistic loss for two, cross-entropy for more.

    Args:
        hidden: widths of the hidden layers; the first is the k of the theory and should be far below n and d.
        activation: a name of `dyntheory.problem.networks.activations`.
        learning_rate: of gradient descent; None takes min(1, 2/λ), λ the largest eigenvalue of the columns'
            correlation.
        num_steps: T, the largest number of steps.
        early_stopping: "theory" stops where the estimated loss on fresh rows is smallest; None at the end, or at the
            last step before training diverges.
        random_state: seed of head and first layer; None is 0; a `RandomState` is asked for one.

    Attributes:
        classes_: labels of the classes.
        n_iter_: the step it stopped at.
        trajectory_: what `dyntheory.estimate` returned.
        estimated_loss_: estimated loss on fresh rows at that step, NaN where there is no estimate.
        n_features_in_: columns seen in `fit`.

    Raises:
        ValueError: from `fit`, data that cannot be used.

    Warns:
        UnstableTraining: from `fit`, training or its estimate became unstable: no step from there on is kept.
    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> NetworkClassifier:
        """Train on rows (n, d) and class labels (n,)."""
        inputs, labels = _checked(self, X, y)
        check_classification_targets(labels)
        self.classes_, index = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("`y` must have two classes or more, got one class.")
        if len(self.classes_) == 2:
            self._fit(inputs, 2.0 * index - 1.0, "logistic")
        else:
            self._fit(inputs, np.eye(len(self.classes_))[index], "cross_entropy")
        return self

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return probabilities of the classes, (m, classes)."""
        check_is_fitted(self)
        outputs = self._outputs(_checked(self, X, reset=False)[0])
        logits = np.stack([np.zeros_like(outputs), outputs], axis=1) if outputs.ndim == 1 else outputs
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        return shifted / shifted.sum(axis=1, keepdims=True)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the most probable class of every row, (m,)."""
        check_is_fitted(self)
        return self.classes_[np.argmax(self.predict_proba(X), axis=1)]


__all__: list[Any] = ["NetworkClassifier", "NetworkRegressor", "UnstableTraining"]
