import { decodeEntities } from "./entities.ts";

// A small XML reader for feeds. It knows nothing of document types: no entity but the usual ones is ever
// expanded and nothing outside the text is read, so neither "billion laughs" nor external entities exist
// here. It forgives what real feeds get wrong, and its work is bounded.

export interface Element {
  name: string; // local name
  space: string; // namespace URI, or the prefix when it was never declared
  attributes: Map<string, string>; // by qualified name
  children: (Element | string)[];
}

export class XMLError extends Error {}

const MAX_DEPTH = 100;
const MAX_ELEMENTS = 100_000;

const NAME_END = /[\s/>=]/;

/** Parses a document and returns its root element. */
export function parseXML(source: string): Element {
  const top: Element = { name: "", space: "", attributes: new Map(), children: [] };
  const stack: { element: Element; qualified: string; spaces: Map<string, string> }[] = [
    { element: top, qualified: "", spaces: new Map([["", ""], ["xml", "xml"]]) },
  ];
  let elements = 0;
  let i = 0;
  const add = (text: string) => {
    if (text !== "") stack.at(-1)!.element.children.push(text);
  };
  const skipTo = (mark: string, from: number): number => {
    const end = source.indexOf(mark, from);
    if (end < 0) throw new XMLError(`the text ends inside ${source.slice(i, i + 12)}`);
    return end + mark.length;
  };
  while (i < source.length) {
    const open = source.indexOf("<", i);
    if (open < 0) {
      add(decodeEntities(source.slice(i)));
      break;
    }
    add(decodeEntities(source.slice(i, open)));
    i = open;
    if (source.startsWith("<!--", i)) {
      i = skipTo("-->", i + 4);
    } else if (source.startsWith("<![CDATA[", i)) {
      const end = skipTo("]]>", i);
      add(source.slice(i + 9, end - 3));
      i = end;
    } else if (source.startsWith("<?", i)) {
      i = skipTo("?>", i);
    } else if (source.startsWith("<!", i)) {
      i = skipDoctype(source, i);
    } else if (source[i + 1] === "/") {
      const end = skipTo(">", i);
      const qualified = source.slice(i + 2, end - 1).trim();
      i = end;
      // A missing end tag closes with its parent; a stray one is ignored.
      let at = stack.length - 1;
      while (at > 0 && stack[at]!.qualified !== qualified) at--;
      if (at > 0) stack.length = at;
    } else {
      if (++elements > MAX_ELEMENTS) throw new XMLError("it has too many elements");
      const tag = startTag(source, i);
      i = tag.end;
      const parent = stack.at(-1)!;
      let spaces = parent.spaces;
      for (const [key, value] of tag.attributes) {
        if (key !== "xmlns" && !key.startsWith("xmlns:")) continue;
        if (spaces === parent.spaces) spaces = new Map(spaces);
        spaces.set(key === "xmlns" ? "" : key.slice(6), value);
      }
      const colon = tag.name.indexOf(":");
      const prefix = colon < 0 ? "" : tag.name.slice(0, colon);
      const element: Element = { name: tag.name.slice(colon + 1), space: spaces.get(prefix) ?? prefix, attributes: tag.attributes, children: [] };
      parent.element.children.push(element);
      if (!tag.empty) {
        if (stack.length > MAX_DEPTH) throw new XMLError("it is nested too deeply");
        stack.push({ element, qualified: tag.name, spaces });
      }
    }
  }
  const root = top.children.find((child) => typeof child !== "string");
  if (root === undefined) throw new XMLError("it has no element");
  return root;
}

/** Skips <!DOCTYPE …> with its internal subset. */
function skipDoctype(source: string, i: number): number {
  let depth = 0;
  let quote = "";
  for (; i < source.length; i++) {
    const c = source[i]!;
    if (quote !== "") {
      if (c === quote) quote = "";
    } else if (c === '"' || c === "'") quote = c;
    else if (c === "[") depth++;
    else if (c === "]") depth--;
    else if (c === ">" && depth <= 0) return i + 1;
  }
  throw new XMLError("its document type does not end");
}

function startTag(source: string, i: number): { name: string; attributes: Map<string, string>; empty: boolean; end: number } {
  const attributes = new Map<string, string>();
  let at = i + 1;
  const word = () => {
    const from = at;
    while (at < source.length && !NAME_END.test(source[at]!)) at++;
    return source.slice(from, at);
  };
  const space = () => {
    while (at < source.length && /\s/.test(source[at]!)) at++;
  };
  const name = word();
  if (name === "") throw new XMLError('there is a "<" that starts nothing');
  for (;;) {
    space();
    const c = source[at];
    if (c === undefined) throw new XMLError(`the text ends inside <${name.slice(0, 40)}`);
    if (c === ">") return { name, attributes, empty: false, end: at + 1 };
    if (c === "/") {
      at++;
      if (source[at] === ">") return { name, attributes, empty: true, end: at + 1 };
      continue;
    }
    if (c === "=") {
      at++;
      continue;
    }
    const key = word();
    space();
    if (source[at] !== "=") {
      if (attributes.size < 64) attributes.set(key, "");
      continue;
    }
    at++;
    space();
    const quote = source[at];
    let value: string;
    if (quote === '"' || quote === "'") {
      const end = source.indexOf(quote, at + 1);
      if (end < 0) throw new XMLError(`an attribute of <${name.slice(0, 40)}> does not end`);
      value = source.slice(at + 1, end);
      at = end + 1;
    } else {
      value = word();
    }
    if (attributes.size < 64) attributes.set(key, decodeEntities(value));
  }
}

export function elements(parent: Element, name: string, ...spaces: string[]): Element[] {
  return parent.children.filter((child): child is Element =>
    typeof child !== "string" && child.name === name && (spaces.length === 0 || spaces.includes(child.space))
  );
}

/** All text inside, elements' too. */
export function textIn(element: Element | undefined): string {
  if (element === undefined) return "";
  return element.children.map((child) => typeof child === "string" ? child : textIn(child)).join("");
}

/** The markup inside, for formats that put XHTML into the document. */
export function markupIn(element: Element): string {
  return element.children.map((child) => {
    if (typeof child === "string") return escapeMarkup(child);
    const attributes = [...child.attributes].map(([key, value]) => ` ${key}="${escapeMarkup(value)}"`).join("");
    return `<${child.name}${attributes}>${markupIn(child)}</${child.name}>`;
  }).join("");
}

function escapeMarkup(text: string): string {
  return text.replaceAll(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}
