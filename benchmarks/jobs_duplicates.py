"""What a search for near-duplicates among stored images costs as a tenant grows: dry run, and in earnest.

    python -m benchmarks.jobs_duplicates [--images DIR] [--take 20] [--most 1000000] [--out results.json]

The tenant's records name index entries that the index lacks, as they do where images came while
near-duplicates were off.  No image resembles another: each is read, decoded, indexed and looked up, and none
is compared; a comparison costs further (catalog.domain.estimates).  Buckets have as many entries as an index
of the whole tenant.  Then the same again: everything is indexed.

benchmarks/_generated.py says what is counted.  Of a larger tenant a few ranges are searched.  Decoding takes
what the images of a folder take, once each; waits for S3 and DynamoDB are modelled (benchmarks/_waits.py).
"""

import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, Final

from benchmarks._contenders import Picture
from benchmarks._generated import (
    SIZES,
    TENANT,
    Answers,
    Item,
    an_image,
    answered,
    as_sent,
    asset_item,
    ids_of,
    job,
    parser,
    print_sizes,
    worth,
)
from benchmarks._report import Goal, report
from benchmarks._units import read_units, write_units
from benchmarks._waits import Stretch, Trace, Traced
from benchmarks.jobs_machinery import PRICES, planning_of
from benchmarks.pipeline import pictures
from catalog.adapters.assets_table import Assets
from catalog.adapters.groups import Groups
from catalog.adapters.hash_bands_table import HashBands
from catalog.adapters.objects import Originals
from catalog.adapters.pairs_table import Pairs
from catalog.adapters.queues import RenderQueue
from catalog.adapters.rehearsal import Joins, RehearsedAssets, RehearsedBands, RehearsedGroups, RehearsedPairs
from catalog.domain.assets import Inspection, PerceptualHashes
from catalog.domain.duplicate_jobs import IMAGES_PER_GROUPING
from catalog.domain.fingerprints import Fingerprint, PHashAlgorithm
from catalog.domain.jobs import JobKind, Tally, Work, digits_for, ranges
from catalog.domain.near_duplicates import Likeness, NearDuplicateAction, Verdict
from catalog.domain.presets import DEFAULT_PRESETS
from catalog.domain.render_plan import RenderPlan
from catalog.domain.sources import DEFAULT_PIXEL_LIMITS, Source, SourceFormat
from catalog.use_cases.completion import Completion
from catalog.use_cases.finding_duplicates import AT_ONCE, SEARCH, FindDuplicatesWorker, Rehearsal
from catalog.use_cases.grouping import Grouping
from catalog.use_cases.near_duplicates import NearDuplicateSearch
from catalog.use_cases.side_by_side import ROOM
from imaging.inspection import inspect

