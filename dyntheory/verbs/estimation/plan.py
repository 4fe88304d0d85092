"""What an estimate costs beside the training, and how it is kept below a multiple of it: counts of multiplications."""

from __future__ import annotations

import math
from typing import NamedTuple

from dyntheory.verbs.estimation.covariance import MOST_MODES, num_chains_modes

DOUBLE = 8
CHEAP = 3.0  # trainings: what remains cheaper than 5-fold cross-validation
LITTLE_WORK = 1e9  # multiplications: about a second, whatever the training takes
NUM_SIGNS = 4
NUM_BLOCKS = 8
ROWS_PER_PARAMETER = 100  # rows a head parameter beyond which what a row teaches the head is below 2 %
FEWEST_PROBED = 6400  # rows × probes: the noise of a response is one over the root of it, 1 %
FEWEST_FOLLOWED = 200
FEWEST_GROUPS = 16


class EstimatePlan(NamedTuple):
    """How responses are measured, and what that costs.

    Args:
        num_groups: groups of rows of like leverage, each with an A of its own; 0 is one group whose spectrum is found
            without a singular value decomposition.
        num_followed: rows that are moved to measure B.
        num_probes: moves of every such row; None moves it along every step and unit, without noise.
        num_signs: runs that measure what rows teach the head; none where n is large beside its parameters.
        num_blocks: of rows, left out in turn to measure the noise of the responses; none where that costs too much.
        work: multiplications of the estimate.
        ratio: the same over those of the training.
        memory: bytes at the peak.
    """

    num_groups: int
    num_followed: int
    num_probes: int | None
    num_signs: int
    num_blocks: int
    work: float
    ratio: float
    memory: int


def cost_in_words(work: float, ratio: float) -> str:
    """Return what an estimate costs; a multiple of the training means something only where the estimate takes time.

    Example:
        >>> cost_in_words(work=2e7, ratio=350.0), cost_in_words(work=4e10, ratio=2.6)
        ('the estimate takes little time', 'the estimate takes about as long as 2.6 trainings')
    """
    if work <= LITTLE_WORK:
        return "the estimate takes little time"
    return f"the estimate takes about as long as {ratio:.2g} trainings"


class RunSize(NamedTuple):
    """n, d, k, T of a training run, how many parameters its head has, and whether its maps are smooth."""

    num_samples: int
    num_features: int
    num_units: int
    num_steps: int
    num_head_parameters: int
    is_smooth: bool

    @property
    def training(self) -> float:
        """Multiplications of the training: two products with X a step."""
        return 2.0 * self.num_samples * self.num_features * self.num_units * max(self.num_steps, 1)

    @property
    def length(self) -> int:
        """D = T k."""
        return self.num_steps * self.num_units

    def cost(
        self, num_groups: int, num_followed: int, num_probes: int | None, num_blocks: int = NUM_BLOCKS
    ) -> EstimatePlan:
        """Return what these choices cost; no groups means that leverages are not computed."""
        n, d, k, steps, head, _ = self
        chains = num_chains_modes(n, d, steps)
        size, modes = self.length, min(n, d, MOST_MODES) if num_groups else chains
        probes = size if num_probes is None else num_probes
        ends = 1 if self.is_smooth else 2
        replicas = 1.0 * num_followed * probes * ends * size * k * steps
        responses = (modes + 2.0 * num_groups) * k * size**2 * steps + num_groups * modes * k * size * steps
        spectrum = 4.0 * n * d * min(n, d) if num_groups else 2.0 * n * d * chains
        signs = NUM_SIGNS if head * ROWS_PER_PARAMETER > n else 0
        influence = 2.0 * (1 + signs) * (self.training + n * size**2 * k) * bool(signs)
        again = num_blocks * (replicas + (modes + 2.0) * k * size**2 * steps)
        work = replicas + responses + spectrum + influence + again
        moves = 0 if num_probes is None else num_followed * probes * size
        replicated = num_followed * probes * ends * size + moves
        arrays = replicated + (modes + 3 * num_groups) * size**2 + 3 * n * size + 4 * (1 + signs) * n * (size + d)
        return EstimatePlan(
            num_groups,
            num_followed,
            num_probes,
            signs,
            num_blocks,
            work,
            work / self.training,
            DOUBLE * (arrays + 2 * n * d),
        )


def plan_estimate(size: RunSize, *, max_memory: int, max_ratio: float | None = None) -> EstimatePlan:
    """Return the most exact choice that fits the memory and costs at most `max_ratio` trainings.

    The default is three, or about a second. Tried in turn: derivatives along every step and unit; random probes; fewer
    rows and groups of rows; one group.

    Raises:
        ValueError: even the cheapest does not fit the memory.
    """
    n = size.num_samples
    choices = [size.cost(n, n, None), size.cost(n, n, None, 0)] if size.is_smooth else []
    followed, groups = n, n
    while True:
        probes = max(2, math.ceil(FEWEST_PROBED / followed))
        choices += [size.cost(groups, followed, probes), size.cost(groups, followed, probes, 0)]
        if followed <= FEWEST_FOLLOWED and groups <= FEWEST_GROUPS:
            break
        groups = max(groups // 2, min(FEWEST_GROUPS, n))
        followed = max(followed // 2, min(FEWEST_FOLLOWED, n))
    for followed in (n, min(FEWEST_FOLLOWED, n)):
        probes = max(2, math.ceil(FEWEST_PROBED / followed))
        choices += [size.cost(0, followed, probes), size.cost(0, followed, probes, 0)]
    fitting = [choice for choice in choices if choice.memory <= max_memory]
    if not fitting:
        raise ValueError(
            f"The estimate needs about {choices[-1].memory / 1e9:.3g} GB ({size.length} steps × units, {n} rows) and "
            f"{max_memory / 1e9:.3g} GB may be used: lower `num_steps` or the width of the first layer, or raise "
            "`max_memory`."
        )
    ratio = max(CHEAP, LITTLE_WORK / size.training) if max_ratio is None else max_ratio
    return next((choice for choice in fitting if choice.ratio <= ratio), fitting[-1])
