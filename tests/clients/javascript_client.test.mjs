// The JavaScript client in Node, against a server of this file's that answers as the API and S3 do.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";

import { Catalog, CatalogError, clientCredentials, put, sha256, srcset } from "../../clients/js/catalog-images.js";

const photo = (text, name = "lamp.jpg") => new File([text], name, { type: "image/jpeg" });
const hash = (text) => createHash("sha256").update(text).digest("hex");

/** An API whose images are ready once their bytes arrived.  `refusals` answer the next calls in its place. */
class Shop {
  calls = []; // "METHOD /path", without the query
  announced = [];
  asked = []; // ids that were read
  images = new Map();
  refusals = []; // {of: a call, status, headers, body}

  static async start(context) {
    const shop = new Shop();
    shop.server = createServer((request, response) => void shop.#answer(request, response)).listen(0);
    await once(shop.server, "listening");
    shop.api = `http://127.0.0.1:${shop.server.address().port}`;
    context.after(() => (shop.server.close(), shop.server.closeAllConnections()));
    return shop;
  }

  client(options) {
    return new Catalog({ api: this.api, pollMs: 20, ...options });
  }

  refuse(of, status, body = {}, headers = {}) {
    this.refusals.push({ of, status, body, headers });
  }

  count(call) {
    return this.calls.filter((one) => one === call).length;
  }

  async #answer(request, response) {
    const url = new URL(request.url, this.api);
    const call = `${request.method} ${url.pathname.replace(/[0-9a-f]{64}/, "{id}")}`;
    this.calls.push(call);
    const body = Buffer.concat(await request.toArray());
    const at = this.refusals.findIndex((one) => one.of === call);
    if (at >= 0) {
      const [refusal] = this.refusals.splice(at, 1);
      if (!refusal.status) return response.destroy();
      const text = typeof refusal.body === "string" ? refusal.body : JSON.stringify(refusal.body);
      return response.writeHead(refusal.status, refusal.headers).end(text);
    }
    this.authorization = request.headers.authorization;
    const answer = this.#routes[call](url, body, request);
    response.writeHead(answer === undefined ? 412 : 200).end(JSON.stringify(answer));
  }

