"""The version of senas."""

VERSION = "0.1.0"
