import { decodeEntities } from "./entities.ts";

// Turns strangers' HTML into a tree of a few known elements with http, https and mailto links and
// nothing else: no attributes, no styles, no scripts. The page builds elements from the tree, so there is
// no HTML left that could mean something else to a browser than it does here.

export type Tag =
  | "p" | "br" | "h3" | "h4" | "ul" | "ol" | "li" | "blockquote" | "pre" | "code" | "em" | "strong" | "del" | "sub" | "sup"
  | "hr" | "table" | "tr" | "td" | "th" | "a" | "img";

/** A piece of an article: text, or an element. `url` is there for a and img, `text` (its description) for img. */
export type Piece = string | { tag: Tag; url?: string; text?: string; children: Piece[] };

const KEEP: Record<string, Tag> = {
  p: "p", br: "br", h1: "h3", h2: "h3", h3: "h3", h4: "h4", h5: "h4", h6: "h4", ul: "ul", ol: "ol", li: "li", blockquote: "blockquote",
  pre: "pre", code: "code", kbd: "code", samp: "code", tt: "code", em: "em", i: "em", cite: "em", strong: "strong", b: "strong",
  del: "del", s: "del", strike: "del", sub: "sub", sup: "sup", hr: "hr", table: "table", tr: "tr", td: "td", th: "th", a: "a", img: "img",
  // Containers become paragraphs, so that their texts do not run together.
  div: "p", section: "p", article: "p", header: "p", footer: "p", figure: "p", figcaption: "p", main: "p", dd: "p", dt: "p", dl: "p", details: "p", summary: "p",
};
/** Dropped with everything inside. */
const DROP = new Set([
  "script", "style", "iframe", "object", "embed", "applet", "template", "noscript", "noembed", "noframes", "svg", "math", "title", "head",
  "select", "option", "textarea", "button", "audio", "video", "canvas", "map", "xmp", "plaintext", "frameset", "form", "input", "dialog",
]);
/** Their content is not markup for a browser: it ends only at their own end tag. */
const RAW = new Set(["script", "style", "iframe", "noembed", "noframes", "xmp", "textarea", "title", "noscript", "plaintext"]);
const VOID = new Set(["br", "hr", "img", "input", "embed", "meta", "link", "area", "base", "col", "param", "source", "track", "wbr"]);
const BLOCK = new Set<Tag>(["p", "h3", "h4", "ul", "ol", "li", "blockquote", "pre", "hr", "table", "tr", "td", "th"]);

const MAX_DEPTH = 40;
const MAX_PIECES = 20_000;
const MAX_TEXT = 400_000;

/** A link that may be followed, made absolute, or "". */
export function safeURL(link: string | undefined, base: string): string {
  if (link === undefined || link.trim() === "" || link.length > 4000) return "";
  link = link.trim();
  if (!URL.canParse(link, base === "" ? undefined : base)) return "";
  const url = new URL(link, base === "" ? undefined : base);
  if (!["http:", "https:", "mailto:"].includes(url.protocol)) return "";
  url.username = url.password = "";
  return url.href;
}

interface Open {
  name: string; // as written
  tag: Tag | ""; // "" for an element that is not kept itself
  children: Piece[];
}

