"""What the operator's commands share: arguments and the messages for refused arguments."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from catalog.domain.keys import AssetId, NotAnAssetIdError, NotATenantIdError, asset_id

# No limit of a deployment: the originals were accepted once.
MOST_BYTES: Final = 100 * 1024 * 1024


def images_of_a_tenant(parser: argparse.ArgumentParser) -> None:
    """The arguments for a tenant, a stack, and the image to continue after."""
    parser.add_argument("tenant", help="id of the tenant")
    parser.add_argument("--stack", required=True, help="name of the deployed stack")
    parser.add_argument("--after", help="continue after the image of this id")


def after(chosen: argparse.Namespace) -> AssetId | None:
    """Raises NotAnAssetIdError."""
    return asset_id(chosen.after) if chosen.after else None


@contextmanager
def refusals() -> Iterator[None]:
    """End the command with one sentence if an id is wrong or AWS refuses."""
    try:
        yield
    except NotATenantIdError as error:
        sys.exit(f"error: {error} is no tenant id: 1 to 63 of a-z, 0-9 and inner hyphens")
    except NotAnAssetIdError as error:
        sys.exit(f"error: {error} is no image id: 64 lower-case hex digits")
    except (ClientError, BotoCoreError) as error:
        sys.exit(f"error: {error}")
