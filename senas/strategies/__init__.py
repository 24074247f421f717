"""Strategies: what proposes the next architecture."""
