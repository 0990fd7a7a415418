import type { Piece, Tag } from "../text/sanitize.ts";
import { el } from "./dom.ts";
import type { ArticleView } from "./server.ts";

const TAGS: ReadonlySet<Tag> = new Set<Tag>([
  "p", "br", "h3", "h4", "ul", "ol", "li", "blockquote", "pre", "code", "em", "strong", "del", "sub", "sup", "hr", "table", "tr", "td", "th", "a", "img",
]);

/** A link out of the app. */
export function link(url: string, ...children: Node[]): HTMLElement {
  const a = el("a", {}, ...children) as HTMLAnchorElement;
  if (/^(https?|mailto):/.test(url)) a.href = url;
  a.target = "_blank";
  a.rel = "noopener noreferrer";
  return a;
}

/** Builds an article out of known elements and text. Pictures of hosts that were not allowed become a word and a link. */
export function build(article: ArticleView): Node[] {
  const shown = new Set(article.shown);
  const make = (piece: Piece): Node => {
    if (typeof piece === "string") return document.createTextNode(piece);
    if (!TAGS.has(piece.tag)) return document.createTextNode("");
    if (piece.tag === "a") return link(piece.url ?? "", ...piece.children.map(make));
    if (piece.tag !== "img") return el(piece.tag, {}, ...piece.children.map(make));
    const url = piece.url ?? "";
    const words = piece.text ?? "";
    if (!shown.has(new URL(url).host)) {
      return el("span", { class: "unseen", text: words === "" ? `A picture from ${new URL(url).host}` : `Picture: ${words}`, title: url });
    }
    const img = document.createElement("img");
    img.loading = "lazy";
    img.referrerPolicy = "no-referrer";
    img.alt = img.title = words;
    img.src = url;
    return img;
  };
  return article.content.map(make);
}
