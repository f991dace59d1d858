"""What is learned: data, the binary networks, and how good each network is."""
