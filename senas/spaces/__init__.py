"""Search spaces: a backbone, what may vary in it, and the TOML files that say so."""
