from typing import Any

import optax
import pytest

from dyntheory.ground.precision import double_precision
from dyntheory.problem.methods.row_wise import check_row_wise


def _is_late(step: Any, **_: Any) -> Any:
    return step > 50


def _is_between(step: Any, **_: Any) -> Any:
    return (step >= 4) & (step < 8)


def _skip_large(updates: Any, gradient_step: Any, params: Any) -> Any:
    return optax.skip_large_updates(updates, gradient_step, params, 1e30)


CLIPPED = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1))

ELEMENTWISE = {
    "sgd": optax.sgd(0.1),
    "momentum": optax.sgd(0.1, momentum=0.9, nesterov=True),
    "adam": optax.adam(0.1),
    "adamw": optax.adamw(0.1, weight_decay=0.01),
    "rmsprop": optax.rmsprop(0.1),
    "lion": optax.lion(0.1),
    "sign": optax.sign_sgd(0.1),
    "clip": optax.chain(optax.clip(1.0), optax.sgd(0.1)),
    "schedule": optax.sgd(optax.cosine_decay_schedule(0.1, 10)),
    "amsgrad": optax.amsgrad(0.1),
    "changes": optax.chain(optax.sgd(0.1), optax.conditionally_transform(optax.clip(0.1), _is_late)),
    "accumulates": optax.MultiSteps(optax.adam(0.1), 4),
    "guarded": optax.chain(optax.clip(1.0), optax.apply_if_finite(optax.adam(0.1), 3)),
    "skips": optax.MultiSteps(optax.sgd(0.1), 4, should_skip_update_fn=optax.skip_not_finite),
    "injected": optax.inject_hyperparams(optax.adam)(learning_rate=optax.cosine_decay_schedule(0.1, 10)),
    "schedule free": optax.contrib.schedule_free_adamw(0.1),
}
COUPLED = {
    "global norm": optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1)),
    "block rms": optax.chain(optax.clip_by_block_rms(1.0), optax.sgd(0.1)),
    "lars": optax.lars(0.1),
    "lamb": optax.lamb(0.1),
    "adafactor": optax.adafactor(0.1),
    "a large bound": optax.chain(optax.clip_by_global_norm(1e6), optax.sgd(0.1)),
    "every fourth step": optax.MultiSteps(CLIPPED, 4),
    "lars every fourth step": optax.MultiSteps(optax.lars(0.1), 4),
    "every eighth step": optax.chain(optax.clip_by_global_norm(1.0), optax.apply_every(8), optax.sgd(0.1)),
    "a few steps": optax.chain(
        optax.conditionally_transform(optax.clip_by_global_norm(1.0), _is_between), optax.sgd(0.1)
    ),
    "skips large": optax.MultiSteps(optax.sgd(0.1), 4, should_skip_update_fn=_skip_large),
    "finite roots": optax.chain(optax.scale_by_rms(), optax.apply_if_finite(optax.sgd(0.1), 3)),
    "wakes up": optax.chain(optax.sgd(0.1), optax.conditionally_transform(optax.clip_by_global_norm(0.1), _is_late)),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_optimizers_pass(name: str) -> None:
    with double_precision():
        check_row_wise(ELEMENTWISE[name], name)


@pytest.mark.parametrize("name", COUPLED)
def test_coupled_optimizers_are_refused_with_the_reason(name: str) -> None:
    with double_precision(), pytest.raises(ValueError, match=f"{name} is not row-wise"):
        check_row_wise(COUPLED[name], name)


def test_hidden_randomness_is_refused_with_the_reason() -> None:
    noisy = optax.chain(optax.add_noise(0.1, 0.5, 0), optax.sgd(0.1))
    with pytest.raises(ValueError, match="draws random numbers of its own"):
        check_row_wise(noisy, "noisy")


def test_line_searches_are_refused_with_the_reason() -> None:
    with pytest.raises(ValueError, match="gradient and parameters alone"):
        check_row_wise(optax.lbfgs(), "lbfgs")
