"""Gaussian expectations in moderate dimension: node sets with weights."""

from dyntheory.gaussian.nodes import NodeSet, draw_nodes

__all__ = ["NodeSet", "draw_nodes"]
