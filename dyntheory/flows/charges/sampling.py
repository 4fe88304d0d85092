"""The verb `simulate`: students trained by SGD on fresh samples, from the same start as the flow."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from dyntheory.flows.charges.configuration import checked
from dyntheory.flows.charges.energy import Fixed, Moving, Rules, fixed_of, moving_of, tangent_part
from dyntheory.flows.charges.flowing import TOLERANCE, finite_states, stepped
from dyntheory.flows.charges.judging import Judge
from dyntheory.flows.charges.named import resolve_potential
from dyntheory.flows.charges.potentials import Draw, Potential, Units
from dyntheory.flows.charges.results import ChargePaths
from dyntheory.flows.stepping import Sampling, along, lost_runs, told
from dyntheory.ground.arrays import Array, ArrayLike, Key
from dyntheory.ground.checks import check_positive, check_scalar
from dyntheory.ground.kinds import check_arguments
from dyntheory.ground.precision import double_precision
from dyntheory.ground.status import Assumptions

Numbers = tuple[Array, Array, Array]  # steps between states, η and σ


def simulate(
    potential: str | Potential,
    protons: ArrayLike,
    *,
    electrons: ArrayLike,
    learning_rate: float,
    num_steps: int,
    key: Key,
    batch_size: int = 100,
    num_runs: int = 1,
    noise_std: float = 0.0,
    proton_charges: ArrayLike | None = None,
    electron_charges: ArrayLike | None = None,
    train_charges: bool = False,
    on_sphere: bool | None = None,
    record_every: int | None = None,
    tolerance: float = TOLERANCE,
) -> ChargePaths:
    """Train the student by SGD on samples of the teacher, fresh ones at every step, every run from the same start.

    The loss of a batch is the mean of (f̂(x) − f(x) − σξ)². Means over runs approach `flow` as the learning rate
    vanishes, with an error of first order in it: see `charges.compare`.

    Scaling:
        That of `flow`: times are η times steps.

    Args:
        potential: one that knows its units: all but "sign".
        protons: w_j, (n, d).
        electrons: θ_i at the start, (m, d), one start.
        learning_rate: η.
        num_steps: number of steps.
        key: `jax.random.key(seed)`.
        batch_size: fresh samples at every step.
        num_runs: number of independent runs.
        noise_std: σ, of the labels.
        proton_charges: b_j, (n,); default one.
        electron_charges: a_i at the start, (m,); default one.
        train_charges: whether the a_i are trained too.
        on_sphere: whether electrons stay unit vectors; default what the potential says.
        record_every: steps between states that are kept, a divisor of `num_steps`; default so that about 200 are.
        tolerance: share of E f² below which a loss counts as gone.

    Returns:
        One path for every run, with its population loss.

    Raises:
        ValueError: as `flow`; several starts; a potential without units.

    Example:
        >>> import jax, numpy as np
        >>> runs = simulate("erf", np.eye(2), electrons=np.array([[0.9, 0.2], [0.1, 0.5]]), learning_rate=0.05,
        ...                 num_steps=20, key=jax.random.key(0), num_runs=3, record_every=10)
        >>> runs.positions.shape, runs.times.tolist()
        ((3, 3, 2, 2), [0.0, 0.5, 1.0])

    Reference: `panigrahy2018convergence`.
    """
    given = locals()
    check_arguments(simulate, given)
    asked, units = Sampling.of(given), _units_of(resolve_potential(potential))
    check_scalar("tolerance", tolerance)
    check_positive("tolerance", tolerance)
    charges, is_on_sphere = checked(given, on_sphere)
    if len(charges.electrons) > 1:
        raise ValueError(f"`electrons` must be one start (m, d), got {np.shape(electrons)}: call once for each.")
    rules = Rules.of(charges.potential, is_on_sphere)
    with double_precision():
        fixed = fixed_of(charges, train_charges)
        start = jax.tree.map(lambda leaf: leaf[0], moving_of(charges))
        train = _training_of(rules, units, charges.potential.draw, asked.batch_size, asked.num_kept)
        states = jax.device_get(train(start, fixed, asked.keys(key), asked.numbers))
    judge = Judge(charges, rules, fixed, bool(train_charges), float(tolerance))
    found = judge.paths(asked.times, states, lost_runs(finite_states(states), "runs"), asked.provenance)
    reason = "samples of the units themselves, without the potential"
    return told(dataclasses.replace(found, assumptions=Assumptions("simulation-verified", reason)))


def _units_of(potential: Potential) -> Units:
    if potential.units is None and potential.is_smooth:
        raise ValueError(f"`potential` {potential.name} cannot be simulated without its `units`: give it some.")
    if potential.units is None:
        raise ValueError(
            f"`potential` {potential.name} cannot be simulated: the derivative of its units is zero wherever there is "
            "one, so samples say nothing about the force. error_function(gain) is the same with a slope."
        )
    return potential.units


@functools.lru_cache(maxsize=64)
def _training_of(
    rules: Rules, units: Units, draw: Draw, batch_size: int, num_kept: int
) -> Callable[[Moving, Fixed, Array, Numbers], Moving]:
    """Return the compiled loop: every run keeps its first state and `num_kept` more."""

    def sample_loss(state: Moving, fixed: Fixed, inputs: Array, noise: Array) -> Array:
        student = units(fixed.parameters, state.positions, inputs) @ state.charges
        teacher = units(fixed.parameters, fixed.protons, inputs) @ fixed.proton_charges
        return jnp.mean(jnp.square(student - teacher - noise))

    def one_step(carry: tuple[Moving, Array], fixed: Fixed, numbers: Numbers) -> tuple[Moving, Array]:
        (state, key), (_, rate, noise_std) = carry, numbers
        key, of_inputs, of_noise = jax.random.split(key, 3)
        inputs = draw(fixed.parameters, of_inputs, (batch_size, fixed.protons.shape[1]))
        noise = noise_std * jax.random.normal(of_noise, (batch_size,))
        slope = jax.grad(sample_loss)(state, fixed, inputs, noise)
        pull = Moving(-slope.positions, -fixed.trains_charges * slope.charges)
        if rules.on_sphere:
            pull = pull._replace(positions=tangent_part(state.positions, pull.positions))
        return stepped(rules, state, pull, rate), key

    def one_run(start: Moving, fixed: Fixed, key: Array, numbers: Numbers) -> Moving:
        return along(lambda carry: one_step(carry, fixed, numbers), (start, key), num_kept, numbers[0])[0]

    return jax.jit(jax.vmap(one_run, in_axes=(None, None, 0, None)))
