"""Architecture to torch module: the SE block, the cells that host it, the network."""
