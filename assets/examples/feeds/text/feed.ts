import { type Element, elements, markupIn, parseXML, textIn, XMLError } from "./xml.ts";
import { type Piece, plainText, safeURL, sanitize } from "./sanitize.ts";

export interface Article {
  key: string; // what the feed says identifies it, or its link, or its title
  title: string;
  url: string;
  author: string;
  published: string; // ISO 8601, or "" when the feed does not say
  content: Piece[];
}

export interface Feed {
  title: string;
  site: string;
  articles: Article[];
}

/** Says why something is not a feed, and which feeds the page names if it is a page. */
export class NotAFeed extends Error {
  constructor(message: string, readonly found: string[] = []) {
    super(message);
  }
}

const MAX_ARTICLES = 300;
const ATOM = ["http://www.w3.org/2005/Atom", "http://purl.org/atom/ns#"];
const CONTENT = ["http://purl.org/rss/1.0/modules/content/", "content"];
const DC = ["http://purl.org/dc/elements/1.1/", "dc"];

/** Turns bytes into text by what they, the server or the document itself say of their encoding. */
export function decodeFeed(bytes: Uint8Array, contentType: string): string {
  const label = bytes[0] === 0xfe && bytes[1] === 0xff ? "utf-16be"
    : bytes[0] === 0xff && bytes[1] === 0xfe ? "utf-16le"
    : bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? "utf-8"
    : /charset\s*=\s*"?([\w-]+)/i.exec(contentType)?.[1] ??
      /^\s*<\?xml[^>]*encoding\s*=\s*["']([\w-]+)/.exec(new TextDecoder("latin1").decode(bytes.subarray(0, 200)))?.[1] ?? "utf-8";
  try {
    return new TextDecoder(label).decode(bytes);
  } catch {
    return new TextDecoder().decode(bytes); // an encoding nobody knows
  }
}

/** Reads RSS 0.9x/1.0/2.0, Atom or JSON Feed. base is the address it came from. */
export function parseFeed(text: string, base: string): Feed {
  const start = text.slice(0, 2000).trimStart();
  if (start.startsWith("{")) return parseJSONFeed(text, base);
  if (/^(<!--[^]*?-->\s*)*<(!doctype html|html)\b/i.test(start)) {
    const found = discover(text, base);
    throw new NotAFeed(found.length > 0 ? "This is a web page, not a feed, but it names one." : "This is a web page, not a feed.", found);
  }
  if (!start.startsWith("<")) throw new NotAFeed("This is not a feed.");
  let root: Element;
  try {
    root = parseXML(text);
  } catch (error) {
    if (error instanceof XMLError) throw new NotAFeed(`This feed cannot be read: ${error.message}.`);
    throw error;
  }
  switch (root.name.toLowerCase()) {
    case "rss":
    case "rdf":
      return parseRSS(root, base);
    case "feed":
      return parseAtom(root, base);
  }
  throw new NotAFeed(`This is not a feed: it starts with <${root.name.slice(0, 40)}>.`);
}

function parseRSS(root: Element, base: string): Feed {
  const channel = elements(root, "channel")[0];
  if (channel === undefined) throw new NotAFeed("This feed has no channel.");
  const site = safeURL(textIn(plain(channel, "link")).trim() || base, base);
  // RSS 1.0 puts the items beside the channel.
  const items = [...elements(channel, "item"), ...elements(root, "item")].slice(0, MAX_ARTICLES);
  return {
    title: words(textIn(plain(channel, "title"))),
    site,
    articles: items.flatMap((item) => {
      const guid = plain(item, "guid");
      const permalink = guid !== undefined && guid.attributes.get("isPermaLink") !== "false" ? textIn(guid).trim() : "";
      const url = safeURL(textIn(plain(item, "link")).trim() || (permalink.startsWith("http") ? permalink : ""), base);
      const body = textIn(elements(item, "encoded", ...CONTENT)[0]) || textIn(plain(item, "description"));
      return article({
        key: textIn(guid).trim(),
        title: textIn(plain(item, "title")),
        url,
        author: textIn(elements(item, "creator", ...DC)[0]) || textIn(plain(item, "author")),
        published: textIn(plain(item, "pubDate")) || textIn(elements(item, "date", ...DC)[0]),
        content: sanitize(body, url || site),
      });
    }),
  };
}

/** The first child of RSS itself: atom:link and media:title mean something else. */
function plain(parent: Element, name: string): Element | undefined {
  return elements(parent, name).find((child) => ["", "http://purl.org/rss/1.0/", "http://backend.userland.com/rss2", "http://my.netscape.com/rdf/simple/0.9/"].includes(child.space));
}

function parseAtom(root: Element, base: string): Feed {
  const first = (parent: Element, name: string) => elements(parent, name, ...ATOM, "")[0];
  base = safeURL(root.attributes.get("xml:base"), base) || base;
  const site = atomLink(root, base) || base;
  return {
    title: words(atomText(first(root, "title"))),
    site,
    articles: elements(root, "entry", ...ATOM, "").slice(0, MAX_ARTICLES).flatMap((entry) => {
      const url = atomLink(entry, base);
      const content = first(entry, "content") ?? first(entry, "summary");
      const author = first(entry, "author");
      return article({
        key: textIn(first(entry, "id")).trim(),
        title: atomText(first(entry, "title")),
        url,
        author: author === undefined ? "" : textIn(first(author, "name")),
        published: textIn(first(entry, "published")) || textIn(first(entry, "updated")) || textIn(first(entry, "issued")),
        content: content === undefined ? [] : sanitize(atomText(content), content.attributes.get("xml:base") ? safeURL(content.attributes.get("xml:base"), base) : url || site),
      });
    }),
  };
}

function atomLink(parent: Element, base: string): string {
  const links = elements(parent, "link", ...ATOM, "");
  const link = links.find((l) => (l.attributes.get("rel") ?? "alternate") === "alternate") ?? links.find((l) => l.attributes.get("rel") !== "self");
  return link === undefined ? "" : safeURL(link.attributes.get("href"), base);
}

/** Text of an Atom construct as HTML: type text is escaped, html is unpacked, xhtml is markup already. */
function atomText(element: Element | undefined): string {
  if (element === undefined) return "";
  const type = element.attributes.get("type") ?? "text";
  if (type === "xhtml") return markupIn(element);
  if (type === "html" || type === "text/html") return textIn(element);
  return textIn(element).replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

function parseJSONFeed(text: string, base: string): Feed {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    throw new NotAFeed("This is not a feed: it is not JSON either.");
  }
  const feed = record(raw);
  if (!string(feed["version"]).includes("jsonfeed.org/version/") || !Array.isArray(feed["items"])) {
    throw new NotAFeed("This JSON is not a feed.");
  }
  const site = safeURL(string(feed["home_page_url"]) || base, base);
  return {
    title: oneLine(string(feed["title"])),
    site,
    articles: feed["items"].slice(0, MAX_ARTICLES).flatMap((value: unknown) => {
      const item = record(value);
      const url = safeURL(string(item["url"]) || undefined, base) || safeURL(string(item["external_url"]) || undefined, base);
      const authors = Array.isArray(item["authors"]) ? item["authors"] : [item["author"]];
      const html = string(item["content_html"]);
      const escaped = (string(item["content_text"]) || string(item["summary"])).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(/\n{2,}/g, "<p>");
      return article({
        key: typeof item["id"] === "number" ? String(item["id"]) : string(item["id"]),
        title: string(item["title"]).replaceAll("&", "&amp;").replaceAll("<", "&lt;"),
        url,
        author: string(record(authors[0])["name"]),
        published: string(item["date_published"]) || string(item["date_modified"]),
        content: sanitize(html || escaped, url || site),
      });
    }),
  };
}

const record = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? value as Record<string, unknown> : {};
const string = (value: unknown): string => typeof value === "string" ? value : "";

/** Tidies what every format gives; an article without anything to show or tell it by is none. */
function article(a: Article): Article[] {
  const title = words(a.title);
  const key = a.key || a.url || title;
  if (key === "") return [];
  const time = Date.parse(a.published.trim());
  return [{
    key: key.slice(0, 2000),
    title: title || plainText(a.content, 80) || a.url,
    url: a.url,
    author: oneLine(a.author).slice(0, 100),
    published: Number.isNaN(time) ? "" : new Date(time).toISOString(),
    content: a.content,
  }];
}

/** A title may hold markup, which is dropped, or look as if it did. */
const words = (html: string) => plainText(sanitize(html, ""), 200);
const oneLine = (text: string) => text.replaceAll(/\s+/g, " ").trim();

/** The feeds that a web page names. */
export function discover(html: string, base: string): string[] {
  const found = new Set<string>();
  for (const match of html.slice(0, 500_000).matchAll(/<link\b([^>]{1,2000})>/gi)) {
    const attribute = (name: string) => new RegExp(`(?:^|\\s)${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)'|([^\\s"'>]+))`, "i").exec(match[1]!)?.slice(1).find((v) => v !== undefined) ?? "";
    if (!/(^|\s)alternate(\s|$)/i.test(attribute("rel")) || !/^application\/((rss|atom)\+xml|feed\+json)/i.test(attribute("type"))) continue;
    const url = safeURL(attribute("href").replaceAll("&amp;", "&"), base);
    if (url.startsWith("http") && found.size < 5) found.add(url);
  }
  return [...found];
}
