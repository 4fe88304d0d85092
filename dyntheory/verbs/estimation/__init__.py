"""Generalisation error from one training run: what a trained row has taught the weights, removed from it."""
