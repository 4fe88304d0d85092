"""What is done with a problem."""
