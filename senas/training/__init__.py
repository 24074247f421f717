"""Training one architecture: data, augmentation, the loop, and the evaluator that a search calls."""
