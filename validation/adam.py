"""Claim: Adam leaves the minimum where its drift says so, AMSGrad does not, and weight decay ends as computed.

(i) The online problem of Reddi, Kale and Kumar: losses C x, −x, −x in turn on [−1, 1], C = 3, so that the mean loss
is least at x = −1; optax.adam and optax.amsgrad (as in the paper, without bias correction), β₁ = 0, β₂ = 1/(1 + C²), at
the rate η/√t, from x = 0, projected onto [−1, 1] after each step.
(ii) Random cycles of 2 to 6 gradients and random β₁, β₂: the mean step of both against `adam_drift`.
(iii) Weights of curvature 1 and minimum 1 under noise of s = 0.25 … 16 in the gradient: optax.adamw, and optax.adam
with the same decay as an L2 penalty in the gradient, means of the last half of many runs against `decayed_minimum`.

PASS RULE.

1. In (i) Adam ends above 0.99 and AMSGrad below −0.99; on the way, as far as no wall is touched, both lie within 0.02
   of drift · Σ η/√t.
2. In (ii) drifts agree to 1e-6 of the learning rate; some of Adam's (2 % or more) have the wrong sign, none of AMSGrad.
3. In (iii) every mean lies within 4 standard errors plus 0.01; standard errors are below 0.02, else unresolved.

NEGATIVE CONTROLS, each of which must break its rule: in (i) the drift of slow averages, β₂ = 0.999, for Adam; in (ii)
gradient descent's −mean(g) over the root mean square; in (iii) the minimum of the other kind of decay at the largest s.

    python -m validation.adam [--quick]    # one minute

Reference: `reddi2018convergence`, `loshchilov2019decoupled`.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

from dyntheory import closed_forms
from dyntheory.ground.precision import double_precision
from dyntheory.plot.style import WIDTH, finish, new_figure
from validation.claim import Claim, Verdict
from validation.record import Outcome, joint_outcome

Z, FIT, DRIFT, WRONG, SLACK, RESOLUTION = 4.0, 0.02, 1e-6, 0.02, 0.01, 0.02
PLAIN: dict[str, Any] = {"bias_correction_mu": False, "bias_correction_nu": False}
KINDS = {"AdamW": True, "Adam with L2": False}
COLORS = {"Adam": "#e8743b", "AMSGrad": "#0b3c78", "AdamW": "#e8743b", "Adam with L2": "#0b3c78"}


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes and runs."""

    large: float = 3.0
    rate: float = 0.02
    num_steps: int = 60_000
    num_cycles: int = 200
    noise: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
    decay: float = 0.2
    num_runs: int = 100
    num_decay_steps: int = 30_000
    seed: int = 0

    @property
    def second(self) -> float:
        """Return the β₂ of the paper."""
        return 1 / (1 + self.large**2)


class Found(NamedTuple):
    """Paths of (i), drifts of optax and of theory of (ii), mean weights (runs, noises) of (iii)."""

    paths: dict[str, np.ndarray]
    drifts: dict[str, tuple[np.ndarray, np.ndarray]]
    descent: np.ndarray
    weights: dict[str, np.ndarray]


def measure(settings: Settings) -> Found:
    """Run everything with optax."""
    with double_precision():
        paths = {name: _path(name, settings) for name in ("Adam", "AMSGrad")}
        drifts, descent = _drifts(settings)
        weights = {name: _weights(decoupled, settings) for name, decoupled in KINDS.items()}
    return Found(paths, drifts, descent, weights)


def _optimizer(name: str, rate: Any, first: float, second: float) -> Any:
    if name == "Adam":
        return optax.adam(rate, b1=first, b2=second, eps=0.0)
    return optax.amsgrad(rate, b1=first, b2=second, eps=0.0, **PLAIN)


