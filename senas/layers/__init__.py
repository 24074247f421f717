"""What an architecture is made of: stems, heads and the layout of operations that they and the cells describe."""
