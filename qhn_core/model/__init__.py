"""What is learned: the data, the binary networks, and how well each network fits the data."""
