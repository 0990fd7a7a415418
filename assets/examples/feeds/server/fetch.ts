import type { Standing } from "./paddock.ts";

/** Why a feed could not be fetched, in words; `permission` is there when the user can change it in Paddock. */
export interface Trouble {
  text: string;
  host: string;
  permission: string;
}

/** A refusal or failure on the way to a feed. */
export class FetchError extends Error {
  constructor(readonly trouble: Trouble) {
    super(trouble.text);
  }
}

/** What a server answered. `body` is absent when nothing has changed since last time. */
export interface Fetched {
  url: string; // after permanent redirects
  body?: Uint8Array;
  contentType: string;
  etag: string;
  lastModified: string;
}

const TIMEOUT_MS = 20_000;
const MAX_BYTES = 8 << 20;
const MAX_REDIRECTS = 5;

/** The permission that Paddock asks the user for before this app may talk to an address. */
export function permissionFor(url: URL): string {
  // URL leaves the port out when it is the scheme's own; a permission leaves out 443 only.
  const port = url.port || (url.protocol === "http:" ? "80" : "");
  return `net:${url.hostname}${port === "" ? "" : ":" + port}`;
}

function notAllowed(url: URL): FetchError {
  const host = url.host;
  return new FetchError({
    text: `You have not allowed Feeds to talk to ${host}. Change it in Paddock › Feeds › Permissions.`,
    host,
    permission: permissionFor(url),
  });
}

function trouble(url: URL, text: string): FetchError {
  return new FetchError({ text, host: url.host, permission: "" });
}

/** How a permission stands, or "" when nobody knows. */
export async function standing(permission: string): Promise<Standing | ""> {
  try {
    return await globalThis.paddock?.permissions.query(permission) ?? "";
  } catch {
    return ""; // Paddock does not answer, or the manifest does not mention the host: trying tells
  }
}

/** Fetches a feed, following redirects itself so that a refusal names the host that was refused. */
export async function fetchFeed(address: string, etag: string, lastModified: string): Promise<Fetched> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  let url = new URL(address);
  let moved = true; // every redirect so far was a permanent one
  let lasting = url;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const state = await standing(permissionFor(url));
    if (state === "denied" || state === "prompt") throw notAllowed(url);
    const headers = new Headers({
      accept: "application/atom+xml, application/rss+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5",
      "user-agent": "Feeds (feed reader)",
    });
    if (etag !== "") headers.set("if-none-match", etag);
    if (lastModified !== "") headers.set("if-modified-since", lastModified);
    let response: Response;
    try {
      response = await fetch(url, { headers, redirect: "manual", signal });
    } catch (error) {
      throw explain(url, error);
    }
    const location = response.headers.get("location");
    if (response.status >= 300 && response.status < 400 && response.status !== 304 && location !== null) {
      await response.body?.cancel();
      moved &&= response.status === 301 || response.status === 308;
      const target = URL.canParse(location, url) ? new URL(location, url) : url;
      if (target.protocol !== "http:" && target.protocol !== "https:") throw trouble(url, `${url.host} leads to something that is not a web address.`);
      url = target;
      if (moved) lasting = url;
      continue;
    }
    return await read(response, url, lasting);
  }
  throw trouble(url, `${url.host} leads from one address to another without end.`);
}

async function read(response: Response, url: URL, lasting: URL): Promise<Fetched> {
  const fetched: Fetched = {
    url: lasting.href,
    contentType: response.headers.get("content-type") ?? "",
    etag: (response.headers.get("etag") ?? "").slice(0, 500),
    lastModified: (response.headers.get("last-modified") ?? "").slice(0, 100),
  };
  if (response.status === 304) return fetched;
  let body: Uint8Array;
  try {
    body = await bounded(response, url);
  } catch (error) {
    throw error instanceof FetchError ? error : explain(url, error);
  }
  // The way out of this app is Paddock's own proxy; when it refuses, it says why.
  const refused = response.headers.get("paddock-refused");
  if (refused !== null) {
    if (refused === "not_granted" || refused === "denied" || refused === "revoked") throw notAllowed(url);
    throw trouble(url, new TextDecoder().decode(body.subarray(0, 500)).trim() || `${url.host} could not be reached.`);
  }
  if (response.status === 404 || response.status === 410) throw trouble(url, `${url.host} has no feed at this address any more.`);
  if (response.status === 429) throw trouble(url, `${url.host} asks for a pause. Try again later.`);
  if (!response.ok) throw trouble(url, `${url.host} answered with an error (${response.status}).`);
  return { ...fetched, body };
}

async function bounded(response: Response, url: URL): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > MAX_BYTES) throw trouble(url, `The feed of ${url.host} is larger than ${MAX_BYTES >> 20} MB.`);
    chunks.push(chunk);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}

function explain(url: URL, error: unknown): FetchError {
  if (error instanceof Deno.errors.NotCapable || error instanceof Deno.errors.PermissionDenied) return notAllowed(url);
  if (error instanceof DOMException && error.name === "TimeoutError") return trouble(url, `${url.host} did not answer in time.`);
  const why = error instanceof Error ? error.message : String(error);
  return trouble(url, `${url.host} could not be reached. (${why.slice(0, 200)})`);
}
