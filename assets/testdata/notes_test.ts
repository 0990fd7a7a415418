// Runs in Deno, started by examples_test.go. The assertions are here because nothing is downloaded.
import { escapeHTML, render, safeURL } from "../examples/notes/text/markdown.ts";
import { excerptOf, formatNote, parseNote, tagsOf, titleOf } from "../examples/notes/text/note.ts";
import { fold, parseQuery, score, search } from "../examples/notes/text/search.ts";

function same(got: unknown, want: unknown, what = ""): void {
  const [a, b] = [JSON.stringify(got), JSON.stringify(want)];
  if (a !== b) throw new Error(`${what}\n got ${a}\nwant ${b}`);
}

Deno.test("Markdown", () => {
  for (const [source, html] of [
    ["", ""],
    ["Hello *world*, **bold** and ~~gone~~", "<p>Hello <em>world</em>, <strong>bold</strong> and <del>gone</del></p>\n"],
    ["# Title #\n## Two ##", "<h1>Title</h1>\n<h2>Two</h2>\n"],
    ["#tag is no title", '<p><button type="button" class="tag" data-tag="tag">#tag</button> is no title</p>\n'],
    ["one\ntwo\n\nthree", "<p>one<br>\ntwo</p>\n<p>three</p>\n"],
    ["`a < b` and ``x ` y``", "<p><code>a &#60; b</code> and <code>x ` y</code></p>\n"],
    ["```js\n<b>\n# no\n```\nafter", "<pre><code>&#60;b&#62;\n# no</code></pre>\n<p>after</p>\n"],
    ["```\nnever closed", "<pre><code>never closed</code></pre>\n"],
    ["- a\n- b\n  - c\n- d", "<ul>\n<li>a</li>\n<li>b\n<ul>\n<li>c</li>\n</ul></li>\n<li>d</li>\n</ul>\n"],
    ["3. c\n4. d", '<ol start="3">\n<li>c</li>\n<li>d</li>\n</ol>\n'],
    ["x\n- [ ] do\n- [x] done", '<p>x</p>\n<ul>\n<li class="task"><input type="checkbox" data-line="1">do</li>\n<li class="task"><input type="checkbox" data-line="2" checked>done</li>\n</ul>\n'],
    ["> said\n> # loud", "<blockquote>\n<p>said</p>\n<h1>loud</h1>\n</blockquote>\n"],
    ["a\n\n---\n* * *", "<p>a</p>\n<hr>\n<hr>\n"],
    ["| a | b |\n|---|--:|\n| 1 | 2 |", '<table>\n<thead><tr><th>a</th><th class="right">b</th></tr>\n</thead>\n<tbody>\n<tr><td>1</td><td class="right">2</td></tr>\n</tbody>\n</table>\n'],
    ["[site](https://x.org/a_(b))", '<p><a href="https://x.org/a_(b)" target="_blank" rel="noopener noreferrer">site</a></p>\n'],
    ["see https://x.org/a, ok", '<p>see <a href="https://x.org/a" target="_blank" rel="noopener noreferrer">https://x.org/a</a>, ok</p>\n'],
    ["![cat](https://x.org/c.png)", '<p><a class="picture" href="https://x.org/c.png" target="_blank" rel="noopener noreferrer">cat</a></p>\n'],
    ["snake_case_name and 2*3*4", "<p>snake_case_name and 2<em>3</em>4</p>\n"],
    ["\\*not\\* \\<b>", "<p>*not* &#60;b&#62;</p>\n"],
    ["**open and *half", "<p>**open and *half</p>\n"],
  ] as const) same(render(source), html, source);
});

/** The tags and attributes that render may ever write. */
const ALLOWED = new RegExp(
  "^<(?:/?(?:p|h[1-6]|ul|ol|li|blockquote|pre|code|em|strong|del|table|thead|tbody|tr)|hr|br|/?t[hd]|/a|/button" +
    '|ol start="\\d+"|li class="task"|t[hd] class="(?:center|right)"|input type="checkbox" data-line="\\d+"(?: checked)?' +
    '|button type="button" class="tag" data-tag="[^"<>&]*"|a(?: class="picture")? href="(?:https?:|mailto:)[^"<>]*" target="_blank" rel="noopener noreferrer")>$',
);

function checkSafe(source: string): void {
  const html = render(source);
  for (const tag of html.match(/<[^>]*>?/g) ?? []) {
    if (!ALLOWED.test(tag)) throw new Error(`${JSON.stringify(source)} gives ${tag} in ${html}`);
  }
  if (/[<>]/.test(html.replaceAll(/<[^>]*>/g, ""))) throw new Error(`a stray mark in ${html}`);
}

