"""Many answers of the verbs put together: several sizes, extrapolated."""