KIND: Final = "find-duplicates"
SAMPLED: Final = 1_000  # images searched of a larger tenant
BUCKETS: Final = 65_536  # of a band
LARGEST: Final = 10 * 1024 * 1024
MOST: Final = min(AT_ONCE, ROOM // LARGEST)
FAR: Final = {"B": hashlib.sha256(b"no image's").digest()}  # a hash
_INDEXED: Final = re.compile(r"SET (#\d+) = (:\d+)")


@dataclass
class Generated(Answers):
    """Answers what a search asks, and counts it.  `indexed` are the entries it wrote."""

    indexed: dict[tuple[str, str], Item] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)

    def call(self, operation: str, asked: Item) -> Item:
        self.requests[operation] += 1
        match operation:
            case "GetObject":
                id_ = asked["Key"].rpartition("/")[2].encode()
                return {"Body": BytesIO(id_), "ContentLength": len(id_)}
            case "UpdateItem":
                return self._move(asked)
            case "BatchWriteItem":
                return self._index(asked["RequestItems"]["HashBands"])
            case "GetItem":
                found = self._asset(asked["Key"]["id"]["S"]) if asked["TableName"] == "Assets" else None
                answer: Item = {"Item": found} if found else {}
            case "BatchGetItem":
                keys = asked["RequestItems"]["HashBands"]["Keys"]
                there = [key for key in keys if (key["band"]["S"], key["id"]["S"]) in self.indexed]
                answer = {"Responses": {"HashBands": there}, "UnprocessedKeys": {}}
            case "Query" if asked["TableName"] == "HashBands":
                answer = self._bucket(asked)
                self.reads += read_units(operation, asked, answer)
                return answer  # with bytes, which are no JSON
            case "Query":
                answer = self.page(asked, self._asset)
            case _:
                raise ValueError(operation)
        self.reads += read_units(operation, asked, answer)
        return as_sent(answer)

    def _asset(self, id_: str) -> Item:
        item = asset_item(id_) | {"phash256": {"S": frame_of(id_)}}
        return item | ({"indexed_as": {"S": self.moved[id_]}} if id_ in self.moved else {})

    def _move(self, asked: Item) -> Item:
        """A record's change of what the index holds: no index of the table shows that."""
        said = _INDEXED.search(asked["UpdateExpression"])
        assert said, asked
        id_ = asked["Key"]["id"]["S"]
        self.moved[id_] = asked["ExpressionAttributeValues"][said[2]]["S"]
        item = self._asset(id_)
        self.writes += write_units(None, item)
        return {"Attributes": item}

    def _index(self, requests: Sequence[Item]) -> Item:
        for request in requests:
            item = request["PutRequest"]["Item"]
            self.writes += write_units(None, item)
            self.indexed[item["band"]["S"], item["id"]["S"]] = item
        return {"UnprocessedItems": {}}

    def _bucket(self, asked: Item) -> Item:
        """As many entries as of such a tenant, like those that were written; none is near."""
        entries = islice(self.indexed.values(), round(len(self.ids) / BUCKETS))
        far = {"band": next(iter(asked["ExpressionAttributeValues"].values())), "hash": FAR}
        items = [item | far for item in entries]
        return {"Items": items, "Count": len(items), "ScannedCount": len(items)}


def frame_of(id_: str) -> str:
    return hashlib.sha256(id_.encode()).hexdigest()


def inspected(data: bytes) -> Inspection:
    """Of an original that is its id: a hash of its own."""
    frame = frame_of(data.decode())
    return Inspection(
        Source(SourceFormat.JPEG, 1600, 1200),
        PerceptualHashes("0f" * 8, frame),
        Fingerprint(PHashAlgorithm.PHASH256, frame, frame, "00" * 12),
        near_blank=False,
        verify=lambda _: Likeness(Verdict.DIFFERENT, {}),
    )


def search(assets: Assets, groups: Groups, bands: HashBands, pairs: Pairs) -> NearDuplicateSearch:
    grouping = Grouping(assets, groups)
    return NearDuplicateSearch(
        NearDuplicateAction.REUSE, assets, Originals("originals"), bands, pairs, grouping, LARGEST
    )


def worker() -> FindDuplicatesWorker:
    assets, originals, bands = Assets("Assets"), Originals("originals"), HashBands("HashBands")
    real = search(assets, Groups("Assets", "Pairs"), bands, Pairs("Pairs"))
    joins = Joins("HashBands", "job", 0)
    rehearsed = search(
        RehearsedAssets("Assets", joins),
        RehearsedGroups("Assets", "Pairs", joins),
        RehearsedBands("HashBands", "job", 0, threshold=PHashAlgorithm.PHASH256.default_threshold),
        RehearsedPairs("Pairs"),
    )
    none: Any = None
    plan = RenderPlan(DEFAULT_PRESETS, 1)
    return FindDuplicatesWorker(
        algorithm=PHashAlgorithm.PHASH256,
        assets=assets,
        originals=originals,
        bands=bands,
        inspect=inspected,
        near_duplicates=real,
        completion=Completion(assets, originals, real.grouping, RenderQueue("render"), plan),
        rehearsal=lambda _: Rehearsal(rehearsed, joins),
        groups=none,
        max_upload_bytes=LARGEST,
    )


