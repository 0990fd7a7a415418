// A small Markdown renderer for text that nobody trusts. There is no raw HTML: everything that is not a
// mark is escaped, links lead to http, https and mailto only, and pictures are shown as links because
// this app talks to nobody. It runs in time proportional to the text but for nesting, which is bounded.

/** How deep quotes, lists and emphasis may nest; deeper marks are plain text. */
const MAX_DEPTH = 8;

export function escapeHTML(text: string): string {
  return text.replaceAll(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** A link that may be followed, in the form the browser would use, or "". */
export function safeURL(link: string): string {
  // Browsers drop tabs and line ends inside a scheme, so a link with control characters is none.
  // deno-lint-ignore no-control-regex
  if (/[\u0000-\u0020\u007f]/.test(link)) return "";
  if (!URL.canParse(link)) return ""; // relative links lead nowhere in a note
  const url = new URL(link);
  return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : "";
}

interface Line {
  s: string;
  n: number; // number of the source line, for check boxes
}

/** Renders Markdown as HTML that is safe to put into a page. */
export function render(markdown: string): string {
  const lines = markdown.replaceAll(/\r\n?/g, "\n").split("\n").map((s, n) => ({ s: s.replaceAll("\t", "    "), n }));
  return blocks(lines, 0);
}

const indentOf = (s: string) => s.length - s.trimStart().length;
const isRule = (s: string) => /^([-*_])\1{2,}$/.test(s.replaceAll(" ", "")) && indentOf(s) < 4;
const ITEM = /^( *)([-*+]|\d{1,9}[.)]) +(?=\S)/;
const HEADING = /^ {0,3}(#{1,6}) +(?=\S)/;

function startsBlock(s: string): boolean {
  return HEADING.test(s) || isRule(s) || ITEM.test(s) || /^ {0,3}(>|```|~~~)/.test(s);
}

function blocks(lines: Line[], depth: number): string {
  let out = "";
  for (let i = 0; i < lines.length;) {
    const s = lines[i]!.s;
    const fence = /^ {0,3}(`{3,}|~{3,}) *([^`\s]*)/.exec(s);
    const heading = HEADING.exec(s);
    if (s.trim() === "") {
      i++;
    } else if (fence !== null) {
      const mark = fence[1]!;
      const code: string[] = [];
      for (i++; i < lines.length && !closes(lines[i]!.s, mark); i++) code.push(lines[i]!.s);
      i++;
      out += `<pre><code>${escapeHTML(code.join("\n"))}</code></pre>\n`;
    } else if (heading !== null) {
      const level = heading[1]!.length;
      out += `<h${level}>${inline(trimHashes(s.slice(heading[0].length)), 0)}</h${level}>\n`;
      i++;
    } else if (isRule(s)) {
      out += "<hr>\n";
      i++;
    } else if (/^ {0,3}>/.test(s) && depth < MAX_DEPTH) {
      const quoted: Line[] = [];
      for (; i < lines.length && /^ {0,3}>/.test(lines[i]!.s); i++) {
        quoted.push({ s: lines[i]!.s.replace(/^ {0,3}> ?/, ""), n: lines[i]!.n });
      }
      out += `<blockquote>\n${blocks(quoted, depth + 1)}</blockquote>\n`;
    } else if (ITEM.test(s) && depth < MAX_DEPTH) {
      const [html, next] = list(lines, i, depth);
      out += html;
      i = next;
    } else if (isTable(lines, i)) {
      const [html, next] = table(lines, i);
      out += html;
      i = next;
    } else {
      const first = i;
      for (i++; i < lines.length && lines[i]!.s.trim() !== "" && !startsBlock(lines[i]!.s); i++);
      out += `<p>${inline(lines.slice(first, i).map((line) => line.s.trim()).join("\n"), 0)}</p>\n`;
    }
  }
  return out;
}

function closes(s: string, mark: string): boolean {
  const t = s.trim();
  return indentOf(s) < 4 && t.length >= mark.length && t === mark[0]!.repeat(t.length);
}

function trimHashes(s: string): string {
  const t = s.trimEnd();
  let end = t.length;
  while (end > 0 && t[end - 1] === "#") end--;
  return end === t.length || (end > 0 && t[end - 1] !== " ") ? t : t.slice(0, end).trimEnd();
}

function list(lines: Line[], i: number, depth: number): [string, number] {
  const ordered = /\d/.test(ITEM.exec(lines[i]!.s)![2]!);
  const indent = indentOf(lines[i]!.s);
  const start = ordered ? parseInt(lines[i]!.s.trimStart(), 10) : 1;
  let out = ordered ? (start === 1 ? "<ol>\n" : `<ol start="${start}">\n`) : "<ul>\n";
  while (i < lines.length) {
    const item = ITEM.exec(lines[i]!.s);
    if (item === null || item[1]!.length > indent + 1 || item[1]!.length < indent || /\d/.test(item[2]!) !== ordered || isRule(lines[i]!.s)) break;
    const at = lines[i]!.n;
    const width = item[0].length;
    const body: Line[] = [{ s: lines[i]!.s.slice(width), n: at }];
    for (i++; i < lines.length; i++) {
      const s = lines[i]!.s;
      if (s.trim() === "") {
        // A blank line belongs to the item only when more of it follows.
        if (i + 1 < lines.length && indentOf(lines[i + 1]!.s) > indent + 1 && lines[i + 1]!.s.trim() !== "") body.push({ s: "", n: lines[i]!.n });
        else break;
      } else if (indentOf(s) > indent + 1) {
        body.push({ s: s.slice(Math.min(indentOf(s), width)), n: lines[i]!.n });
      } else if (!startsBlock(s) && lines[i - 1]!.s.trim() !== "") {
        body.push({ s: s.trim(), n: lines[i]!.n });
      } else {
        break;
      }
    }
    const task = /^\[([ xX])\] +/.exec(body[0]!.s);
    if (task !== null) body[0]!.s = body[0]!.s.slice(task[0].length);
    let html = blocks(body, depth + 1);
    // A single paragraph needs no box of its own; neither does the first one before a nested list.
    if (html.startsWith("<p>") && html.indexOf("<p>", 3) < 0) html = html.replace("<p>", "").replace("</p>\n", "\n");
    if (task !== null) {
      const checked = task[1] === " " ? "" : " checked";
      out += `<li class="task"><input type="checkbox" data-line="${at}"${checked}>${html.trimEnd()}</li>\n`;
    } else {
      out += `<li>${html.trimEnd()}</li>\n`;
    }
    // A blank line between two items does not end the list.
    if (i + 1 < lines.length && lines[i]!.s.trim() === "" && ITEM.test(lines[i + 1]!.s) && indentOf(lines[i + 1]!.s) === indent) i++;
  }
  return [out + (ordered ? "</ol>\n" : "</ul>\n"), i];
}

function cells(s: string): string[] {
  const t = s.trim().replace(/^\|/, "");
  const out: string[] = [];
  let cell = "";
  for (let i = 0; i < t.length; i++) {
    if (t[i] === "\\" && t[i + 1] === "|") cell += t[++i];
    else if (t[i] === "|") {
      out.push(cell.trim());
      cell = "";
    } else cell += t[i];
  }
  if (cell.trim() !== "") out.push(cell.trim());
  return out;
}

function isTable(lines: Line[], i: number): boolean {
  if (i + 1 >= lines.length || !lines[i]!.s.includes("|") || !lines[i + 1]!.s.includes("-")) return false;
  const rule = cells(lines[i + 1]!.s);
  return rule.length > 0 && rule.length <= 64 && rule.every((cell) => /^:?-+:?$/.test(cell)) && cells(lines[i]!.s).length === rule.length;
}

function table(lines: Line[], i: number): [string, number] {
  const align = cells(lines[i + 1]!.s).map((cell) =>
    cell.endsWith(":") ? (cell.startsWith(":") ? ' class="center"' : ' class="right"') : ""
  );
  const row = (s: string, tag: string) => {
    const given = cells(s);
    return `<tr>${align.map((a, c) => `<${tag}${a}>${inline(given[c] ?? "", 0)}</${tag}>`).join("")}</tr>\n`;
  };
  let out = `<table>\n<thead>${row(lines[i]!.s, "th")}</thead>\n<tbody>\n`;
  for (i += 2; i < lines.length && lines[i]!.s.includes("|"); i++) out += row(lines[i]!.s, "td");
  return [out + "</tbody>\n</table>\n", i];
}

const PUNCTUATION = "\\`*_{}[]()#+-.!~|<>&\"'";
const wordChar = (c: string | undefined) => c !== undefined && /[\p{L}\p{N}_]/u.test(c);

/** Renders what stands inside a block. */
function inline(s: string, depth: number): string {
  let out = "";
  const missing = new Set<string>(); // marks known to have no closing one ahead: searching again would take quadratic time
  const lastLink = s.lastIndexOf("](");
  for (let i = 0; i < s.length;) {
    const c = s[i]!;
    if (c === "\\" && i + 1 < s.length && PUNCTUATION.includes(s[i + 1]!)) {
      out += escapeHTML(s[i + 1]!);
      i += 2;
      continue;
    }
    let found: { html: string; next: number } | null = null;
    if (c === "`") found = code(s, i, missing);
    else if (c === "*" || c === "_" || c === "~") found = emphasis(s, i, depth, missing);
    else if ((c === "[" || (c === "!" && s[i + 1] === "[")) && i < lastLink) found = link(s, i, depth);
    else if ((c === "h" || c === "<") && !wordChar(s[i - 1])) found = autolink(s, i);
    else if (c === "#" && (i === 0 || /[\s(]/.test(s[i - 1]!))) found = tag(s, i);
    if (found !== null) {
      out += found.html;
      i = found.next;
    } else {
      out += c === "\n" ? "<br>\n" : escapeHTML(c);
      i++;
    }
  }
  return out;
}

function code(s: string, i: number, missing: Set<string>) {
  let n = 1;
  while (s[i + n] === "`") n++;
  const mark = "`".repeat(n);
  if (!missing.has(mark)) {
    for (let end = s.indexOf(mark, i + n); end >= 0;) {
      let run = n;
      while (s[end + run] === "`") run++;
      if (run === n) {
        const inner = s.slice(i + n, end);
        return { html: `<code>${escapeHTML(inner.trim() === "" ? inner : inner.trim())}</code>`, next: end + n };
      }
      end = s.indexOf(mark, end + run);
    }
    missing.add(mark);
  }
  return { html: mark, next: i + n };
}

const EMPHASIS: Record<string, string> = { "**": "strong", "__": "strong", "*": "em", "_": "em", "~~": "del" };

function emphasis(s: string, i: number, depth: number, missing: Set<string>) {
  const c = s[i]!;
  const mark = s[i + 1] === c ? c + c : c;
  const tag = EMPHASIS[mark];
  if (tag === undefined || depth >= MAX_DEPTH || missing.has(mark)) return null;
  const from = i + mark.length;
  if (from >= s.length || /\s/.test(s[from]!) || (c === "_" && wordChar(s[i - 1]))) return null;
  for (let end = s.indexOf(mark, from + 1); end >= 0; end = s.indexOf(mark, end + 1)) {
    if (/\s/.test(s[end - 1]!) || s[end - 1] === "\\") continue;
    if (mark.length === 1 && (s[end + 1] === c || s[end - 1] === c)) continue; // half of a double mark
    if (c === "_" && wordChar(s[end + mark.length])) continue;
    return { html: `<${tag}>${inline(s.slice(from, end), depth + 1)}</${tag}>`, next: end + mark.length };
  }
  missing.add(mark);
  return null;
}

const MAX_LABEL = 300;
const MAX_URL = 2000;

function link(s: string, i: number, depth: number) {
  const picture = s[i] === "!";
  const from = i + (picture ? 2 : 1);
  let open = 1;
  let end = from;
  for (; end < s.length && end < from + MAX_LABEL; end++) {
    if (s[end] === "\\") end++;
    else if (s[end] === "[") open++;
    else if (s[end] === "]" && --open === 0) break;
  }
  if (open !== 0 || s[end + 1] !== "(") return null;
  let close = end + 2;
  for (let parens = 1; close < s.length && close < end + MAX_URL; close++) {
    if (s[close] === "(") {
      if (++parens > MAX_DEPTH) return null;
    } else if (s[close] === ")" && --parens === 0) break;
    else if (/\s/.test(s[close]!)) return null;
  }
  if (s[close] !== ")") return null;
  const url = safeURL(s.slice(end + 2, close));
  if (url === "") return null;
  const label = s.slice(from, end);
  const inner = picture ? escapeHTML(label.trim() || "Picture") : depth < MAX_DEPTH ? unlinked(inline(label, depth + 1)) : escapeHTML(label);
  return { html: anchor(url, inner, picture ? "picture" : ""), next: close + 1 };
}

/** Takes links and buttons out of a rendered label: neither can stand in a link. */
function unlinked(html: string): string {
  return html.replaceAll(/<\/?(a|button)\b[^>]*>/g, "");
}

function anchor(url: string, inner: string, kind: string): string {
  const cls = kind === "" ? "" : ` class="${kind}"`;
  return `<a${cls} href="${escapeHTML(url)}" target="_blank" rel="noopener noreferrer">${inner}</a>`;
}

function autolink(s: string, i: number) {
  const angled = s[i] === "<";
  const from = angled ? i + 1 : i;
  if (!s.startsWith("http://", from) && !s.startsWith("https://", from)) return null;
  let end = from;
  while (end < s.length && end < from + MAX_URL && !/[\s<>"`]/.test(s[end]!)) end++;
  if (angled && s[end] !== ">") return null;
  if (!angled) while (".,;:!?)'*_~".includes(s[end - 1]!)) end--; // punctuation after a link is the sentence's
  const written = s.slice(from, end);
  const url = safeURL(written);
  return url === "" ? null : { html: anchor(url, escapeHTML(written), ""), next: angled ? end + 1 : end };
}

function tag(s: string, i: number) {
  const name = /^#(\p{L}[\p{L}\p{N}_/-]{0,49})/u.exec(s.slice(i, i + 52))?.[1];
  if (name === undefined) return null;
  return { html: `<button type="button" class="tag" data-tag="${escapeHTML(name.toLowerCase())}">#${escapeHTML(name)}</button>`, next: i + 1 + name.length };
}
