"""One user key, named streams: the same key gives the same head to `predict` and `simulate`."""

from __future__ import annotations

import jax
import numpy as np

from dyntheory.ground.arrays import Key

STREAMS = ("head", "nodes", "test_nodes", "runs", "feature_nodes", "estimate", "design")


def stream(key: Key, name: str) -> Key:
    """Return the sub-key of that name."""
    return jax.random.fold_in(key, STREAMS.index(name))


def seed(key: Key, name: str) -> int:
    """Return the sub-key of that name as an integer seed for host generators."""
    words = np.asarray(jax.random.key_data(stream(key, name))).ravel()
    return int.from_bytes(words.astype(np.uint32).tobytes(), "little")
