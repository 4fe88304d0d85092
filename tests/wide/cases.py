"""A small data set and short ways to solve it, shared by the tests of the wing."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import dyntheory as dt
from dyntheory.ground.precision import double_precision
from dyntheory.problem.methods.hyperparameters import build
from dyntheory.wide.data import frame_of
from dyntheory.wide.prepared import Prepared, prepared
from dyntheory.wide.run import Run, run
from dyntheory.wide.solution import in_frame, nets_of

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(1)
INPUTS = RANDOM.standard_normal((6, 10))
TESTS = RANDOM.standard_normal((2, 10))
LABELS = np.sign(RANDOM.standard_normal(6))


def request(network: dt.WideNetwork, num_steps: int, labels: Any = LABELS, **given: Any) -> Prepared:
    """Return a checked request on the inputs; plain steps of size .5 unless told otherwise."""
    asked: dict[str, Any] = {
        "network": network,
        "inputs": INPUTS,
        "labels": labels,
        "num_steps": num_steps,
        "key": KEY,
        "optimizer": optax.sgd,
        "loss": "squared",
        **dict.fromkeys(("test_inputs", "test_labels", "masks")),
    }
    own = {name: value for name, value in given.items() if name in asked}
    numbers = {"learning_rate": 0.5} | {name: value for name, value in given.items() if name not in asked}
    with double_precision():
        return prepared(asked | own | {"hyperparameters": numbers})


def solved(one: Prepared, num_nodes: int = 2**10, *, drop_below: float = 1e-2, **rules: Any) -> Run:
    """Return the run on one set of nodes; `rules` replace static parts."""
    with double_precision():
        frame = frame_of(one.data)
        chosen, task = in_frame(one, frame, drop_below, keeps_kernels=True)
        nets = nets_of(one, frame.inputs.shape[1], num_nodes)
        return run(chosen._replace(**rules), task, nets, one.num_steps)


def particles(one: Prepared, num_nodes: int, draw: int) -> np.ndarray:
    """Return f (T+1, P) of one hidden layer by plain particles: neurons that are trained, and no basis at all."""
    with double_precision():
        x = jnp.asarray(one.data.inputs) / np.sqrt(one.data.num_features)
        random = np.random.default_rng(draw)
        first = jnp.asarray(random.standard_normal((num_nodes, x.shape[1])))
        readout = jnp.asarray(random.standard_normal(num_nodes))
        first, readout = jnp.concatenate([first, first]), jnp.concatenate([readout, -readout])
        richness, labels = one.task.richness, one.task.labels[:, 0]
        rule = build(one.rules.optimizer, one.rules.static, one.task.numbers)

        def loss(weights: Any) -> Any:
            outputs = weights[1] @ one.rules.activation(weights[0] @ x.T) / (richness * 2 * num_nodes)
            return 0.5 * jnp.mean((outputs - labels) ** 2), outputs

        weights = (first, readout)
        state, found = rule.init(weights), []
        for _ in range(one.num_steps + 1):
            gradient, outputs = jax.grad(loss, has_aux=True)(weights)
            found.append(np.asarray(outputs))
            scaled = jax.tree.map(lambda leaf: richness**2 * 2 * num_nodes * leaf, gradient)
            change, state = rule.update(scaled, state, weights)
            weights = jax.tree.map(jnp.add, weights, change)
        return np.array(found)
