"""`python -m catalog_images` is `catalog-images`."""

from catalog_images.cli.main import run

if __name__ == "__main__":
    run()