  #routes = {
    "POST /images/batch": (_, body) => ({ answers: JSON.parse(body).images.map((one) => this.#announced(one)) }),
    "GET /images": (url) => {
      const ids = url.searchParams.get("ids").split(",");
      this.asked.push(...ids);
      return { images: ids.flatMap((id) => this.images.get(id) ?? []) };
    },
    "PUT /objects/{id}": (url, body, request) => {
      const id = url.pathname.split("/")[2];
      assert.equal(hash(body), id);
      assert.equal(request.headers["content-length"], String(body.length));
      if (this.images.has(id)) return undefined; // the 412 of S3
      this.images.set(id, { id, status: "ready", renditions: [] });
      return {};
    },
    "POST /token": (_, body, request) => {
      assert.equal(String(body), "grant_type=client_credentials");
      assert.equal(request.headers.authorization, `Basic ${btoa("shop:secret")}`);
      return { access_token: `token ${this.count("POST /token")}`, expires_in: 3600 };
    },
    "PUT /images/{id}/references/sku": (_, body) => JSON.parse(body),
  };

  #announced(announcement) {
    this.announced.push(announcement);
    const { sha256: id, content_type } = announcement;
    const known = this.images.get(id);
    if (known) return { status: 200, id, ticket: null, known: { status: known.status }, error: null };
    const headers = { "content-length": "5", "content-type": content_type, "if-none-match": "*" };
    const upload = { method: "PUT", url: `${this.api}/objects/${id}?signature`, headers };
    return { status: 201, id, ticket: { id, upload }, known: null, error: null };
  }
}

test("a file is announced, sent and waited for", async (context) => {
  const shop = await Shop.start(context);

  const image = await shop.client().upload(photo("bytes"));

  assert.deepEqual([image.id, image.status], [hash("bytes"), "ready"]);
  assert.deepEqual(shop.calls, ["POST /images/batch", "PUT /objects/{id}", "GET /images"]);
});

test("bytes that the catalog has are not sent", async (context) => {
  const shop = await Shop.start(context);
  shop.images.set(hash("bytes"), { id: hash("bytes"), status: "rejected" });
  const progress = [];

  const onProgress = (...seen) => progress.push(seen);
  const known = await shop.client().upload(photo("bytes"), { wait: false, onProgress });

  assert.deepEqual(known, { id: hash("bytes"), status: "rejected" });
  assert.deepEqual(shop.calls, ["POST /images/batch"]);
  assert.deepEqual(progress, [[5, 5]]);
});

test("what is asked in one moment goes together, up to 100 in a call", async (context) => {
  const shop = await Shop.start(context);
  const catalog = shop.client();
  const ids = Array.from({ length: 150 }, (_, number) => hash(`${number}`));
  ids.slice(1).forEach((id) => shop.images.set(id, { id, status: "ready" }));

  const announced = await Promise.all(ids.map((id) => catalog.announce({ sha256: id })));
  const read = await Promise.allSettled(ids.map((id) => catalog.get(id)));

  assert.deepEqual(announced.map((one) => one.id), ids);
  assert.deepEqual(announced.map((one) => one.known?.status), [undefined, ...Array(149).fill("ready")]);
  assert.deepEqual([read[0].reason.status, read[0].reason.code], [404, "image_not_found"]);
  assert.deepEqual(read.slice(1).map((one) => one.value.id), ids.slice(1));
  assert.deepEqual(shop.calls, [...Array(2).fill("POST /images/batch"), ...Array(2).fill("GET /images")]);
});

test("who asks twice for an image asks the API once", async (context) => {
  const shop = await Shop.start(context);
  const catalog = shop.client();
  shop.images.set("a", { id: "a", status: "rejected" });

  const images = await Promise.all([catalog.wait("a"), catalog.wait("a")]);

  assert.deepEqual(images.map((image) => image.status), ["rejected", "rejected"]);
  assert.deepEqual(shop.asked, ["a"]);
});

test("bytes without a name or a type are announced by their hash, as a JPEG", async (context) => {
  const shop = await Shop.start(context);

  await shop.client().upload(new Blob(["bytes"]));
  await shop.client().upload(new Blob(["bytes"]), { name: "lamp.avif", type: "image/avif" });

  const told = shop.announced.map((one) => [one.sha256, one.size_bytes, one.filename, one.content_type]);
  assert.deepEqual(told, [
    [hash("bytes"), 5, hash("bytes"), "image/jpeg"],
    [hash("bytes"), 5, "lamp.avif", "image/avif"],
  ]);
});

test("more files than may be sent at once are all sent", async (context) => {
  const shop = await Shop.start(context);
  const catalog = shop.client({ parallel: 2 });

  await Promise.all(["lamp1", "lamp2", "lamp3", "lamp4", "lamp5"].map((text) => catalog.upload(photo(text))));

  assert.equal(shop.images.size, 5);
});

test("the same file twice at once is stored once", async (context) => {
  const shop = await Shop.start(context);
  const catalog = shop.client();

  const images = await Promise.all([catalog.upload(photo("bytes")), catalog.upload(photo("bytes", "copy.jpg"))]);

  assert.deepEqual(images.map((image) => image.status), ["ready", "ready"]);
  assert.equal(shop.images.size, 1);
});

for (const [what, call, status, body] of [
  ["a lost connection", "POST /images/batch"],
  ["a lost connection to S3", "PUT /objects/{id}"],
  ["S3 asks to slow down", "PUT /objects/{id}", 503, "<Error><Code>SlowDown</Code></Error>"],
  ["a ticket that expired", "PUT /objects/{id}", 403, "<Error><Code>AccessDenied</Code></Error>"],
  ["throttling", "GET /images", 429, { error: { code: "too_many_requests", message: "wait" } }],
])
  test(`an upload gets over ${what}`, async (context) => {
    const shop = await Shop.start(context);
    shop.refuse(call, status, body);

    assert.equal((await shop.client().upload(photo("bytes"))).status, "ready");
    assert.equal(shop.count(call), 2);
  });

test("it waits as long as the API says", async (context) => {
  const shop = await Shop.start(context);
  const slept = context.mock.method(globalThis, "setTimeout");
  shop.refuse("GET /images", 429, {}, { "retry-after": "0.033" });

  await assert.rejects(shop.client().get("a"), { status: 429, retry_after: 0.033 });
  shop.refuse("GET /images", 429, {}, { "retry-after": "0.033" });
  await assert.rejects(shop.client().wait("a"), { code: "image_not_found" });

  assert.ok(slept.mock.calls.some((call) => call.arguments[1] === 33));
});

test("one file's refusal in a batch does not concern the others", async (context) => {
  const shop = await Shop.start(context);
  const catalog = shop.client();
  const error = { code: "too_large", message: "at most 10 MiB", faults: [] };
  shop.refuse("POST /images/batch", 200, { answers: [{ status: 413, error }, { status: 200, id: "b", error: null }] });

  const [refused, known] = await Promise.allSettled(["a", "b"].map((id) => catalog.announce({ sha256: id })));

  assert.ok(refused.reason instanceof CatalogError);
  assert.deepEqual([refused.reason.status, refused.reason.code, refused.reason.faults], [413, "too_large", []]);
  assert.equal(known.value.id, "b");
});

test("what cannot pass by waiting is not repeated", async (context) => {
  const shop = await Shop.start(context);
  shop.refuse("POST /images/batch", 403, { error: { code: "forbidden", message: "no", request_id: "r" } });

  await assert.rejects(shop.client().upload(photo("bytes")), { status: 403, code: "forbidden", request_id: "r" });

  assert.equal(shop.count("POST /images/batch"), 1);
});

test("after so many tries it gives up, and says why", async (context) => {
  const shop = await Shop.start(context);
  shop.refuse("PUT /objects/{id}", 400, "<Error><Code>BadDigest</Code></Error>");
  shop.refuse("POST /images/batch");
  const once = shop.client({ retries: 0 });

  await assert.rejects(once.upload(photo("bytes")), { status: 0, code: "unreachable" });
  await assert.rejects(once.upload(photo("bytes")), { status: 400, code: "BadDigest" });
});

test("one token serves all calls until it is refused", async (context) => {
  const shop = await Shop.start(context);
  const token = clientCredentials({ tokenUrl: `${shop.api}/token`, clientId: "shop", clientSecret: "secret" });
  const catalog = shop.client({ token });
  const reference = () => catalog.call("PUT", "/images/" + hash("") + "/references/sku", { role: "main" });

  assert.deepEqual(await Promise.all([reference(), reference()]), [{ role: "main" }, { role: "main" }]);
  assert.equal(shop.authorization, "Bearer token 1");
  shop.refuse("PUT /images/{id}/references/sku", 401);
  shop.refuse("PUT /images/{id}/references/sku", 401);
  await Promise.all([reference(), reference()]);
  assert.equal(shop.authorization, "Bearer token 2");
  assert.equal(shop.count("POST /token"), 2);
});

test("a token endpoint that failed is asked again", async (context) => {
  const shop = await Shop.start(context);
  let isSignedIn = false;
  const token = () => (isSignedIn ? "signed in" : Promise.reject(new Error("signed out")));
  const catalog = shop.client({ token });

  await assert.rejects(catalog.get("a"), { message: "signed out" });
  isSignedIn = true;
  await assert.rejects(catalog.get("a"), { code: "image_not_found" });
  assert.equal(shop.authorization, "Bearer signed in");
});

test("progress tells of every 64 KiB, and ends with all", async (context) => {
  const shop = await Shop.start(context);
  const file = new Blob([new Uint8Array(150_000)]);
  const { ticket } = await shop.client().announce({ sha256: await sha256(file), content_type: "image/png" });
  ticket.upload.headers["content-length"] = "150000";
  const seen = [];

  await put(ticket, file, { onProgress: (sent, total) => seen.push([sent, total]) });

  assert.deepEqual([...new Set(seen.map(String))], ["65536,150000", "131072,150000", "150000,150000"]);
});

test("an abort ends an upload with its reason", async (context) => {
  const shop = await Shop.start(context);
  const controller = new AbortController();
  const onProgress = () => controller.abort(new Error("closed"));

  const upload = shop.client().upload(photo("bytes"), { onProgress, signal: controller.signal });

  await assert.rejects(upload, { message: "closed" });
  assert.equal(shop.count("GET /images"), 0);
});

test("who has given up already starts nothing", async (context) => {
  const shop = await Shop.start(context);
  const signal = AbortSignal.abort(new Error("closed"));

  await assert.rejects(shop.client().upload(photo("bytes"), { signal }), { message: "closed" });
  await assert.rejects(shop.client().wait("a", { signal }), { message: "closed" });
  assert.deepEqual(shop.calls, []);
});

test("srcset has the renditions of the whole picture", () => {
  const renditions = [
    { width: 200, height: 133, url: "https://s/thumb" },
    { width: 300, height: 300, url: "https://s/square" },
    { width: 1600, height: 1067, url: "https://s/zoom-1", permanent_url: "https://s/zoom" },
  ];

  const shown = srcset({ original_width: 3000, original_height: 2000, renditions });

  assert.equal(shown, "https://s/thumb 200w, https://s/zoom 1600w");
});
