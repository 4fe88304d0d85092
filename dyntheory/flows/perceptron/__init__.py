"""The perceptron and its theorems: mistakes, capacity, margins, and where descent ends."""

__all__ = []
