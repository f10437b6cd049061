// Described in catalog-images.d.ts.
const BATCH = 100; // the API's limit

export class CatalogError extends Error {
  constructor(status, { code = `http_${status}`, message = "", ...facts }) {
    super(`${status} ${code}: ${message}`);
    Object.assign(this, facts, { name: "CatalogError", status, code });
  }
}

export class Catalog {
  #bearer;

  constructor({ api, token, retries = 4, parallel = 6, pollMs = 1000 }) {
    Object.assign(this, { api, token, retries, pollMs });
    this.working = slots(parallel);
    this.uploading = slots(BATCH); // a ticket lives for 15 minutes
    this.announce = batched(async (images) => {
      const { answers } = await this.#call("POST", "/images/batch", { images });
      return answers.map((one) => (one.error ? new CatalogError(one.status, one.error) : one));
    });
    this.get = batched(async (ids) => {
      const { images } = await this.#call("GET", `/images?ids=${[...new Set(ids)]}`);
      const missing = new CatalogError(404, { code: "image_not_found" });
      return ids.map((id) => images.find((image) => image.id === id) ?? missing);
    });
  }

  async upload(file, options = {}) {
    const known = await this.uploading(() => this.#upload(file, options));
    return options.wait === false ? known : this.wait(known.id, options);
  }

  async #upload(file, options) {
    const { name = file.name, type = file.type, onProgress, signal } = options;
    const hash = await this.working(() => (signal?.throwIfAborted(), sha256(file)));
    const told = { content_type: type || "image/jpeg", filename: name || hash }; // the API looks at the bytes
    return this.#retried(async () => {
      const { id, ticket, known } = await this.announce({ sha256: hash, size_bytes: file.size, ...told });
      if (ticket) await this.working(() => put(ticket, file, options));
      else onProgress?.(file.size, file.size);
      return { id, status: "processing", ...known };
    }, signal);
  }

  async wait(id, { signal } = {}) {
    for (;;) {
      const image = await this.#retried(() => this.get(id), signal);
      if (["ready", "rejected"].includes(image.status)) return image;
      await sleep(this.pollMs - (performance.now() % this.pollMs), signal); // as one, for one call
    }
  }

  call(method, path, body) {
    return this.#retried(() => this.#call(method, path, body));
  }

  async #call(method, path, body, stale) {
    if (this.token && this.#bearer === stale) {
      this.#bearer = (async () => this.token())();
      this.#bearer.catch(() => (this.#bearer = undefined));
    }
    const bearer = this.#bearer;
    const given = await bearer;
    const headers = { "content-type": "application/json" };
    if (given) headers.authorization = `Bearer ${given.access_token ?? given}`;
    const answer = await reach(this.api + path, { method, headers, body: JSON.stringify(body) });
    return answer.status === 401 && bearer && !stale ? this.#call(method, path, body, bearer) : read(answer);
  }

  async #retried(attempt, signal) {
    for (let tries = 0; ; tries++) {
      signal?.throwIfAborted();
      try {
        return await attempt();
      } catch (error) {
        if (tries >= this.retries || !passes(error)) throw error;
        await sleep(1000 * (error.retry_after || 0.2 * 2 ** tries * (1 + Math.random())), signal);
      }
    }
  }
}

export const clientCredentials = ({ tokenUrl, clientId, clientSecret }) => async () => {
  const headers = { authorization: `Basic ${btoa(`${clientId}:${clientSecret}`)}` };
  const body = new URLSearchParams({ grant_type: "client_credentials" });
  return read(await reach(tokenUrl, { method: "POST", headers, body }));
};

export async function put({ upload: { url, headers } }, file, { onProgress, signal } = {}) {
  const send = globalThis.XMLHttpRequest ? sendByXhr : sendByFetch;
  const [status, text] = await send(url, headers, file, onProgress, signal);
  if (status >= 300 && status !== 412) // 412: the bytes are there
    throw new CatalogError(status, { code: /<Code>(\w+)</.exec(text)?.[1], message: "PUT" });
  onProgress?.(file.size, file.size);
}

