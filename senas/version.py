"""The version of senas, defined in this file alone."""

__version__ = "0.1.0"
