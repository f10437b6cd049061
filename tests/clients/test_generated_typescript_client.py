"""docs/openapi.yaml generates TypeScript types that hold to the document.  Needs Node."""

from pathlib import Path

import pytest

from tests.clients.node import run

ROOT = Path(__file__).parents[2]

USES = """
import type { components, operations } from "./api";

type Schemas = components["schemas"];
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;
const holds = <T extends true>(): void => {};

holds<Equal<Schemas["Pair"]["decision"], "same" | "distinct" | null>>();
holds<Equal<Schemas["Pair"]["scores"], Schemas["Scores"] | null>>();
type Original = "jpeg" | "png" | "webp" | "gif" | "avif" | "tiff" | "heic";
holds<Equal<Schemas["Image"]["original_format"], Original | null>>();
holds<Equal<Schemas["Limits"]["stored_bytes"], number | null>>();
holds<Equal<Schemas["UploadTicket"]["upload"]["method"], "PUT">>();
holds<Equal<Schemas["PurgeProposal"]["state"], "proposed">>();

const dryRun: Schemas["PurgeRequest"] = { dry_run: true, older_than_days: 30 };
const confirmation: Schemas["PurgeRequest"] = { dry_run: false, confirm_token: "t" };
// @ts-expect-error A confirmation has its token.
const unconfirmed: Schemas["PurgeRequest"] = { dry_run: false };
const announced: keyof operations["requestUpload"]["responses"] = 201;

export { announced, confirmation, dryRun, unconfirmed };
"""


@pytest.fixture
def api(tmp_path: Path) -> Path:
    run("openapi-typescript", ROOT / "docs" / "openapi.yaml", "--output", tmp_path / "api.d.ts")
    return tmp_path


def test_the_types_check_and_no_null_or_literal_is_lost(api: Path) -> None:
    (api / "uses.ts").write_text(USES)

    run("tsc", "--strict", "--noEmit", "--typeRoots", api, api / "uses.ts")
