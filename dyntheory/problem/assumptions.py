"""Which part of a prediction is a theorem.

The published theorem assumes smooth activations (four bounded derivatives), independent sub-Gaussian entries and a
fixed number of steps (`han2025precise`). Kinked activations are supported by simulation; unknown functions by analogy.
"""

from __future__ import annotations

import jax

from dyntheory.ground.checks import is_concrete
from dyntheory.ground.status import Assumptions
from dyntheory.problem.laws.law import TeacherStudent
from dyntheory.problem.laws.links import resolve_link
from dyntheory.problem.laws.prior_moments import is_heavy
from dyntheory.problem.methods.method import GeneralFirstOrderMethod

MOST_OVER_STABLE = 100.0


def _rate_over_stable(law: TeacherStudent, method: GeneralFirstOrderMethod) -> float:
    """Return the largest learning rate of plain descent over 2/(1 + 1/√α)², zero for other methods."""
    if not method.is_in_theorem:
        return 0.0
    rates = [float(rate) for rate in jax.tree.leaves(method.hyperparameters) if is_concrete(rate)]
    return max(rates, default=0.0) * (1.0 + float(law.samples_per_feature) ** -0.5) ** 2 / 2.0


def assess(law: TeacherStudent, method: GeneralFirstOrderMethod) -> Assumptions:
    """Return the level of support for predicting `method` on `law`, with the reason."""
    link = resolve_link(law.link)
    facts = {"the network with its loss": method.smooth, f"the link {link.name}": link.smooth}
    unknown = [name for name, smooth in facts.items() if smooth is None]
    if unknown:
        return Assumptions("heuristic", f"nobody said whether {' and '.join(unknown)} is smooth")
    kinked = [name for name, smooth in facts.items() if not smooth]
    if kinked:
        return Assumptions(
            "simulation-verified",
            f"{' and '.join(kinked)} is not smooth with bounded derivatives, outside the published theorem",
        )
    if any(map(is_heavy, law.teacher_priors or ())):
        return Assumptions(
            "heuristic",
            "the teacher's prior has no fourth moment: a few features carry the teacher, and networks of any size have "
            "one of their own",
        )
    if law.separation is not None:
        return Assumptions(
            "simulation-verified", "the published theorem has labels made of inputs, not clouds of inputs"
        )
    if law.features is not None:
        return Assumptions(
            "simulation-verified",
            "the published theorem is about features of equal variance; correlated ones follow by rotation and scaling",
        )
    if (ratio := _rate_over_stable(law, method)) > MOST_OVER_STABLE:
        return Assumptions(
            "heuristic",
            f"the learning rate is {ratio:.2g} times the largest at which a linear unit is stable; constants of the "
            "published theorem grow with every step, and it says little of finite networks then",
        )
    if not method.is_in_theorem:
        return Assumptions(
            "simulation-verified",
            "the published theorem is about plain gradient descent with a constant rate; momentum, decay, schedules "
            "and other optimizers follow by the same derivation",
        )
    return Assumptions("theorem", "smooth network and link, Gaussian limit at a fixed number of steps")
