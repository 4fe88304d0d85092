"""Networks on k first-layer units: what maps preactivations to a prediction, and its loss."""
