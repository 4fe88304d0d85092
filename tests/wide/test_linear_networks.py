"""Linear networks are exact on any nodes: against matrices that are known, with and without the memory of answers."""

from typing import Any

import numpy as np
import optax
import pytest

import dyntheory as dt
from dyntheory.wide.weights import Memory
from tests.oracles.linear_width import outputs
from tests.wide.cases import INPUTS, KEY, LABELS, request, solved


def _rule(learning_rate: Any, momentum: Any, decay: Any) -> Any:
    return optax.chain(optax.add_decayed_weights(decay), optax.sgd(learning_rate, momentum))


NUMBERS = {"learning_rate": 0.3, "momentum": 0.5, "decay": 0.2}


@pytest.mark.parametrize("ratio", [1.0, 0.5])
def test_momentum_and_decay(ratio: float) -> None:
    network = dt.WideNetwork(2, "linear", 0.8, width_ratios=(ratio,))
    exact = outputs(INPUTS, LABELS, richness=0.8, num_steps=8, ratio=ratio, **NUMBERS)
    found = solved(request(network, 8, optimizer=_rule, **NUMBERS), drop_below=1e-5)
    np.testing.assert_allclose(found.seen.outputs[..., 0], exact, atol=1e-9)
    assert np.abs(exact[-1]).max() > 0.3


@pytest.mark.parametrize("memory", [Memory(False, True), Memory(True, False), Memory(False, False)])
def test_answers_without_memory_are_wrong(memory: Memory) -> None:
    one = request(dt.WideNetwork(2, "linear", 1.0), 8)
    exact = outputs(INPUTS, LABELS, richness=1.0, num_steps=8, learning_rate=0.5)
    wrong = solved(one, drop_below=1e-5, memory=memory).seen.outputs[..., 0]
    loss, wanted = (np.mean((one - LABELS) ** 2, axis=1) for one in (wrong, exact))
    assert np.max(np.abs(loss - wanted) / wanted) > 0.05


def test_test_inputs_that_are_inputs_go_the_same_way() -> None:
    """Asked after training against stored bases, and asked while training: the same outputs, in any order."""
    network = dt.WideNetwork(2, "linear", 0.8)
    theory = dt.wide.predict(
        network, INPUTS, LABELS, INPUTS[::-1], num_steps=5, key=KEY, learning_rate=0.3, num_nodes=2**9, drop_below=1e-5
    )
    exact = outputs(INPUTS, LABELS, richness=0.8, num_steps=5, learning_rate=0.3)
    np.testing.assert_allclose(theory.test_outputs[:, ::-1], exact, atol=1e-9)
    np.testing.assert_allclose(theory.train_outputs, exact, atol=1e-9)
    assert theory.standard_error is not None
    assert theory.standard_error.train_outputs.max() < 1e-7
