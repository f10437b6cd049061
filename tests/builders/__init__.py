"""Builders of what the tests feed the pipeline: images drawn in code, events in the shape AWS sends."""
