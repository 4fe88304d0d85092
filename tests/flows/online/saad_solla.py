"""The equations of Saad and Solla written down index by index in plain NumPy, and solved by SciPy.

Units erf(x/√2), head one; nothing is shared with the library.
"""

from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp


def third(c: np.ndarray, u: int, v: int, w: int) -> float:
    """E g'(u) v g(w)."""
    size = (1 + c[u, u]) * (1 + c[w, w]) - c[u, w] ** 2
    return 2 / np.pi / np.sqrt(size) * (c[v, w] * (1 + c[u, u]) - c[u, v] * c[u, w]) / (1 + c[u, u])


def fourth(c: np.ndarray, u: int, v: int, w: int, z: int) -> float:
    """E g'(u) g'(v) g(w) g(z)."""
    l4 = (1 + c[u, u]) * (1 + c[v, v]) - c[u, v] ** 2
    l0 = l4 * c[w, z] - c[v, w] * c[v, z] * (1 + c[u, u]) - c[u, w] * c[u, z] * (1 + c[v, v])
    l0 += c[u, v] * c[u, w] * c[v, z] + c[u, v] * c[u, z] * c[v, w]

    def side(a: int) -> float:
        one = l4 * (1 + c[a, a]) - c[v, a] ** 2 * (1 + c[u, u]) - c[u, a] ** 2 * (1 + c[v, v])
        return one + 2 * c[u, v] * c[u, a] * c[v, a]

    return 4 / np.pi**2 / np.sqrt(l4) * np.arcsin(l0 / np.sqrt(side(w) * side(z)))


def slopes(c: np.ndarray, u: int, v: int) -> float:
    """E g'(u) g'(v)."""
    return 2 / np.pi / np.sqrt((1 + c[u, u]) * (1 + c[v, v]) - c[u, v] ** 2)


def half_error(c: np.ndarray, k: int) -> float:
    """ε_g = ½ E (student − teacher)²."""
    signs = np.array([1.0] * k + [-1.0] * (len(c) - k))
    pairs = [(a, b) for a in range(len(c)) for b in range(len(c))]
    return (
        sum(signs[a] * signs[b] * np.arcsin(c[a, b] / np.sqrt((1 + c[a, a]) * (1 + c[b, b]))) for a, b in pairs) / np.pi
    )


def solve(
    q: np.ndarray,
    r: np.ndarray,
    t: np.ndarray,
    rate: float,
    times: np.ndarray,
    *,
    noise: float = 0.0,
    order2: float = 1.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Q, R, ε_g at the times; `order2` multiplies the term in η², which a negative control drops."""
    k, m = len(q), len(q) + len(t)
    signs = np.array([-1.0] * k + [1.0] * len(t))

    def whole(state: np.ndarray) -> np.ndarray:
        qq, rr = state[: k * k].reshape(k, k), state[k * k :].reshape(r.shape)
        return np.block([[qq, rr], [rr.T, t]])

    def right(_: float, state: np.ndarray) -> np.ndarray:
        c = whole(state)
        dq, dr = np.zeros((k, k)), np.zeros(r.shape)
        for i in range(k):
            for n in range(len(t)):
                dr[i, n] = rate * sum(signs[a] * third(c, i, k + n, a) for a in range(m))
            for j in range(k):
                dq[i, j] = rate * sum(signs[a] * (third(c, i, j, a) + third(c, j, i, a)) for a in range(m))
                squares = sum(signs[a] * signs[b] * fourth(c, i, j, a, b) for a in range(m) for b in range(m))
                dq[i, j] += order2 * rate**2 * (squares + noise**2 * slopes(c, i, j))
        return np.concatenate([dq.ravel(), dr.ravel()])

    start = np.concatenate([q.ravel(), r.ravel()])
    found = solve_ivp(right, (0, times[-1]), start, method="DOP853", t_eval=times, rtol=1e-10, atol=1e-12)
    states = found.y.T
    errors = np.array([half_error(whole(state), k) for state in states])
    return states[:, : k * k].reshape(-1, k, k), states[:, k * k :].reshape(-1, *r.shape), errors
