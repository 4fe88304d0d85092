"""What is asked: the data, the network, the algorithm."""