def _path(name: str, settings: Settings) -> np.ndarray:
    def schedule(count: Any) -> Any:
        return settings.rate / jnp.sqrt(count + 1.0)

    optimizer = _optimizer(name, schedule, 0.0, settings.second)

    def step(carry: Any, gradient: jax.Array) -> tuple[Any, jax.Array]:
        x, state = carry
        update, state = optimizer.update(gradient, state, x)
        x = jnp.clip(x + update, -1.0, 1.0)
        return (x, state), x

    cycle = jnp.array([settings.large, -1.0, -1.0])
    begin = jnp.zeros(())
    gradients = jnp.tile(cycle, settings.num_steps // 3)
    return np.asarray(jax.lax.scan(step, (begin, optimizer.init(begin)), gradients)[1])


def _drifts(settings: Settings) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """Return optax's and our drifts, and what descent scaled by the root mean square would do."""
    rng = np.random.default_rng(settings.seed)
    found: dict[str, list[tuple[float, float]]] = {"Adam": [], "AMSGrad": []}
    descent = []
    for _ in range(settings.num_cycles):
        period = int(rng.integers(2, 7))
        cycle = rng.normal(size=period) * np.exp(1.5 * rng.normal(size=period))
        first, second = rng.uniform(0, 0.9), rng.uniform(0, 0.95)
        descent.append(-cycle.mean() / np.sqrt(np.mean(cycle**2)))
        for name in found:
            late = _late(name, jnp.asarray(np.resize(cycle, 60 * 12)), first, second)
            ours = closed_forms.adam_drift(cycle, first_decay=first, second_decay=second, amsgrad=name == "AMSGrad")
            found[name].append((float(np.mean(np.asarray(late)[-60:])), float(ours)))
    return {name: (np.array(one)[:, 0], np.array(one)[:, 1]) for name, one in found.items()}, np.array(descent)


def _late(name: str, gradients: jax.Array, first: float, second: float) -> jax.Array:
    """Return all updates of optax at learning rate one; 60 is a multiple of every period."""
    return (_updates_of_adam if name == "Adam" else _updates_of_amsgrad)(gradients, first, second)


@jax.jit
def _updates_of_adam(gradients: jax.Array, first: Any, second: Any) -> jax.Array:
    return _updates(_optimizer("Adam", 1.0, first, second), gradients)


@jax.jit
def _updates_of_amsgrad(gradients: jax.Array, first: Any, second: Any) -> jax.Array:
    return _updates(_optimizer("AMSGrad", 1.0, first, second), gradients)


def _updates(optimizer: Any, gradients: jax.Array) -> jax.Array:
    def step(state: Any, gradient: jax.Array) -> tuple[Any, jax.Array]:
        update, state = optimizer.update(gradient, state)
        return state, update

    return jax.lax.scan(step, optimizer.init(jnp.zeros(())), gradients)[1]


def _weights(decoupled: bool, settings: Settings) -> np.ndarray:
    """Return the mean weights of the last half, (runs, noises)."""
    decay = settings.decay
    optimizer: Any = optax.adamw(1e-3, b2=0.9999, weight_decay=decay) if decoupled else optax.adam(1e-3, b2=0.9999)
    noise = jnp.asarray(settings.noise)
    shape = (settings.num_runs, len(settings.noise))

    def step(carry: Any, key: jax.Array) -> tuple[Any, jax.Array]:
        w, state = carry
        gradient = w - 1.0 + noise[None] * jax.random.normal(key, shape) + (0.0 if decoupled else decay * w)
        update, state = optimizer.update(gradient, state, w)
        return (w + update, state), w

    where = jnp.broadcast_to(jnp.asarray(_ends(settings, decoupled)), shape)

    @jax.jit
    def run(begin: jax.Array) -> jax.Array:
        keys = jax.random.split(jax.random.key(settings.seed + decoupled), settings.num_decay_steps)
        early = jax.lax.scan(step, (begin, optimizer.init(begin)), keys[: len(keys) // 2])[0]

        def add(carry: Any, key: jax.Array) -> tuple[Any, None]:
            state, w = step(carry[0], key)
            return (state, carry[1] + w), None

        (_, total), _ = jax.lax.scan(add, (early, 0 * begin), keys[len(keys) // 2 :])
        return total / (len(keys) - len(keys) // 2)

    return np.asarray(run(where))


def lines(settings: Settings, *, second: float | None = None) -> dict[str, np.ndarray]:
    """Return drift · Σ η/√t of both."""
    cycle = [settings.large, -1.0, -1.0]
    moved = np.cumsum(settings.rate / np.sqrt(np.arange(1, settings.num_steps // 3 * 3 + 1)))
    options: dict[str, Any] = {"first_decay": 0.0, "second_decay": settings.second if second is None else second}
    return {
        "Adam": moved * float(closed_forms.adam_drift(cycle, **options)),
        "AMSGrad": moved * float(closed_forms.adam_drift(cycle, amsgrad=True, **options)),
    }


def _off(path: np.ndarray, line: np.ndarray) -> float:
    """Return the largest distance before a wall, at the ends of cycles."""
    free = np.abs(path) < 0.97
    last = int(np.argmin(free)) if not free.all() else len(path)
    ends = slice(2, max(last, 3), 3)
    return float(np.max(np.abs(path[ends] - line[ends])))


def judge(found: Found, settings: Settings) -> Verdict:
    """Apply the rules and the controls."""
    straight = lines(settings)
    off = {name: _off(path, straight[name]) for name, path in found.paths.items()}
    ends = {name: float(path[-1]) for name, path in found.paths.items()}
    apart = {name: float(np.max(np.abs(theirs - ours))) for name, (theirs, ours) in found.drifts.items()}
    theirs, _ = found.drifts["Adam"]
    wrong, none = (
        float(np.mean(np.sign(found.drifts[name][0]) != np.sign(found.descent))) for name in ("Adam", "AMSGrad")
    )
    z, resolution, others = {}, 0.0, {}
    for name, decoupled in KINDS.items():
        mean, error = _mean(found.weights[name])
        resolution = max(resolution, float(error.max()))
        gaps = {one: mean - _ends(settings, one) for one in (decoupled, not decoupled)}
        z[name] = np.abs(gaps[decoupled]) / (Z * error + SLACK)
        others[name] = float(np.abs(gaps[not decoupled][-1]) / (Z * error[-1] + SLACK))
    slow = lines(settings, second=0.999)["Adam"]
    controls = {
        "slow averages": _off(found.paths["Adam"], slow) / FIT,
        "descent for Adam": float(np.max(np.abs(theirs - found.descent))) / DRIFT,
        **{f"{name}, the other minimum": value for name, value in others.items()},
    }
    numbers: dict[str, Any] = {
        "last point": ends,
        "off the line": off,
        "drifts off by": apart,
        "wrong signs of Adam": wrong,
        "wrong signs of AMSGrad": none,
        "weights over what is allowed": z,
        "mean weights": {name: _mean(one)[0] for name, one in found.weights.items()},
        "standard errors": {name: _mean(one)[1] for name, one in found.weights.items()},
        "minima": {name: _ends(settings, decoupled) for name, decoupled in KINDS.items()},
        "controls over their rules": controls,
    }
    holds = ends["Adam"] > 0.99 and ends["AMSGrad"] < -0.99 and max(off.values()) <= FIT
    agrees = max(apart.values()) <= DRIFT and wrong >= WRONG and none == 0
    agrees = agrees and max(float(one.max()) for one in z.values()) <= 1
    passed = Outcome.PASSED if holds and agrees and min(controls.values()) > 1 else Outcome.FAILED
    return joint_outcome([passed, Outcome.PASSED if resolution <= RESOLUTION else Outcome.UNRESOLVED]), numbers


def _mean(runs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return runs.mean(axis=0), runs.std(axis=0, ddof=1) / np.sqrt(len(runs))


def _ends(settings: Settings, decoupled: bool) -> np.ndarray:
    noise = np.array(settings.noise)
    return closed_forms.decayed_minimum(1.0, 1.0, settings.decay, noise_std=noise, decoupled=decoupled)


def draw(found: Found, settings: Settings) -> Figure:
    """Draw both paths with the lines of their drifts, and where decay ends."""
    figure = new_figure(10.6, 3.6)
    axes = figure.subplots(1, 3)
    straight = lines(settings)
    for one, name, letter in zip(axes, found.paths, "ab", strict=False):
        path = found.paths[name]
        shown = np.unique(np.geomspace(1, len(path), 400).astype(int)) - 1
        one.plot(
            shown + 1, np.clip(straight[name], -1, 1)[shown], color="black", lw=1.0, ls="--", label="drift · Σ η/√t"
        )
        one.plot(shown + 1, path[shown], color=COLORS[name], lw=1.4, label=f"optax, {name}")
        one.axhline(-1, color="0.6", lw=0.8, ls=":")
        one.text(1, -0.97, "minimum of the mean loss", fontsize="x-small", color="0.4", va="bottom")
        one.set(xscale="log", ylim=(-1.08, 1.08))
        one.legend(frameon=False, fontsize="small", loc="upper left")
        finish(one, "step $t$ (logarithmic)", "$x$", f"({letter}) {name}: gradients {settings.large:g}, −1, −1")
    fine = np.geomspace(min(settings.noise) / 1.3, max(settings.noise) * 1.3, 100)
    for name, decoupled in KINDS.items():
        line = closed_forms.decayed_minimum(1.0, 1.0, settings.decay, noise_std=fine, decoupled=decoupled)
        axes[2].plot(fine, line, color=COLORS[name], lw=1.3, label=name)
        mean, error = _mean(found.weights[name])
        axes[2].errorbar(settings.noise, mean, WIDTH * error, fmt="o", color=COLORS[name], ms=4, mfc="white", capsize=2)
    axes[2].set(xscale="log", ylim=(0, 1.05))
    axes[2].legend(frameon=False, fontsize="small")
    finish(axes[2], "noise $s$ of the gradient", "mean weight", rf"(c) weight decay {settings.decay:g}, minimum at 1")
    return figure


CLAIM = Claim(
    "adam",
    __doc__,
    pass_rule=(
        "Adam ends above 0.99 and AMSGrad below −0.99, both along their drift (0.02); drifts of random cycles agree to "
        "1e-6, some of Adam's have the wrong sign and none of AMSGrad's; minima of AdamW and of L2 in Adam agree "
        "within 4 standard errors plus 0.01; four wrong formulas break the rules."
    ),
    settings=Settings,
    quick=Settings(num_cycles=60, noise=(0.5, 2.0, 8.0), num_runs=60, num_decay_steps=12_000),
    measure=measure,
    judge=judge,
    draw=draw,
)


if __name__ == "__main__":
    raise SystemExit(CLAIM.command())
