"""What the pipeline does, one module a promise.  Adapters arrive as keyword arguments."""
