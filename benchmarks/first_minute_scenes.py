"""The scenes of `first_minute`: each is run in a process of its own, which has loaded nothing before.

python -m benchmarks.first_minute_scenes predict    # CPU seconds by name, as JSON
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from collections.abc import Callable
from typing import Any

SECONDS: dict[str, float] = {}


def timed(name: str, call: Callable[[], Any]) -> None:
    """Take note of the CPU seconds of a call, all threads of the process together."""
    start = time.process_time()
    call()
    SECONDS[name] = time.process_time() - start


def product() -> None:
    """Multiply two matrices: what the processor can do."""
    import numpy as np

    matrix = np.ones((1500, 1500))
    timed("product", lambda: matrix @ matrix)


def importing(name: str) -> None:
    """Import a package."""
    timed("first", lambda: __import__(name))


def helping(*words: str) -> None:
    """Show a help text, with the imports that it needs."""

    def shown() -> None:
        from dyntheory.shell.main import main

        with contextlib.redirect_stdout(io.StringIO()):
            main([*words, "--help"])

    timed("first", shown)


def problem(units: int = 3, activation: str = "tanh") -> Any:
    """Return a law and a method."""
    import optax

    import dyntheory as dt

    law = dt.TeacherStudent(2.0, link="sin_mixture", noise_std=0.3)
    return law, dt.gradient_descent(dt.MLP((units,), activation), optax.sgd, learning_rate=0.3)


def predicting(*, keep: bool = False) -> None:
    """Predict, again with another key, and another architecture."""

    def predict(units: int, activation: str, seed: int) -> None:
        import jax

        import dyntheory as dt

        if keep:
            dt.enable_compilation_cache()
        _ = dt.predict(*problem(units, activation), num_steps=20, key=jax.random.key(seed)).test_error

    timed("first", lambda: predict(3, "tanh", 0))
    timed("again", lambda: predict(3, "tanh", 1))
    timed("another architecture", lambda: predict(4, "erf", 0))
    product()


def simulating() -> None:
    """Simulate, and again with another key."""

    def simulate(seed: int) -> None:
        import jax

        import dyntheory as dt

        dt.simulate(*problem(), num_steps=20, num_features=400, num_runs=10, key=jax.random.key(seed))

    timed("first", lambda: simulate(0))
    timed("again", lambda: simulate(1))


def estimating() -> None:
    """Estimate, and again with another key."""
    import numpy as np

    inputs = np.random.default_rng(0).standard_normal((500, 50))

    def estimate(seed: int) -> None:
        import jax

        import dyntheory as dt

        dt.estimate(inputs, np.sin(inputs[:, 0]), problem()[1], num_steps=30, key=jax.random.key(seed))

    timed("first", lambda: estimate(0))
    timed("again", lambda: estimate(1))


def kernel(depth: int, window: int) -> None:
    """Take the kernel of a convolutional network, and again of other images."""
    import numpy as np

    images = np.random.default_rng(0).standard_normal((6, 8, 8, 3))
    made: list[Any] = []

    def importing() -> None:
        from dyntheory import kernels as k

        _ = k.conv, k.relu, k.serial

    def first() -> None:
        from dyntheory import kernels as k

        layers = [layer for _ in range(depth) for layer in (k.conv(32, (window, window), bias_std=0.1), k.relu())]
        made.append(k.serial(*layers, k.global_average_pool(), k.dense(1)))
        made[0].kernel(images)

    timed("imports", importing)
    timed("first", first)
    timed("again", lambda: made[0].kernel(1.0 + images))


SCENES: dict[str, Callable[[], None]] = {
    "import jax": lambda: importing("jax"),
    "import dyntheory": lambda: importing("dyntheory"),
    "dyntheory --help": helping,
    "dyntheory predict --help": lambda: helping("predict"),
    "predict": predicting,
    "predict, programs kept": lambda: predicting(keep=True),
    "simulate": simulating,
    "estimate": estimating,
    "kernel, depth 3, window 3": lambda: kernel(3, 3),
    "kernel, depth 3, window 5": lambda: kernel(3, 5),
    "kernel, depth 6, window 3": lambda: kernel(6, 3),
    "kernel, depth 12, window 3": lambda: kernel(12, 3),
}


if __name__ == "__main__":
    SCENES[sys.argv[1]]()
    print(json.dumps(SECONDS))
