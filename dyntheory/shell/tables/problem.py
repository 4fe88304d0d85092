"""What a file describes: a law, a method, and the keywords of the verbs."""

from __future__ import annotations

import dataclasses
from typing import Any

import dyntheory as dt


class ProblemError(ValueError):
    """A problem that cannot be read; the text names the file, the table and the key."""


@dataclasses.dataclass(frozen=True)
class Problem:
    """A problem read from TOML.

    Args:
        law: the data.
        method: the algorithm.
        predict: keywords of `dyntheory.predict`.
        simulate: keywords of `dyntheory.simulate`; `inputs` may be the name of a data set.
        finite_size: keywords of `dyntheory.finite_size`: those of `simulate`, with several sizes.
        table: the tables as they were read, defaults filled in; belongs to the provenance of what is computed.
    """

    law: dt.TeacherStudent
    method: dt.GeneralFirstOrderMethod
    predict: dict[str, Any]
    simulate: dict[str, Any]
    finite_size: dict[str, Any]
    table: dict[str, dict[str, Any]]

    def simulate_arguments(self) -> dict[str, Any]:
        """Return the keywords of `dyntheory.simulate`, the name of a data set replaced by its rows.

        Raises:
            ModuleNotFoundError: the data set needs a package that is not installed.
            ProblemError: `num_features` is not the number of its columns.
        """
        from dyntheory.problem.laws.datasets import DATASETS

        inputs, num_features = self.simulate["inputs"], self.simulate["num_features"]
        if inputs not in DATASETS:
            return self.simulate
        rows = DATASETS[inputs]()
        if rows.shape[1] != num_features:
            raise ProblemError(
                f"`simulate.num_features` must be {rows.shape[1]}, the columns of {inputs!r}, got {num_features}."
            )
        return {**self.simulate, "inputs": rows}

    def finite_size_arguments(self) -> dict[str, Any]:
        """Return the keywords of `dyntheory.finite_size`.

        Raises:
            ProblemError: the inputs are a data set.
        """
        from dyntheory.problem.laws.datasets import DATASETS

        inputs = self.finite_size["inputs"]
        if inputs in DATASETS:
            raise ProblemError(
                f"`simulate.inputs` = {inputs!r} is a data set, which has one size: name a law of the inputs."
            )
        return self.finite_size
