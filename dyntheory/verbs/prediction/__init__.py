"""Learning curves in the limit n, d → ∞, with their numerical error; nothing is trained."""