def decoding(images: Sequence[Picture]) -> float:
    """Processor seconds an image of inspecting these."""
    began = time.process_time()
    for image in images:
        inspect(image.data, limits=DEFAULT_PIXEL_LIMITS)
    return (time.process_time() - began) / len(images)


def searched(
    seen: Generated, within: Sequence[str], number: int, *, dry_run: bool, decoded: float
) -> dict[str, float]:
    """One job's figures an image: of the parts `within`, which have `number` images."""
    finding = job(JobKind.FIND_DUPLICATES, dry_run=dry_run)
    seen.requests.clear()
    seen.reads = seen.writes = 0.0
    traced, tally = Traced(worker()), Tally()
    with traced.watching():
        for work in [Work(TENANT, SEARCH, prefix) for prefix in within]:
            for _, subject in traced.subjects(finding, work, after=None):
                tally += traced.take(finding, work, subject).tally
    assert tally.done + tally.skipped == number, tally
    tenant = len(seen.ids)
    parts = len(within) + (grouping_parts(tenant) * number / tenant if dry_run else 0)
    dollars = worth(
        seen,
        seconds=with_decoding(traced.trace, decoded).billed(most=MOST),
        parts=parts,
        originals=seen.requests["GetObject"] * PRICES["S3 GET"],
        planning=planning_of(KIND, tenant) * (1 + dry_run) * number / 1e6,
    )
    figures = an_image(
        number, seen, dollars, parts=parts, processor=traced.trace.processor + decoded * tally.done
    )
    return figures | {"images": tenant}


def with_decoding(trace: Trace, seconds: float) -> Trace:
    """The trace, as if each image that makes a call had been decoded."""
    subjects = [[Stretch(seconds), *some] if len(some) > 1 else some for some in trace.subjects]
    return Trace(subjects, trace.between)


def grouping_parts(images: int) -> int:
    return int(16 ** digits_for(images, per_part=IMAGES_PER_GROUPING))


def measured(number: int, decoded: float) -> dict[str, dict[str, float]]:
    """A dry run, the job in earnest, and the same again, of a tenant of so many images."""
    seen, digits = Generated(ids_of(number)), digits_for(number)
    few = max(1, round(SAMPLED / (number / 16**digits)))
    within = list(islice(ranges(digits), few))
    there = sum(id_.startswith(tuple(within)) for id_ in seen.ids)
    found = {}
    with answered(seen.call):
        for name in ("dry run", "in earnest", "again"):
            if name == "in earnest":
                seen.indexed = dict(islice(seen.indexed.items(), 100))  # what fills the buckets
            figures = searched(seen, within, there, dry_run=name == "dry run", decoded=decoded)
            found[name] = figures
    return found


def main() -> None:
    options = parser("Dollars of finding near-duplicates, by the size of the tenant.", most=SIZES[-1])
    options.add_argument("--images", type=Path, help="folder of images (default: drawn ones)")
    options.add_argument("--take", type=int, default=20, help="images decoded")
    chosen = options.parse_args()
    decoded = decoding([image for image, _ in pictures(chosen.images, chosen.take)])
    sizes = [measured(number, decoded) for number in SIZES if number <= chosen.most]
    print(f"{1000 * decoded:.0f} CPU-ms to decode an image")
    for name in sizes[0]:
        print(f"\n## {name}\n")
        print_sizes([each[name] for each in sizes])
    goals = [
        Goal(
            f"requests an image, {name}, of the largest over the smallest",
            sizes[-1][name]["requests an image"] / sizes[0][name]["requests an image"],
            at_most=1.1,
            unit="times",
        )
        for name in ("dry run", "in earnest")
    ]
    goals.append(
        Goal("the same again", sizes[-1]["again"]["dollars a million"], at_most=1, unit="USD a million")
    )
    report("jobs_duplicates", figures={"decoding": decoded, "sizes": sizes}, goals=goals, out=chosen.out)


if __name__ == "__main__":
    main()
