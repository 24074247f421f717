"""What an architecture costs, known before it is trained: FLOPs, parameters, latency."""
