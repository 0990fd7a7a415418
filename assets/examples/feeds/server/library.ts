import type { Article } from "../text/feed.ts";
import { type Piece, plainText } from "../text/sanitize.ts";
import type { Trouble } from "./fetch.ts";
import { sweep, writeWhole } from "./files.ts";

/** A feed the user follows. */
export interface Subscription {
  id: string;
  url: string;
  title: string;
  site: string;
  checked: string; // ISO 8601, "" before the first time
  etag: string;
  lastModified: string;
  trouble: Trouble | null;
}

/** An article as it is kept. */
export interface Item {
  id: string;
  key: string;
  title: string;
  url: string;
  author: string;
  published: string; // never "": the day it was first seen when the feed does not say
  excerpt: string;
  content: Piece[];
  read: boolean;
  starred: boolean;
}

/** A refusal with the HTTP status that says it best. */
export class Refused extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

const MAX_FEEDS = 200;
const MAX_ITEMS = 400; // kept for each feed, starred ones not counted

/** What a new user finds: the feeds of the hosts that the manifest asks for. */
const FIRST = [
  { url: "https://blog.rust-lang.org/feed.xml", title: "Rust Blog" },
  { url: "https://go.dev/blog/feed.atom", title: "The Go Blog" },
  { url: "https://xkcd.com/atom.xml", title: "xkcd" },
];

/** Feeds and articles: in memory for use, one file for the list and one for each feed for keeps. */
export class Library {
  feeds = new Map<string, Subscription>();
  #items = new Map<string, Map<string, Item>>(); // by feed, newest first
  #dir: string;
  #writes: Promise<void> = Promise.resolve();

  constructor(dataDir: string) {
    this.#dir = `${dataDir}/feeds`;
  }

  async load(): Promise<void> {
    await Deno.mkdir(this.#dir, { recursive: true });
    await sweep(this.#dir);
    const feeds = await this.#read<Subscription[]>("feeds.json");
    if (feeds === null) {
      for (const { url, title } of FIRST) await this.add(url, title);
      return;
    }
    for (const feed of feeds) {
      this.feeds.set(feed.id, feed);
      const items = await this.#read<Item[]>(`items-${feed.id}.json`) ?? [];
      this.#items.set(feed.id, new Map(items.map((item) => [item.id, item])));
    }
  }

  /** A file's content, or null when there is none. A damaged one is put aside, never overwritten. */
  async #read<T>(name: string): Promise<T | null> {
    try {
      return JSON.parse(await Deno.readTextFile(`${this.#dir}/${name}`)) as T;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return null;
      if (!(error instanceof SyntaxError)) throw error;
      await Deno.rename(`${this.#dir}/${name}`, `${this.#dir}/${name}.damaged-${Date.now()}`);
      console.error(`${name} is damaged and was put aside: ${error.message}`);
      return null;
    }
  }

  feed(id: string): Subscription {
    const feed = this.feeds.get(id);
    if (feed === undefined) throw new Refused(404, "This feed is no longer in the list.");
    return feed;
  }

  items(feed: string): Item[] {
    return [...this.#items.get(feed)?.values() ?? []];
  }

  item(feed: string, id: string): Item {
    const item = this.#items.get(feed)?.get(id);
    if (item === undefined) throw new Refused(404, "This article is no longer here.");
    return item;
  }

  async add(address: string, title = ""): Promise<Subscription> {
    const url = normalize(address);
    for (const feed of this.feeds.values()) if (feed.url === url) return feed;
    if (this.feeds.size >= MAX_FEEDS) throw new Refused(507, `There are ${MAX_FEEDS} feeds; remove some to make room.`);
    const feed: Subscription = { id: await short(url), url, title, site: "", checked: "", etag: "", lastModified: "", trouble: null };
    this.feeds.set(feed.id, feed);
    this.#items.set(feed.id, new Map());
    await this.saveFeeds();
    return feed;
  }

  async remove(id: string): Promise<void> {
    this.feed(id);
    this.feeds.delete(id);
    this.#items.delete(id);
    await this.saveFeeds();
    await Deno.remove(`${this.#dir}/items-${id}.json`).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }

  /** Takes what a feed says now. Articles keep whether they were read; starred ones stay for ever. */
  async merge(feed: string, articles: Article[]): Promise<void> {
    const before = this.#items.get(feed) ?? new Map<string, Item>();
    const now = new Date().toISOString();
    const fresh = new Map<string, Item>();
    for (const article of articles) {
      const id = await short(article.key);
      const known = before.get(id);
      const future = article.published > now; // a date to come would stay on top for ever
      fresh.set(id, {
        id,
        ...article,
        published: known?.published ?? (article.published === "" || future ? now : article.published),
        excerpt: plainText(article.content, 200),
        read: known?.read ?? false,
        starred: known?.starred ?? false,
      });
    }
    for (const [id, item] of before) if (!fresh.has(id)) fresh.set(id, item);
    let kept = 0;
    const sorted = [...fresh.values()].sort((a, b) => a.published < b.published ? 1 : -1).filter((item) => item.starred || ++kept <= MAX_ITEMS);
    if (!this.feeds.has(feed)) return; // removed while it was fetched
    this.#items.set(feed, new Map(sorted.map((item) => [item.id, item])));
    await this.saveItems(feed);
  }

  saveFeeds(): Promise<void> {
    return this.#write("feeds.json", () => [...this.feeds.values()]);
  }

  saveItems(feed: string): Promise<void> {
    return this.#write(`items-${feed}.json`, () => this.items(feed));
  }

  /** Writes one file after another, each with what is true when its turn comes. */
  #write(name: string, content: () => unknown): Promise<void> {
    const turn = this.#writes.catch(() => {}).then(() => writeWhole(this.#dir, name, JSON.stringify(content())));
    this.#writes = turn;
    return turn;
  }
}

/** Makes what a person typed an address: "example.org/feed" and "feed://…" are understood. */
export function normalize(address: string): string {
  let text = address.trim().replace(/^feed:(\/\/)?(?=https?:)/i, "").replace(/^feed:\/\//i, "https://");
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) text = `https://${text}`;
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new Refused(400, "This is not a web address. It should look like https://example.org/feed.xml.");
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") throw new Refused(400, "Only http and https addresses can be feeds.");
  if (url.username !== "" || url.password !== "") throw new Refused(400, "An address with a user name or password is not kept.");
  url.hash = "";
  if (url.href.length > 2000) throw new Refused(400, "This address is too long.");
  return url.href;
}

/** A short name for a long text. */
async function short(text: string): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return [...hash.subarray(0, 8)].map((b) => b.toString(16).padStart(2, "0")).join("");
}
