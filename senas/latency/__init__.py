"""What a network takes on a device: measured, written down, predicted. Needs torch and numpy, nothing else."""
