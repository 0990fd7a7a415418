// Notes: Markdown notes, one file each in the app's own data folder. It asks for no permission at all.
//
// The server keeps every note in memory and on disk (server/store.ts), answers a small JSON interface
// (server/api.ts) and tells open pages what changed (server/events.ts). The page is public/, its code
// browser/. What both sides share and tests cover is pure and lives in text/.
import { api } from "./server/api.ts";
import { Events } from "./server/events.ts";
import { servePublic } from "./server/public.ts";
import { Store } from "./server/store.ts";

/** What Paddock gives a running app. It is absent when the module runs elsewhere, as in tests. */
declare global {
  var paddock: { readonly dataDir: string } | undefined;
}

const dataDir = globalThis.paddock?.dataDir ?? Deno.cwd();
const publicDir = new URL("./public/", import.meta.url);

const events = new Events();
const store = new Store(dataDir, (change) => events.send(change));
// Reading starts now and the first request waits for it, so that a slow disk does not delay the start.
const loaded = store.load();
loaded.catch(() => {}); // whoever waits for it gets the error

async function handle(request: Request): Promise<Response> {
  const url = new URL(request.url);
  if (!url.pathname.startsWith("/api/")) return await servePublic(request, url, publicDir);
  await loaded;
  return await api(request, url, store, events);
}

export default { fetch: handle };
