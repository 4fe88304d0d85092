"""The verb `design`: numbers of a training run chosen by the theory, before anything is trained."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dyntheory.ground.arrays import Key, Progress, PyTree
from dyntheory.ground.checks import check_count, check_key, shown
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.names import check_name
from dyntheory.ground.resources import silent
from dyntheory.ground.status import DyntheoryWarning
from dyntheory.problem.laws.first_layer import FirstLayer
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.methods.method import GeneralFirstOrderMethod
from dyntheory.verbs.studies.sweep.designed import Design
from dyntheory.verbs.studies.sweep.points import Points, Question
from dyntheory.verbs.studies.sweep.search import SEARCHES, Bounds, Search, Wanted, bounds_of, choice_of
from dyntheory.verbs.studies.sweep.trained import OWN, check_keywords, check_trained


def design(
    law: TeacherStudent | Callable[..., TeacherStudent],
    method: GeneralFirstOrderMethod | Callable[..., GeneralFirstOrderMethod],
    *,
    over: Mapping[str, Sequence[float]],
    num_steps: int,
    key: Key,
    tied: Sequence[str] = (),
    head: PyTree = None,
    first_layer: FirstLayer | Callable[..., FirstLayer] | None = None,
    num_nodes: int | None = None,
    population: int | None = None,
    max_sweeps: int = 60,
    search: str = "auto",
    early_stopping: bool = False,
    confirm: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Design:
    """Choose numbers of a training run by the predicted test error at its last step; nothing is trained.

    The search is differential evolution (SciPy), each generation one sweep, right for kinked maps as for smooth ones;
    for more than eight numbers it follows gradients through the prediction (L-BFGS) from several starts, where there
    are gradients. Either begins with the best constant choice, and minimises the test error plus two standard errors,
    so that it does not find where nodes are wrong. What is reported is predicted on other nodes than those of the
    search, with the same head.

    Args:
        law: see `sweep`.
        method: see `sweep`; with `piecewise_sgd` a whole schedule is designed.
        over: names as in `sweep`, with the bounds of each.
        num_steps: T, the budget.
        key: `jax.random.key(seed)`; decides head, nodes and search.
        tied: names that are equal in the constant choice, with which the best is compared.
        head: the initial head; default one draw from `key`.
        first_layer: see `sweep`; a function of its scale, say.
        num_nodes: N, see `predict`; some 2^12 are enough to search.
        population: points of a sweep; default 12 for each name, 24 at least.
        max_sweeps: budget of each search, for the constant choice and for the best: sweeps, or gradients from each
            start.
        search: "evolution", "gradient" (all maps must be known to be smooth, all names be numbers of the method,
            `samples_per_feature` or `noise_std`), or "auto".
        early_stopping: take the error at its best step rather than at the last one, for every choice.
        confirm: keywords of `simulate` (num_features, num_runs, …): trains both choices, with the head of the design.
        progress: called with (fraction done, what is being done).

    Returns:
        Best and constant choice with predicted errors, and simulated ones where asked for.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: see `sweep`; bounds that are none, tied names that are not designed, no gradient.

    Example:
        >>> import jax, optax, dyntheory as dt
        >>> method = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.3)
        >>> law, options = dt.TeacherStudent(2.0, noise_std=0.5), {"num_steps": 1, "num_nodes": 2**10}
        >>> found = dt.design(law, method, over={"learning_rate": (0.0, 2.0)}, key=jax.random.key(0), **options)
        >>> round(found.best.values["learning_rate"], 2)  # 2/(2 + (2 + σ²)/α)
        0.64

    Reference: `storn1997differential`, `byrd1995limited` for the searches.
    """
    check_arguments(design, locals())
    check_key(key)
    bounds = bounds_of(over)
    _check_tied(tied, bounds)
    if confirm is not None:
        check_keywords("confirm", confirm, own=(*OWN, "num_heads"))
    check_name("search", search, SEARCHES)
    max_sweeps, num_steps = check_count("max_sweeps", max_sweeps), check_count("num_steps", num_steps)
    size = max(24, 12 * len(bounds)) if population is None else check_count("population", population, minimum=5)
    points = Points(Question({"law": law, "method": method, "first_layer": first_layer}, head, num_steps))
    if confirm is not None:
        for side in (0, 1):
            check_trained(points.problem({name: ends[side] for name, ends in bounds.items()}), key, confirm, None)
    task = Wanted(law, method, points, bounds, tuple(tied), key, head, first_layer, num_nodes, early_stopping)
    found = Search(task, size, max_sweeps, progress or silent)
    constant, best = found.run(search)
    choices = [None if one is None else choice_of(task, one, confirm) for one in (constant, best)]
    assert choices[1] is not None
    found.report(1.0, "done")
    if not choices[1].status.ok:
        warnings.warn(f"Of the best choice: {choices[1].status}", DyntheoryWarning, stacklevel=2)
    return Design(choices[1], choices[0], tuple(found.history))


def _check_tied(tied: Any, bounds: Bounds) -> None:
    if not isinstance(tied, tuple | list):
        raise TypeError(f"`tied` must be a tuple of names, got {shown(tied)}.")
    if len(tied) == 1:
        raise ValueError(
            f"`tied` needs two names or more that are equal in the constant choice, got {tied[0]!r} alone."
        )
    unknown = [name for name in tied if name not in bounds]
    if unknown:
        raise ValueError(f"`tied` names {unknown[0]!r}, which is not designed: it must be one of {', '.join(bounds)}.")
