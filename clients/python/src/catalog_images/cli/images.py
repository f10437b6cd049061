"""Images, who uses them, and which show the same."""

from pathlib import Path
from typing import Annotated, Any

import typer

from catalog_images.cli.output import byte_size
from catalog_images.cli.state import State, state_of
from catalog_images.errors import ApiError
from catalog_images.models import Comparison, Encoding, Image, NewReference, Pair, PresetComparison
from catalog_images.photos import content_type_of

Id = Annotated[str, typer.Argument(metavar="ID", help="An image's id: the SHA-256 of its bytes.")]
_COLUMNS = ("id", "status", "original_filename", "references")

refs = typer.Typer(
    help="Who uses an image: a purge takes no image that has a reference.", no_args_is_help=True
)
duplicates = typer.Typer(help="Images that look alike.", no_args_is_help=True)


def get(
    context: typer.Context,
    image_id: Id,
    save: Annotated[Path | None, typer.Option(help="A folder for its renditions.")] = None,
) -> None:
    """Show an image."""
    state = state_of(context)
    with state.catalog() as catalog:
        image = catalog.get(image_id)
        if save is not None:
            save.mkdir(parents=True, exist_ok=True)
            for rendition in image.renditions:
                suffix = Path(rendition.url.partition("?")[0]).suffix
                (save / f"{image.id[:12]}-{rendition.preset}{suffix}").write_bytes(
                    catalog.download(rendition)
                )
    _show(state, image)


def list_(
    context: typer.Context,
    status: Annotated[
        str | None, typer.Option(help="Only of this status, such as ready or rejected.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 50,
) -> None:
    """List images."""
    state = state_of(context)
    with state.catalog() as catalog:
        found = (
            image.document for image, _ in zip(catalog.images(status=status), range(limit), strict=False)
        )
        state.output.rows(found, _COLUMNS, none="no images")


def find(
    context: typer.Context,
    reference: Annotated[str | None, typer.Option(help="Exactly this reference, such as an SKU.")] = None,
    prefix: Annotated[str | None, typer.Option(help="References that begin so.")] = None,
    filename: Annotated[str | None, typer.Option(help="Exactly this name of a file.")] = None,
) -> None:
    """Find images by who uses them, in their gallery's order, or by name."""
    if sum(given is not None for given in (reference, prefix, filename)) != 1:
        raise typer.BadParameter("give one of --reference, --prefix and --filename")
    state = state_of(context)
    with state.catalog() as catalog:
        found = catalog.find(reference=reference, reference_prefix=prefix, filename=filename)
        state.output.rows((image.document for image in found), _COLUMNS, none="no images")


def delete(context: typer.Context, image_id: Id) -> None:
    """Delete an image that nobody uses."""
    state = state_of(context)
    with state.catalog() as catalog:
        state.output.document({"id": image_id, "status": catalog.delete(image_id)})


def compare(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="A file of at most 4,500,000 bytes, or an id.")],
) -> None:
    """Measure what every preset would make of an image, in every format; nothing is stored."""
    state = state_of(context)
    path = Path(source)
    with state.catalog() as catalog:
        if path.is_file():
            data = path.read_bytes()
            found = catalog.compare(data, content_type=content_type_of(data[:16]))
        else:
            found = catalog.compare(source)
    rows = [_encoding(found, preset, one) for preset in found.presets for one in preset.formats]
    state.output.rows(rows, ("preset", "format", "bytes", "ssim", "recommended"))


@refs.command("list")
def refs_list(context: typer.Context, image_id: Id) -> None:
    """Who uses an image."""
    state = state_of(context)
    with state.catalog() as catalog:
        found = catalog.get(image_id).document["references"]
    state.output.rows([{"reference": name} for name in found], ("reference",), none="nobody uses it")


@refs.command("add")
def refs_add(
    context: typer.Context,
    image_id: Id,
    reference: Annotated[str, typer.Argument(help="A name of yours, such as an SKU.")],
    position: Annotated[int | None, typer.Option(min=0, help="Where it stands in the gallery.")] = None,
    role: Annotated[str | None, typer.Option(help="What it is there, such as main or gallery.")] = None,
    alt: Annotated[str | None, typer.Option(help="What a page says instead of it.")] = None,
) -> None:
    """Say who uses an image."""
    state = state_of(context)
    new = NewReference(image_id, reference, position, role, alt)
    with state.catalog() as catalog:
        (refused,) = catalog.refer_many([new])
    if isinstance(refused, ApiError):
        raise refused
    state.output.document(new.request())


@refs.command("remove")
def refs_remove(context: typer.Context, image_id: Id, reference: str) -> None:
    """Say that somebody no longer uses an image."""
    state = state_of(context)
    with state.catalog() as catalog:
        _show(state, catalog.release(image_id, reference))


@duplicates.command("list")
def duplicates_list(
    context: typer.Context,
    likeness: Annotated[
        str | None, typer.Option(help="Only pairs that are same, too_small, suspected or different.")
    ] = None,
) -> None:
    """List pairs that were compared, newest first."""
    state = state_of(context)
    with state.catalog() as catalog:
        rows = map(_pair, catalog.pairs(likeness=likeness))
        state.output.rows(
            rows, ("one", "other", "likeness", "refusal", "decision", "merged"), none="no pairs"
        )


@duplicates.command("decide")
def duplicates_decide(
    context: typer.Context,
    one: Id,
    other: Id,
    decision: Annotated[str, typer.Argument(help="same, distinct, or undo.")],
) -> None:
    """Say whether two images show the same; the word holds when their bytes come again."""
    state = state_of(context)
    with state.catalog() as catalog:
        found = catalog.decide(one, other, None if decision == "undo" else decision)
    state.output.document(_pair(found))


def _pair(pair: Pair) -> dict[str, Any]:
    one, other = pair.ids
    return {"one": one, "other": other, "likeness": pair.likeness, "refusal": pair.refusal,
            "decision": pair.decision, "merged": pair.merged}  # fmt: skip


def _encoding(found: Comparison, preset: PresetComparison, one: Encoding) -> dict[str, Any]:
    best = one.format == preset.recommended_format
    of_all = best and preset.preset == found.recommended
    return {
        "preset": preset.preset,
        "format": one.format,
        "bytes": byte_size(one.size_bytes),
        "ssim": f"{one.ssim:.3f}",
        "recommended": "of all" if of_all else "of its preset" if best else "",
    }


def _show(state: State, image: Image) -> None:
    if state.output.as_json:
        state.output.document(image.document)
        return
    document = image.document
    shown = ("id", "status", "original_filename", "original_width", "original_height", "original_format",
             "references", "near_duplicate_of", "rejection", "created_at", "updated_at")  # fmt: skip
    state.output.document({name: value for name, value in document.items() if name in shown and value})
    if image.renditions:
        state.output.rows(document["renditions"], ("preset", "width", "height", "size_bytes"))
    for rendition in image.renditions:
        state.output.people.print(rendition.permanent_url or rendition.url, markup=False)
    if image.picture:
        state.output.people.print(image.picture, markup=False)
