"""Two-layer learning as electrodynamics: units of the teacher are fixed charges, those of the student move."""

__all__ = []