/** Reads HTML written by a stranger. base makes relative links absolute. */
export function sanitize(html: string, base: string): Piece[] {
  const root: Piece[] = [];
  const stack: Open[] = [{ name: "", tag: "", children: root }];
  let pieces = 0;
  let length = 0;
  let dropping = ""; // the element whose content is being dropped
  let dropDepth = 0;

  const text = (raw: string) => {
    if (raw === "" || dropping !== "" || length > MAX_TEXT) return;
    const decoded = decodeEntities(raw);
    length += decoded.length;
    if (++pieces <= MAX_PIECES) stack.at(-1)!.children.push(decoded);
  };
  const closeTo = (index: number) => stack.length = index;
  const lastOpen = (fits: (open: Open) => boolean) => {
    for (let at = stack.length - 1; at > 0; at--) if (fits(stack[at]!)) return at;
    return 0;
  };

  for (let i = 0; i < html.length && pieces <= MAX_PIECES;) {
    const open = html.indexOf("<", i);
    if (open < 0) {
      text(html.slice(i));
      break;
    }
    text(html.slice(i, open));
    i = open;
    if (html.startsWith("<!--", i)) {
      const end = html.indexOf("-->", i + 4);
      i = end < 0 ? html.length : end + 3;
      continue;
    }
    if (html.startsWith("<![CDATA[", i)) {
      const end = html.indexOf("]]>", i);
      text(html.slice(i + 9, end < 0 ? html.length : end).replaceAll("&", "&amp;"));
      i = end < 0 ? html.length : end + 3;
      continue;
    }
    const next = html[i + 1] ?? "";
    if (next === "!" || next === "?") {
      const end = html.indexOf(">", i);
      i = end < 0 ? html.length : end + 1;
      continue;
    }
    const closing = next === "/";
    const name = /^[a-zA-Z][a-zA-Z0-9:-]{0,40}/.exec(html.slice(i + (closing ? 2 : 1), i + 44))?.[0].toLowerCase();
    if (name === undefined) {
      text("&lt;"); // a lone "<" is text
      i++;
      continue;
    }
    const { attributes, end } = readTag(html, i + (closing ? 2 : 1) + name.length);
    i = end;

    if (dropping !== "") {
      if (name === dropping) dropDepth += closing ? -1 : 1;
      if (dropDepth === 0) dropping = "";
      continue;
    }
    if (closing) {
      const at = lastOpen((o) => o.name === name);
      if (at > 0) closeTo(at);
      continue;
    }
    if (RAW.has(name)) {
      const after = new RegExp(`</${name}[\\s/>]`, "gi"); // names are letters only
      after.lastIndex = i;
      const match = after.exec(html);
      i = match === null ? html.length : (html.indexOf(">", match.index) + 1 || html.length);
      continue;
    }
    if (DROP.has(name)) {
      if (!VOID.has(name)) {
        dropping = name;
        dropDepth = 1;
      }
      continue;
    }
    const tag = KEEP[name] !== undefined && Object.hasOwn(KEEP, name) ? KEEP[name]! : "";
    // What browsers close by themselves: a paragraph at the next block, an item at the next item.
    if (tag !== "" && BLOCK.has(tag)) {
      const p = lastOpen((o) => o.tag === "p" || (o.tag !== "" && BLOCK.has(o.tag)));
      if (p > 0 && stack[p]!.name === "p") closeTo(p);
    }
    if (tag === "li" || tag === "tr" || tag === "td" || tag === "th") {
      const stop = tag === "li" ? ["ul", "ol"] : tag === "tr" ? ["table"] : ["tr", "table"];
      const same = lastOpen((o) => o.tag === tag || (tag === "td" && o.tag === "th") || (tag === "th" && o.tag === "td") || stop.includes(o.tag));
      if (same > 0 && !stop.includes(stack[same]!.tag)) closeTo(same);
    }
    if (tag === "") {
      if (!VOID.has(name) && stack.length < MAX_DEPTH) stack.push({ name, tag: "", children: stack.at(-1)!.children });
      continue;
    }
    const piece: Exclude<Piece, string> = { tag, children: [] };
    if (tag === "a") {
      const url = safeURL(attributes.get("href"), base);
      const nested = lastOpen((o) => o.tag === "a");
      if (nested > 0) closeTo(nested);
      if (url === "") {
        if (stack.length < MAX_DEPTH) stack.push({ name, tag: "", children: stack.at(-1)!.children });
        continue;
      }
      piece.url = url;
    }
    if (tag === "img") {
      const url = safeURL(attributes.get("src"), base);
      if (url === "" || url.startsWith("mailto:") || attributes.get("width") === "1" || attributes.get("height") === "1") continue; // counters
      piece.url = url;
      piece.text = [attributes.get("alt"), attributes.get("title")].filter(Boolean).join(" – ").slice(0, 1000);
    }
    if (++pieces > MAX_PIECES) break;
    stack.at(-1)!.children.push(piece);
    if (!VOID.has(name) && stack.length < MAX_DEPTH) stack.push({ name, tag, children: piece.children });
  }
  return tidy(root);
}

