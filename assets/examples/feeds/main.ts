// Feeds: a reader for RSS, Atom and JSON feeds. It may talk only to the hosts that the user allowed; for
// any other it says so and where to change it.
//
// The server fetches and keeps feeds (server/reader.ts over server/library.ts and server/fetch.ts) and
// answers a small JSON interface (server/api.ts). What strangers wrote is parsed and cleaned by the pure
// modules in text/: an article reaches the page as a tree of known elements, never as HTML.
import { api } from "./server/api.ts";
import { Library } from "./server/library.ts";
import { servePublic } from "./server/public.ts";
import "./server/paddock.ts";
import { Reader } from "./server/reader.ts";

const publicDir = new URL("./public/", import.meta.url);
const library = new Library(globalThis.paddock?.dataDir ?? Deno.cwd());
const reader = new Reader(library);
// Reading starts now and the first request waits for it, so that a slow disk does not delay the start.
const loaded = library.load();
loaded.catch(() => {}); // whoever waits for it gets the error

async function handle(request: Request): Promise<Response> {
  const url = new URL(request.url);
  if (!url.pathname.startsWith("/api/")) return await servePublic(request, url, publicDir);
  await loaded;
  return await api(request, url, reader, library);
}

export default { fetch: handle };
