"""Facts and rules of the catalog.  Imports the standard library only."""
