"""Services that several functions or tools hold, built from the settings.

Each has a module of its own: a function imports only what it needs.
"""
