"""Every picture that tests, benchmarks and the demo show is drawn here, in code; none is committed.

The same arguments are the same pixels on every machine: published figures rest on them.
"""