/** Reads attributes up to the end of a tag. */
function readTag(html: string, i: number): { attributes: Map<string, string>; end: number } {
  const attributes = new Map<string, string>();
  while (i < html.length && html[i] !== ">") {
    if (/[\s/]/.test(html[i]!)) {
      i++;
      continue;
    }
    const from = i;
    i++; // whatever stands here belongs to the name, "=" too
    while (i < html.length && !/[\s/>=]/.test(html[i]!)) i++;
    const key = html.slice(from, i).toLowerCase();
    while (i < html.length && /\s/.test(html[i]!)) i++;
    let value = "";
    if (html[i] === "=") {
      i++;
      while (i < html.length && /\s/.test(html[i]!)) i++;
      const quote = html[i];
      if (quote === '"' || quote === "'") {
        const end = html.indexOf(quote, i + 1);
        value = html.slice(i + 1, end < 0 ? html.length : end);
        i = end < 0 ? html.length : end + 1;
      } else {
        const begin = i;
        while (i < html.length && !/[\s>]/.test(html[i]!)) i++;
        value = html.slice(begin, i);
      }
    }
    if (!attributes.has(key) && attributes.size < 32) attributes.set(key, decodeEntities(value));
  }
  return { attributes, end: i + 1 };
}

/** Joins neighbouring texts, collapses white space outside pre, and drops elements with nothing in them. */
function tidy(pieces: Piece[], pre = false): Piece[] {
  const out: Piece[] = [];
  for (const piece of pieces) {
    if (typeof piece === "string") {
      const text = pre ? piece : piece.replaceAll(/[ \t\r\n\f]+/g, " ");
      if (typeof out.at(-1) === "string") out[out.length - 1] += text;
      else if (text !== "") out.push(text);
      continue;
    }
    piece.children = tidy(piece.children, pre || piece.tag === "pre");
    const solid = piece.tag === "br" || piece.tag === "hr" || piece.tag === "img" || piece.tag === "td" || piece.tag === "th";
    if (!solid && piece.children.every((child) => typeof child === "string" && child.trim() === "")) {
      if (piece.children.length > 0) out.push(" ");
      continue;
    }
    // A paragraph of blocks only is a container that was never one.
    if (piece.tag === "p" && piece.children.some((child) => typeof child !== "string" && BLOCK.has(child.tag))) out.push(...piece.children);
    else out.push(piece);
  }
  return out.filter((piece, i) => piece !== " " || (isInline(out[i - 1]) && isInline(out[i + 1])));
}

function isInline(piece: Piece | undefined): boolean {
  return piece !== undefined && (typeof piece === "string" || !BLOCK.has(piece.tag));
}

/** The words of an article on one line. */
export function plainText(pieces: Piece[], limit = 300): string {
  let out = "";
  const walk = (some: Piece[]) => {
    for (const piece of some) {
      if (out.length > 4 * limit) return;
      if (typeof piece === "string") out += piece;
      else {
        const block = BLOCK.has(piece.tag) || piece.tag === "br";
        if (block) out += " ";
        walk(piece.children);
        if (block) out += " ";
      }
    }
  };
  walk(pieces);
  const words = [...out.replaceAll(/\s+/g, " ").trim()];
  return words.length <= limit ? words.join("") : words.slice(0, limit - 1).join("").trimEnd() + "…";
}

/** Calls back for every picture. */
export function pictures(pieces: Piece[], on: (picture: { url: string }) => void): void {
  for (const piece of pieces) {
    if (typeof piece === "string") continue;
    if (piece.tag === "img") on(piece as { url: string });
    pictures(piece.children, on);
  }
}
