"""Renditions with the URLs that this deployment gives them: presigned, or the CDN's."""

from catalog import settings
from catalog.adapters.objects import Renditions
from catalog.adapters.signing import Viewers


def viewers() -> Viewers | None:
    """None where renditions are presigned, or the CDN shows them to everybody."""
    cdn, signer = settings.renditions_base_url(), settings.view_signer()
    if not (cdn and signer):
        return None
    key_pair, key_id = signer
    return Viewers(key_id, key_pair=key_pair, cdn=cdn)


def renditions() -> Renditions:
    """The bucket, as API functions give its addresses away."""
    return Renditions(
        settings.renditions_bucket(), base_url=settings.renditions_base_url(), viewers=viewers()
    )
