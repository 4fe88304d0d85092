"""Deep linear networks: modes that are learned one after the other, in closed form."""

__all__ = []
