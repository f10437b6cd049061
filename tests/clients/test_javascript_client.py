"""The JavaScript client, clients/js: its size, its types, and what it does in Node.  Needs Node."""

import json
import subprocess
from pathlib import Path

from tests.clients.node import run

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "clients" / "js"
MODULE = CLIENT / "catalog-images.js"

USES = """
import type { components } from "./api";
import { Catalog, CatalogError, clientCredentials, put, sha256, srcset } from "catalog-images";
import type { Accepted, Announced, Announcement, Image, Rendition, Status, Ticket } from "catalog-images";

type Schemas = components["schemas"];
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;
const holds = <T extends true>(): void => {};

holds<Equal<Status, Schemas["Status"]>>();
holds<Equal<keyof Rendition, keyof Schemas["Rendition"]>>();
const rendition: Rendition = {} as Schemas["Rendition"];
const image: Image = {} as Schemas["Image"];
const ticket: Ticket = {} as Schemas["UploadTicket"];
const announced: Omit<Announced, "id"> = {} as Schemas["AnnouncementAnswer"];
holds<Equal<keyof Announcement, keyof Schemas["Announcement"]>>();

export async function uses(file: File): Promise<string> {
  const token = clientCredentials({ tokenUrl: "t", clientId: "i", clientSecret: "s" });
  const catalog = new Catalog({ api: "https://shop.example.com/v1", token });
  const sent: Accepted = await catalog.upload(file, { wait: false });
  const made: Image = await catalog.upload(file, { signal: AbortSignal.timeout(1) });
  // @ts-expect-error Nobody waited for its renditions.
  sent.renditions;
  await put(ticket, file);
  const { code } = new CatalogError(0, { code: "c" });
  return srcset(made) + (await sha256(file)) + code + rendition.url + image.id + announced.known;
}
"""


def test_it_is_one_module_of_at_most_8_kilobytes_without_dependencies() -> None:
    manifest = json.loads((CLIENT / "package.json").read_text())

    assert MODULE.stat().st_size <= 8 * 1024
    assert "import" not in MODULE.read_text()
    assert not [name for name in manifest if "ependencies" in name]
    assert all((CLIENT / file).exists() for file in manifest["files"])


def test_its_types_agree_with_the_contract(tmp_path: Path) -> None:
    run("openapi-typescript", ROOT / "docs" / "openapi.yaml", "--output", tmp_path / "api.d.ts")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "catalog-images").symlink_to(CLIENT)
    (tmp_path / "uses.ts").write_text(USES)

    libraries = ("--lib", "es2022,dom,dom.iterable", "--module", "es2022", "--moduleResolution", "bundler")
    run("tsc", "--strict", "--noEmit", "--typeRoots", tmp_path / "none", *libraries, tmp_path / "uses.ts")


def test_it_keeps_its_word_in_node() -> None:
    done = subprocess.run(
        ["node", "--test", "tests/clients/javascript_client.test.mjs"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
