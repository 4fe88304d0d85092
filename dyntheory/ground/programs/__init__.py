"""What can be proved of a function from the program that JAX makes of it, for every value it may meet."""
