"""`dyntheory doctor`: versions, devices, precision, and a prediction whose answer is known."""

from __future__ import annotations

import importlib.metadata
import platform
import time

import dyntheory as dt
from dyntheory.shell.exit_status import DISAGREES, DONE

PACKAGES = ("jax", "jaxlib", "optax", "flax", "numpy", "scipy", "xarray", "matplotlib", "scikit-learn")
TOLERANCE = 1e-6


def command() -> int:
    """Print versions, devices and precision, and check a prediction against a formula."""
    import jax

    from dyntheory.ground.precision import double_precision

    print(f"dyntheory {dt.__version__}, Python {platform.python_version()} on {platform.system()} {platform.machine()}")
    print(", ".join(f"{name} {_version(name)}" for name in PACKAGES))
    print("devices: " + ", ".join(f"{device.device_kind} ({device.platform})" for device in jax.devices()))
    with double_precision():
        verbs = jax.numpy.zeros(()).dtype
    default = jax.numpy.zeros(()).dtype
    print(f"precision: predict and simulate compute in {verbs}; elsewhere in this process JAX uses {default}")
    started = time.perf_counter()
    defect = perform()
    passed = defect <= TOLERANCE
    print(
        f"self-check: {'passed' if passed else 'FAILED'}: the predicted test error of linear regression differs from "
        f"the exact one by {defect:.1e} (at most {TOLERANCE:.0e}), {time.perf_counter() - started:.1f} s"
    )
    return DONE if passed else DISAGREES


def perform() -> float:
    """Return how far the predicted test errors of linear regression are from the exact ones, relatively."""
    import jax
    import optax

    law = dt.TeacherStudent(samples_per_feature=1.5, noise_std=0.5)
    method = dt.gradient_descent(dt.LinearModel(), optax.sgd, learning_rate=0.4)
    predicted = dt.predict(law, method, num_steps=2, key=jax.random.key(0)).test_error
    exact = linear_test_errors(1.5, 0.5, 0.4)
    return max(abs(float(one) / other - 1) for one, other in zip(predicted, exact, strict=True))


def linear_test_errors(samples_per_feature: float, noise_std: float, learning_rate: float) -> list[float]:
    """Return the exact test errors of linear regression after 0, 1 and 2 steps of gradient descent.

    With m_j the moments of the Marchenko-Pastur law, E[(1 - ηλ)^{2t}] multiplies the initial error and the noise adds
    η²σ²/α E[λ (Σ_{s<t} (1 - ηλ)^s)²]; first layer and teacher start independent with second moment one.
    """
    ratio, eta = 1.0 / samples_per_feature, learning_rate
    m1, m2, m3, m4 = 1.0, 1 + ratio, 1 + 3 * ratio + ratio**2, 1 + 6 * ratio + 6 * ratio**2 + ratio**3
    kept = (1.0, 1 - 2 * eta * m1 + eta**2 * m2, 1 - 4 * eta + 6 * eta**2 * m2 - 4 * eta**3 * m3 + eta**4 * m4)
    fitted = (0.0, eta**2 * m1, eta**2 * (4 * m1 - 4 * eta * m2 + eta**2 * m3))
    return [2 * a + noise_std**2 * (1 + ratio * b) for a, b in zip(kept, fitted, strict=True)]


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"
