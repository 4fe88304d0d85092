"""Potentials, losses and forces by quadrature over inputs, in plain NumPy and SciPy: no potential is known here."""

import numpy as np
from scipy import special

UNITS = {  # σ and σ′
    "erf": (special.erf, lambda z: 2 / np.sqrt(np.pi) * np.exp(-(z**2))),
    "erf(0.5 z)": (lambda z: special.erf(z / 2), lambda z: 1 / np.sqrt(np.pi) * np.exp(-((z / 2) ** 2))),
    "relu": (lambda z: np.maximum(z, 0), lambda z: 1.0 * (z > 0)),
    "leaky_relu": (lambda z: np.where(z > 0, z, 0.1 * z), lambda z: np.where(z > 0, 1.0, 0.1)),
    "abs": (np.abs, np.sign),
    "linear": (lambda z: z, np.ones_like),
    "quadratic": (np.square, lambda z: 2 * z),
    "exp": (np.exp, np.exp),
    "cos": (np.cos, lambda z: -np.sin(z)),
    "sin": (np.sin, np.cos),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "sign": (np.sign, np.zeros_like),
}
KINKED = ("relu", "leaky_relu", "abs")
ARCS = 24


def points_in_the_plane(name: str, weights: np.ndarray, power: int) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs x (N, 2) and masses for E g(x); for kinked units g must be homogeneous of degree `power`."""
    if name in KINKED or name == "sign":
        kinks = np.unique([(np.arctan2(w[1], w[0]) + np.pi / 2) % np.pi for w in weights])
        edges = np.concatenate([kinks, kinks + np.pi, [kinks[0] + 2 * np.pi]])
        nodes, masses = np.polynomial.legendre.leggauss(ARCS)
        half = np.diff(edges)[:, None] / 2
        angles = (edges[:-1, None] + half * (nodes + 1)).ravel()
        radial = 2 ** (power / 2) * special.gamma(power / 2 + 1)  # E r^power
        return np.stack([np.cos(angles), np.sin(angles)], 1), (half * masses).ravel() * radial / (2 * np.pi)
    line = np.arange(-11, 11.01, 0.1)
    mass = np.exp(-(line**2) / 2) * 0.1 / np.sqrt(2 * np.pi)
    grid = np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2)
    return grid, np.outer(mass, mass).ravel()


def potential(name: str, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return E σ(θ·x) σ(w·x) between rows in the plane."""
    function = UNITS[name][0]
    x, mass = points_in_the_plane(name, np.concatenate([one, other]), 0 if name == "sign" else 2)
    return np.einsum("np,nq,n->pq", function(x @ one.T), function(x @ other.T), mass)


def loss(name: str, positions: np.ndarray, charges: np.ndarray, protons: np.ndarray, own: np.ndarray) -> float:
    """Return E (f̂ − f)² in the plane."""
    function = UNITS[name][0]
    x, mass = points_in_the_plane(name, np.concatenate([positions, protons]), 0 if name == "sign" else 2)
    gap = function(x @ positions.T) @ charges - function(x @ protons.T) @ own
    return float(mass @ gap**2)


def minus_gradient(
    name: str, positions: np.ndarray, charges: np.ndarray, protons: np.ndarray, own: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return −E 2(f̂ − f) a_i σ′(θ_i·x) x and −E 2(f̂ − f) σ(θ_i·x) in the plane."""
    function, slope = UNITS[name]
    x, mass = points_in_the_plane(name, np.concatenate([positions, protons]), 2)
    gap = function(x @ positions.T) @ charges - function(x @ protons.T) @ own
    pull = -2 * np.einsum("n,n,ni,i,nd->id", mass, gap, slope(x @ positions.T), charges, x)
    return pull, -2 * np.einsum("n,n,ni->i", mass, gap, function(x @ positions.T))


def sign_force(positions: np.ndarray, charges: np.ndarray, protons: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return minus the gradient for sign units in the plane: what is won where the edge of a half plane moves.

    L is a mean over the angle of x of a function that is constant between the edges of all half planes.
    """
    found = []
    for theta in positions:
        along = np.arctan2(theta[1], theta[0])
        total = 0.0
        for edge in (along + np.pi / 2, along - np.pi / 2):
            sides = []
            for beside in (edge - 1e-9, edge + 1e-9):
                x = np.array([np.cos(beside), np.sin(beside)])
                sides.append((np.sign(positions @ x) @ charges - np.sign(protons @ x) @ own) ** 2)
            total += (sides[0] - sides[1]) / (2 * np.pi)
        length = np.linalg.norm(theta)
        found.append(-total * np.array([-theta[1], theta[0]]) / length**2)
    return np.array(found)