// Only XMLHttpRequest tells a page how much was sent.  Browsers set content-length themselves.
function sendByXhr(url, headers, file, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", url);
    for (const name in headers) if (name !== "content-length") request.setRequestHeader(name, headers[name]);
    request.upload.onprogress = ({ loaded }) => onProgress?.(loaded, file.size);
    request.onload = () => resolve([request.status, request.responseText]);
    request.onerror = () => reject(unreachable(url));
    request.onabort = () => reject(signal.reason);
    signal?.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

async function sendByFetch(url, headers, file, onProgress, signal) {
  async function* pieces() {
    for (let at = 0; at < file.size; onProgress?.(Math.min(at, file.size), file.size))
      yield new Uint8Array(await file.slice(at, (at += 65536)).arrayBuffer());
  }
  const answer = await reach(url, { method: "PUT", headers, body: pieces(), duplex: "half", signal });
  return [answer.status, await answer.text()];
}

export function srcset({ renditions, original_width: width, original_height: height }) {
  const isWhole = (one) => Math.abs(one.width * height - one.height * width) <= Math.max(width, height);
  return renditions.filter(isWhole).map((one) => `${one.permanent_url ?? one.url} ${one.width}w`).join(", ");
}

export async function sha256(file) {
  const digest = await (globalThis.document ? digestInWorker : digestOf)(file); // Node has threads for it
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const digestOf = async (file) => crypto.subtle.digest("SHA-256", await file.arrayBuffer());

let script;
const digestInWorker = (file) =>
  new Promise((resolve) => {
    const source = `onmessage = ({ data }) => (${digestOf})(data).catch(() => 0).then(postMessage)`;
    const worker = new Worker((script ??= URL.createObjectURL(new Blob([source]))));
    const done = (digest) => (worker.terminate(), resolve(digest));
    worker.onmessage = ({ data }) => done(data || digestOf(file));
    worker.onerror = () => done(digestOf(file)); // a policy without `worker-src blob:`
    worker.postMessage(file);
  });

// What comes while it asks is asked together.
function batched(ask) {
  const waiting = [];
  let asking;
  const run = async () => {
    await sleep(0);
    while (waiting.length) {
      const batch = waiting.splice(0, BATCH);
      const asked = ask(batch.map(([item]) => item));
      const pick = (one) => (one instanceof Error ? Promise.reject(one) : one);
      batch.forEach(([, resolve], at) => resolve(asked.then((answers) => pick(answers[at]))));
      await asked.catch(() => {});
    }
    asking = false;
  };
  return (item) => new Promise((resolve) => (waiting.push([item, resolve]), (asking ||= run())));
}

function slots(free) {
  const queue = [];
  return async (run) => {
    await (free ? free-- : new Promise((resolve) => queue.push(resolve)));
    try {
      return await run();
    } finally {
      (queue.shift() ?? (() => free++))();
    }
  };
}

// S3 says AccessDenied where a ticket has expired.
const passes = ({ status, code }) => /^(0|429|50[0234])$/.test(status) || code === "AccessDenied";

const sleep = (ms, signal) =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
    signal?.addEventListener("abort", resolve, { once: true });
  });

async function reach(url, request) {
  try {
    return await fetch(url, { signal: AbortSignal.timeout(60000), ...request });
  } catch {
    request.signal?.throwIfAborted();
    throw unreachable(url);
  }
}

const unreachable = (url) => new CatalogError(0, { code: "unreachable", message: url.split("?")[0] });

async function read(answer) {
  const document = await answer.json().catch(() => ({}));
  if (answer.ok) return document;
  throw new CatalogError(answer.status, { retry_after: +answer.headers.get("retry-after"), ...document.error });
}
