"""The one loop, and the pure cores made of it."""
