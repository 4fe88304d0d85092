"""Memories: Hopfield networks, and multi-user detection as their twin."""

__all__ = []
