"""Which finite matrix is cheaper, and whether it fits: counts of numbers read from memory, what decides on machines."""

from __future__ import annotations

from typing import NamedTuple

from dyntheory.problem.shape import Sizes

MATRICES = ("auto", "dense", "revealed")
DTYPES = ("float64", "float32")
NORMAL_COST = 20  # drawing one normal number, in units of reading one
BASIS_PASSES = 7  # passes over the growing basis per step, on either side
COPIES = 2  # of the matrix while it is drawn, of the basis while it grows: measured 2.0 and 1.7
DOUBLE = 8


class RunShape(NamedTuple):
    """What decides the cost of a run.

    Args:
        sizes: n, test rows, d.
        num_steps: T.
        num_units: k.
        num_teacher_units: r.
        num_test_nodes: of the population test error.
        keep_preactivations: h^t of every state is recorded.
        num_recorded: numbers of order parameters at one state.
    """

    sizes: Sizes
    num_steps: int
    num_units: int
    num_teacher_units: int
    num_test_nodes: int = 0
    keep_preactivations: bool = False
    num_recorded: int = 0

    @property
    def num_directions(self) -> int:
        """Basis rows on each side at the end of a revealed run."""
        return self.num_teacher_units + self.num_units * (2 * self.num_steps + 1)

    def entries(self, matrix: str) -> int:
        """Return how many numbers a run keeps in memory for its matrix."""
        samples, test, features = self.sizes
        if matrix == "dense":
            return (samples + test) * features
        return (samples + features) * self.num_directions

    @property
    def test_entries(self) -> int:
        """How many numbers the population test error of one state needs."""
        return self.num_test_nodes * (self.num_teacher_units + self.num_units + 4)

    def cost(self, matrix: str) -> int:
        """Return how many numbers a run reads, drawing included."""
        if matrix == "dense":
            return self.entries(matrix) * (NORMAL_COST + 2 * self.num_steps)
        points = self.sizes.num_samples + self.sizes.num_features
        drawn = NORMAL_COST * points * self.num_units * (self.num_steps + 1)
        return drawn + BASIS_PASSES * self.entries(matrix) * max(self.num_steps, 1) // 2

    def memory(self, matrix: str, *, itemsize: int = DOUBLE) -> int:
        """Return the bytes of one run at its peak; `itemsize` is that of a stored X."""
        samples, test, features = self.sizes
        states = self.num_steps + 1
        rows = samples * self.num_units * states if self.keep_preactivations else 0
        weights = features * self.num_units * states if test else 0
        vectors = (samples + features) * ((self.num_units + self.num_teacher_units) * 6 + self.num_recorded)
        stored = itemsize if matrix == "dense" else DOUBLE
        return COPIES * (stored * self.entries(matrix) + DOUBLE * (rows + weights)) + DOUBLE * (
            self.test_entries + vectors
        )


class MatrixChoice(NamedTuple):
    """How a simulation is asked to store its matrix.

    Args:
        matrix: "auto", "dense" or "revealed".
        inputs: the name of the input law, "array" or "function".
        dtype: of a stored X.
        max_memory: bytes that one run may take.
    """

    matrix: str
    inputs: str
    dtype: str
    max_memory: int

    @property
    def itemsize(self) -> int:
        """Bytes of one entry of a stored X."""
        return 4 if self.dtype == "float32" else DOUBLE


def choose_matrix(choice: MatrixChoice, shape: RunShape) -> str:
    """Return "dense" or "revealed", which fits the memory; "auto" is the cheaper of those that fit.

    Raises:
        ValueError: "revealed" is asked for inputs that are not Gaussian or for float32, or nothing fits.
    """
    matrix, inputs = choice.matrix, choice.inputs
    if matrix == "revealed" and inputs != "gaussian":
        raise ValueError(
            f'`matrix="revealed"` has the law of Gaussian inputs; for inputs={inputs!r} pass matrix="dense".'
        )
    if matrix == "revealed" and choice.dtype != "float64":
        raise ValueError(
            f'`matrix="revealed"` keeps nearly parallel directions apart, for which it needs float64, got dtype='
            f'{choice.dtype!r}: leave `dtype` out, or pass matrix="dense".'
        )
    possible = ("dense", "revealed") if matrix == "auto" and inputs == "gaussian" else (matrix,)
    possible = tuple("dense" if name == "auto" else name for name in possible)
    fitting = [name for name in possible if shape.memory(name, itemsize=choice.itemsize) <= choice.max_memory]
    if not fitting:
        raise ValueError(_too_large(choice, shape, possible[-1]))
    return min(fitting, key=shape.cost)


def _too_large(choice: MatrixChoice, shape: RunShape, matrix: str) -> str:
    needed = shape.memory(matrix, itemsize=choice.itemsize)
    samples, test, features = shape.sizes
    what = f"X has {samples} × {features} entries" + (f", {test} test rows" if test else "")
    if matrix == "revealed":
        what = f"{shape.num_directions} directions of {samples} + {features} numbers"
    ways = ["lower `num_features`" if matrix == "dense" else "lower `num_features` or `num_steps`"]
    other = shape.memory("revealed")
    if matrix == "dense" and choice.inputs == "gaussian" and other <= choice.max_memory:
        ways.insert(0, f'pass matrix="revealed", the same law without storing X (about {other / 1e9:.3g} GB)')
    if matrix == "dense" and choice.dtype == "float64":
        ways.append('pass dtype="float32"')
    ways.append("raise `max_memory`")
    return (
        f"One run needs about {needed / 1e9:.3g} GB ({what}) and {choice.max_memory / 1e9:.3g} GB may be used: "
        f"{', or '.join(ways)}."
    )
