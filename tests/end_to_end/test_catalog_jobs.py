"""A catalog's whole life on the deployed stack, with thirty photos; `make catalog` takes a thousand."""

from catalog.domain.tenants import Scope
from tests.catalog.photos import laid
from tests.catalog.story import Story
from tests.end_to_end.deployment import Deployment

PHOTOS = 30  # of which one is broken, one a copy and one a half-size copy


def test_a_catalog_is_imported_rebuilt_searched_recounted_and_erased(deployment: Deployment) -> None:
    with deployment.client("story") as catalog, deployment.client("operator", Scope.ADMIN) as admin:
        story = Story(deployment, "story", catalog, admin, list(laid(PHOTOS)))
        for chapter in story.told():
            print(chapter.title, dict(chapter.facts))
            assert chapter.broken == (), chapter.title
