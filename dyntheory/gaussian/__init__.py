"""Expectations over Gaussians: points, rules, and the error of both."""

from dyntheory.gaussian.nodes import NodeSet, draw_nodes

__all__ = ["NodeSet", "draw_nodes"]