Deno.test("nothing a note says becomes markup of its own", () => {
  const attacks = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg/onload=alert(1)>", "[x](javascript:alert(1))", "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))", "[x](\u0001javascript:alert(1))", "[x](data:text/html,<script>alert(1)</script>)", "[x](vbscript:x)", "[x](//evil.example)",
    '[x](https://a"onmouseover="alert(1))', "[x](https://a'onmouseover='alert(1))", '![" onerror="alert(1)](https://a/b.png)', '<https://a"onclick=alert(1)>',
    'https://a.example/"onmouseover="alert(1)', "`<img src=x>`", "```\n</code></pre><script>alert(1)</script>\n```", '```"><script>\nx\n```',
    "# <b onclick=x>", "> <iframe src=x>", "- <style>*{}</style>", "| <i> | b |\n|---|---|\n| <u> | [x](javascript:1) |", "[<img src=x onerror=1>](https://a)",
    "[**<b>**](https://a)", "#tag\"onclick=alert(1)", "#<script>", "&lt;script&gt;", "&#60;script&#62;", "[a](https://x)](javascript:1)", "[[a](https://b)](https://c)",
    "*<*b>*", "\\<script>", "<!-- x --><script>", "<a href='javascript:1'>x</a>", "[x](https://a\njavascript:1)", "- [x] <input onfocus=alert(1) autofocus>",
    "![x](data:image/svg+xml,<svg onload=alert(1)>)", "[x](blob:https://a/b)", "[x](file:///etc/passwd)", "\u0000<b>\u0000", "<\u0000script>",
  ];
  for (const attack of attacks) {
    checkSafe(attack);
    for (const around of ["**", "_", "`", "> ", "- ", "# ", "| "]) checkSafe(around + attack + around);
  }
  // Pieces of marks in every order, from a fixed seed.
  const pieces = ["<", ">", '"', "'", "&", "[", "]", "(", ")", "!", "`", "```", "*", "**", "_", "~~", "\n", " ", "#a", "- ", "> ", "|", "---", "javascript:", "https://a.b/", "\\", "x", "[ ]", "1. "];
  let seed = 42;
  const random = () => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff;
  for (let n = 0; n < 10_000; n++) {
    let source = "";
    for (let i = Math.floor(random() * 24); i >= 0; i--) source += pieces[Math.floor(random() * pieces.length)];
    checkSafe(source);
  }
});

Deno.test("hostile texts take no more than their share of time", () => {
  for (const part of ["[", "*a ", "`", "**a", "[a](", "> ", "- ", "_a", "~~a ", "|", "`a``", "<https://", "#", "![", "(", "\\", "a|b\n-|-\n", "  - x\n"]) {
    const source = part.repeat(200_000 / part.length);
    const start = performance.now();
    render(source);
    const took = performance.now() - start;
    if (took > 10_000) // far above what a loaded machine takes, far below what quadratic work would
      throw new Error(`${JSON.stringify(part)} repeated took ${took.toFixed()} ms`);
  }
});

Deno.test("links", () => {
  for (const [link, want] of [
    ["https://example.org/a", "https://example.org/a"], ["mailto:a@b.c", "mailto:a@b.c"], ["javascript:1", ""], ["/relative", ""], ["", ""],
    ["https:/\\evil", "https://evil/"], [" https://a", ""], ["https://a\u0000", ""],
  ] as const) same(safeURL(link), want, link);
  same(escapeHTML(`<&>"'`), "&#60;&#38;&#62;&#34;&#39;");
});

Deno.test("titles, excerpts and tags follow from the text", () => {
  same(titleOf("\n\n# Hello **world**\nx"), "Hello world");
  same(titleOf("- [ ] buy [milk](https://x)"), "buy milk");
  same(titleOf("---\n\n***\n"), "");
  same(titleOf("a".repeat(200)), "a".repeat(79) + "…");
  same(excerptOf("# T\n\none\n- two\n*three* 2 * 3"), "one two three 2 * 3");
  same(tagsOf("#Work and #work, (#zu_hause) no#tag `#code` # x #1 #a/b-\n```\n#fenced\n```\n#ünï"), ["work", "zu_hause", "a/b", "ünï"]);
});

Deno.test("a note survives its file", () => {
  const at = "2026-01-02T03:04:05.678Z";
  for (const text of ["", "x", "\n\nx\n\n", "---\ncreated: 1\n---\n", "a\n---\nb", "😀\u2028", "---\n"]) {
    for (const [pinned, trashed] of [[false, ""], [true, at]] as const) {
      const note = { id: "n", text, created: at, updated: at, pinned, trashed, rev: 7 };
      same(parseNote("n", formatNote(note), new Date(0)), note, text);
    }
  }
  // Files that somebody else wrote are texts; nothing is refused and nothing lost.
  for (const file of ["", "# Mine", "---\ntitle: Jekyll\n---\nbody", "---\nnot a head", "---\ncreated: nonsense\n---\nx"]) {
    const note = parseNote("n", file, new Date(1000));
    same(note.text, file, file);
    same(note.created, "1970-01-01T00:00:01.000Z");
  }
});

Deno.test("search", () => {
  const note = (id: string, text: string, pinned = false) => ({ id, text, pinned, created: "", updated: id, trashed: "", rev: 1 });
  const notes = [note("1", "# Einkauf\nMilch, Café #haus"), note("2", "# Café Luna\n#reise"), note("3", "Straße nach Luna", true)];
  const find = (query: string) => search(notes, parseQuery(query)).map((n) => n.id).join("");
  same(find(""), "321");
  same(find("cafe"), "21"); // the title counts for more
  same(find("luna"), "32");
  same(find("strasse"), "3");
  same(find("#haus"), "1");
  same(find("#re luna"), "2");
  same(find('"nach luna"'), "3");
  same(find("luna milch"), "");
  same(fold("ÄÖÜ ß É"), "aou ss e");
  same(score(notes[0]!, parseQuery('""')), 1);
});
