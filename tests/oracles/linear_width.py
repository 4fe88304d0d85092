"""Linear networks of infinite width with two hidden layers, exactly: a finite network whose matrices are known.

A square Gaussian matrix asked about a vector, its transpose about the answer, and so on, answers with W e = f,
Wᵀ f = e + e', W e' = f + f', …: a chain with all entries one (the semicircle's), a new one for every vector that begins
one on either side. Steps of training go along the chains by one link each, so chains a little longer than the run are
exact.
"""

import numpy as np
import numpy.typing as npt


def outputs(
    inputs: npt.NDArray[np.float64],
    labels: npt.NDArray[np.float64],
    *,
    richness: float,
    learning_rate: float,
    num_steps: int,
    momentum: float = 0.0,
    decay: float = 0.0,
    ratio: float = 1.0,
) -> npt.NDArray[np.float64]:
    """Return f (T+1, P) of training on squared loss by gradient descent; inputs (P, D) enter by x·x/D.

    Args:
        inputs: (P, D).
        labels: (P,).
        richness: γ₀.
        learning_rate: η.
        num_steps: T.
        momentum: of the steps.
        decay: λ, added times the weights to the gradients.
        ratio: upper over lower width; entries along a chain are then 1 and its root in turn.
    """
    x = np.linalg.qr(inputs.T / np.sqrt(inputs.shape[1]))[1].T
    count, length = x.shape[1], num_steps + 3
    begins = [(0, start) for start in range(count)] + [(1, 0)]
    sizes = len(begins) * length
    between, first, readout = np.zeros((sizes, sizes)), np.zeros((sizes, count)), np.zeros(sizes)
    for number, (side, start) in enumerate(begins):
        here = slice(number * length, (number + 1) * length)
        back = np.sqrt(1.0 / ratio)
        from_below, from_above = (
            np.eye(length) + back * np.eye(length, k=1),
            back * np.eye(length) + np.eye(length, k=-1),
        )
        between[here, here] = from_below if side == 0 else from_above
        if side == 0:
            first[number * length, start] = 1.0
        else:
            readout[number * length] = 1.0
    return _descend(x, labels, [first, between, readout], richness, learning_rate, num_steps, momentum, decay, ratio)


def _descend(
    x: npt.NDArray[np.float64],
    labels: npt.NDArray[np.float64],
    weights: list[npt.NDArray[np.float64]],
    richness: float,
    learning_rate: float,
    num_steps: int,
    momentum: float,
    decay: float,
    ratio: float,
) -> npt.NDArray[np.float64]:
    traces = [np.zeros_like(one) for one in weights]
    found = []
    for _ in range(num_steps + 1):
        first, between, readout = weights
        h, above = first @ x.T, between @ first @ x.T
        f = readout @ above / richness
        found.append(f)
        pull = (labels - f) / len(labels)
        signal = np.outer(readout, pull)
        gradients = [ratio * between.T @ signal @ x, signal @ h.T, above @ pull]
        for index, gradient in enumerate(gradients):
            traces[index] = momentum * traces[index] + richness * gradient - decay * weights[index]
            weights[index] = weights[index] + learning_rate * traces[index]
    return np.array(found)
