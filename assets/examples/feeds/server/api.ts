import { pictures } from "../text/sanitize.ts";
import { explain } from "./files.ts";
import { type Item, type Library, Refused, type Subscription } from "./library.ts";
import type { Reader } from "./reader.ts";

const MAX_BODY = 64 << 10;
const MAX_LISTED = 500;

/** What the page shows of a feed. */
export type FeedView = Pick<Subscription, "id" | "url" | "title" | "site" | "checked" | "trouble"> & { unread: number; total: number };
/** What a list shows of an article. */
export type ItemView = Omit<Item, "content" | "key"> & { feed: string };
/** An article in full; `blocked` are hosts whose pictures are not shown, `links` whether links may be opened. */
export type ArticleView = ItemView & { content: Item["content"]; shown: string[]; blocked: string[]; links: boolean };

/** Answers the page. Every answer is JSON but the export. */
export async function api(request: Request, url: URL, reader: Reader, library: Library): Promise<Response> {
  try {
    return await route(request, url, reader, library);
  } catch (error) {
    if (error instanceof Refused) return json({ error: error.message }, error.status);
    console.error(error);
    return json({ error: explain(error) }, 507);
  }
}

async function route(request: Request, url: URL, reader: Reader, library: Library): Promise<Response> {
  const [, , what, first, second] = url.pathname.split("/");
  const path = [what, ...(first === undefined ? [] : ["a"]), ...(second === undefined ? [] : [what === "items" ? "b" : second])].join("/");
  switch (`${request.method} ${path}`) {
    case "GET feeds":
      return json([...library.feeds.values()].map((feed) => view(library, feed)));
    case "POST feeds": {
      const sent = await body(request);
      const feed = await library.add(typeof sent["url"] === "string" ? sent["url"] : "");
      return json(view(library, await reader.refresh(feed.id)), 201);
    }
    case "DELETE feeds/a":
      await library.remove(first!);
      return json({});
    case "POST feeds/a/refresh":
      return json(view(library, await reader.refresh(first!)));
    case "POST feeds/a/ask":
      return json(view(library, await reader.ask(first!)));
    case "GET items":
      return json(list(library, url.searchParams));
    case "GET items/a/b":
      return json(await full(library, reader, first!, second!));
    case "POST items/a/b":
      return json(await mark(library, first!, second!, await body(request)));
    case "POST read":
      return json(await markAll(library, await body(request)));
    case "GET export":
      return opml(library);
  }
  throw new Refused(404, "There is no such thing here.");
}

function view(library: Library, feed: Subscription): FeedView {
  const items = library.items(feed.id);
  const { id, url, title, site, checked, trouble } = feed;
  return { id, url, title: title || new URL(url).host, site, checked, trouble, unread: items.filter((item) => !item.read).length, total: items.length };
}

function summary(feed: string, item: Item): ItemView {
  const { content: _content, key: _key, ...rest } = item;
  return { feed, ...rest };
}

function list(library: Library, query: URLSearchParams): ItemView[] {
  const feed = query.get("feed") ?? "";
  const which = query.get("view") ?? "all";
  const out: ItemView[] = [];
  for (const id of feed === "" ? library.feeds.keys() : [library.feed(feed).id]) {
    for (const item of library.items(id)) {
      if (which === "unread" && item.read || which === "starred" && !item.starred) continue;
      out.push(summary(id, item));
    }
  }
  return out.sort((a, b) => a.published < b.published ? 1 : -1).slice(0, MAX_LISTED);
}

async function full(library: Library, reader: Reader, feed: string, id: string): Promise<ArticleView> {
  const item = library.item(feed, id);
  const shown = new Set<string>();
  const blocked = new Set<string>();
  const hosts = new Map<string, string>();
  pictures(item.content, (picture) => hosts.size < 50 && hosts.set(new URL(picture.url).host, picture.url));
  for (const [host, address] of hosts) (await reader.mayShow(address) ? shown : blocked).add(host);
  return { ...summary(feed, item), content: item.content, shown: [...shown], blocked: [...blocked], links: await reader.mayOpenLinks() };
}

async function mark(library: Library, feed: string, id: string, sent: Record<string, unknown>): Promise<ItemView> {
  const item = library.item(feed, id);
  if (typeof sent["read"] === "boolean") item.read = sent["read"];
  if (typeof sent["starred"] === "boolean") item.starred = sent["starred"];
  await library.saveItems(feed);
  return summary(feed, item);
}

/** Marks everything of one feed, or of all, as read that the page has seen. */
async function markAll(library: Library, sent: Record<string, unknown>): Promise<object> {
  const feed = typeof sent["feed"] === "string" ? sent["feed"] : "";
  for (const id of feed === "" ? [...library.feeds.keys()] : [library.feed(feed).id]) {
    let changed = false;
    for (const item of library.items(id)) {
      changed ||= !item.read;
      item.read = true;
    }
    if (changed) await library.saveItems(id);
  }
  return {};
}

function json(value: unknown, status = 200): Response {
  return new Response(JSON.stringify(value), { status, headers: { "content-type": "application/json", "cache-control": "no-store" } });
}

async function body(request: Request): Promise<Record<string, unknown>> {
  // JSON needs a preflight from another site, which nobody here answers.
  if (!(request.headers.get("content-type") ?? "").startsWith("application/json")) throw new Refused(415, "Send JSON.");
  let raw = "";
  const decoder = new TextDecoder();
  for await (const chunk of request.body ?? []) {
    raw += decoder.decode(chunk, { stream: true });
    if (raw.length > MAX_BODY) throw new Refused(413, "This is too much at once.");
  }
  try {
    const value: unknown = JSON.parse(raw + decoder.decode());
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // said below
  }
  throw new Refused(400, "The request is not a JSON object.");
}

/** The list of feeds as OPML, which other readers understand. */
function opml(library: Library): Response {
  const escape = (text: string) => text.replaceAll(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
  const lines = [...library.feeds.values()].map((feed) =>
    `    <outline type="rss" text="${escape(feed.title || feed.url)}" xmlUrl="${escape(feed.url)}" htmlUrl="${escape(feed.site)}"/>`
  );
  const text = `<?xml version="1.0" encoding="UTF-8"?>\n<opml version="2.0">\n  <head><title>Feeds</title></head>\n  <body>\n${lines.join("\n")}\n  </body>\n</opml>\n`;
  return new Response(text, {
    headers: { "content-type": "text/x-opml; charset=utf-8", "content-disposition": 'attachment; filename="feeds.opml"', "cache-control": "no-store" },
  });
}
