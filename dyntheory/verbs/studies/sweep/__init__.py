"""Many predictions at once: what is swept, the points, programs that many points share, and the labelled result."""
