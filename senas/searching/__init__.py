"""Search: NNI strategies propose, Ray Tune runs the trials, the journal remembers.

This file imports nothing: Ray's workers load `senas.searching.worker` and must not pay for NNI.
"""
