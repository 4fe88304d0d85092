"""Who answers the two questions X·w/√d and Xᵀ·g/√d: stored, revealed, the limit."""
