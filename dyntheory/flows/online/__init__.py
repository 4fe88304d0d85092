"""One-pass learning: every sample is used once, and order parameters follow a flow."""

__all__ = []
