"""Matrices: three answers to the two questions X·w/√d and Xᵀ·g/√d."""
