"""Where the catalog speaks HTTP: what callers send, checked, and what they are answered."""
