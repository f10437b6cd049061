"""The command catalog-images."""
