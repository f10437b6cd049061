"""Draws every picture of the tests, benchmarks and demo; none is committed.

The same arguments give the same pixels on every machine, as published figures need.
"""
