"""The catalog: domain, use cases and AWS adapters shared by every function.  No image library here."""
