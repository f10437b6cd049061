/**
 * Send photos to a catalog image pipeline, from a page or from Node 20 and newer.
 *
 *     const catalog = new Catalog({ api: "https://…/v1", token: () => fetch("/token").then((r) => r.json()) });
 *     const image = await catalog.upload(file, { onProgress: (sent, total) => … });
 *     img.srcset = srcset(image);
 *
 * Start as many uploads as there are files: the client announces up to 100 in one call, reads up to 100 in one
 * call, and sends six at a time.  Whoever has a token may do all that its scopes allow, so give a page one only
 * where whoever sees the page may; elsewhere leave `token` out, and let `api` be your own server, which adds it.
 */

export interface Options {
  /** Where the API is, with its stage and without a slash at the end: the stack's output `ApiUrl`. */
  api: string;
  /** Called for the first call and after a 401.  Without it, calls carry the cookies of your own server. */
  token?: () => Token | Promise<Token>;
  /** How often a call is repeated after a lost connection, a 429, 500, 502, 503 or 504.  Default 4. */
  retries?: number;
  /** How many files are read or sent at once; each is in memory while it is hashed.  Default 6. */
  parallel?: number;
  /** Milliseconds between two looks at images that are not finished.  Default 1,000. */
  pollMs?: number;
}

/** An access token, alone or as a token endpoint answers it. */
export type Token = string | { access_token: string };

export interface UploadOptions {
  /** For people; 1 to 255 characters.  Default: the file's name, else its hash. */
  name?: string;
  /** The content type to declare; the pipeline looks at the bytes.  Default: the file's, else image/jpeg. */
  type?: string;
  /** Bytes sent so far, of all.  The last call has both alike, also where nothing had to be sent. */
  onProgress?: (sent: number, total: number) => void;
  /** Gives up; the promise is rejected with its reason.  `AbortSignal.timeout(60_000)` is a time limit. */
  signal?: AbortSignal;
}

/** What is known of an image right after its bytes were accepted. */
export interface Accepted {
  id: string;
  status: Status;
}

export type Status = "awaiting_upload" | "processing" | "ready" | "rejected" | "deleting";

export interface Rendition {
  id: string;
  preset: string;
  /** Where it is now; without a CDN for an hour at most. */
  url: string;
  /** The URL to store; null without a CDN. */
  permanent_url: string | null;
  size_bytes: number;
  width: number;
  height: number;
  quality: number | null;
}

/** An image of the API; its other fields are in the API's OpenAPI document. */
export interface Image {
  id: string;
  status: Status;
  original_filename: string | null;
  original_width: number | null;
  original_height: number | null;
  renditions: Rendition[];
  rejection: { code: string; detail: string } | null;
  near_duplicate_of: string | null;
  /** Finds the image in the pipeline's logs and events. */
  correlation_id: string | null;
  [field: string]: unknown;
}

/** Announces bytes by their hash; `sha256` is their id. */
export interface Announcement {
  sha256: string;
  size_bytes: number;
  content_type: string;
  filename: string;
}

/** A presigned PUT of exactly the announced bytes. */
export interface Ticket {
  id: string;
  correlation_id: string | null;
  upload: { method: "PUT"; url: string; headers: Record<string, string>; expires_at: string };
}

/** What the catalog has already, or how to send it. */
export interface Announced {
  id: string;
  ticket: Ticket | null;
  known: { status: Status; rejection: Image["rejection"]; correlation_id: string | null; references: string[] } | null;
}

export class Catalog {
  constructor(options: Options);

  /**
   * Hash, announce, send the bytes if the catalog has not these, and wait until the image is ready or rejected.
   * A rejection is an answer, not an error: look at `status` and `rejection`.
   */
  upload(file: Blob, options?: UploadOptions & { wait?: true }): Promise<Image>;
  /** The same without waiting. */
  upload(file: Blob, options: UploadOptions & { wait: false }): Promise<Accepted>;

  /** The image, once it is ready or rejected.  Without a `signal` it waits as long as that takes. */
  wait(id: string, options?: { signal?: AbortSignal }): Promise<Image>;

  /** The image as it is now.  Calls of the same moment are one request. */
  get(id: string): Promise<Image>;

  /** Announce one file; `put` sends it if there is a ticket.  Calls of the same moment are one request. */
  announce(image: Announcement): Promise<Announced>;

  /** Any other call: `catalog.call("PUT", "/images/…/references/sku-4711")`.  The answer's JSON. */
  call(method: string, path: string, body?: unknown): Promise<any>;
}

/** A call failed.  Branch on `code`: the API's, S3's, `http_<status>`, or `unreachable` with status 0. */
export class CatalogError extends Error {
  constructor(status: number, error: { code?: string; message?: string });
  status: number;
  code: string;
  request_id?: string;
  /** Seconds to wait, where the API said so. */
  retry_after?: number;
  faults?: { field: string; message: string }[];
}

/** A `token` of an OAuth client.  It needs the client's secret: on a server, never in a page. */
export function clientCredentials(client: {
  tokenUrl: string;
  clientId: string;
  clientSecret: string;
}): () => Promise<Token>;

/** Send bytes with a ticket, which your own server may have got.  Bytes that are there already are a success. */
export function put(ticket: Ticket, file: Blob, options?: Pick<UploadOptions, "onProgress" | "signal">): Promise<void>;

/**
 * An <img>'s `srcset`: the renditions that show the whole picture, by permanent URLs where there are any.  Presets
 * of several formats make a <picture>: that of `catalog.call("GET", "/images/…")`.
 */
export function srcset(image: Image): string;

/**
 * SHA-256 in hex, computed in a worker of a page, or in Node's pool of threads.  A page must be of https or
 * localhost; where its Content-Security-Policy lacks `worker-src blob:`, the page itself computes it.
 */
export function sha256(file: Blob): Promise<string>;
