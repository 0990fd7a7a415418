// Runs in Deno, started by examples_test.go. The assertions are here because nothing is downloaded.
import { permissionFor } from "../examples/feeds/server/fetch.ts";
import { normalize } from "../examples/feeds/server/library.ts";
import { decodeEntities } from "../examples/feeds/text/entities.ts";
import { decodeFeed, discover, NotAFeed, parseFeed } from "../examples/feeds/text/feed.ts";
import { type Piece, plainText, safeURL, sanitize } from "../examples/feeds/text/sanitize.ts";
import { parseXML, textIn, XMLError } from "../examples/feeds/text/xml.ts";

function same(got: unknown, want: unknown, what = ""): void {
  const [a, b] = [JSON.stringify(got), JSON.stringify(want)];
  if (a !== b) throw new Error(`${what}\n got ${a}\nwant ${b}`);
}

function throws(kind: new (...args: never[]) => Error, work: () => unknown, says: string): void {
  try {
    work();
  } catch (error) {
    if (error instanceof kind && error.message.includes(says)) return;
    throw new Error(`failed with ${error}, want ${kind.name} with ${JSON.stringify(says)}`);
  }
  throw new Error(`did not fail, want ${kind.name} with ${JSON.stringify(says)}`);
}

const BASE = "https://site.example/feed.xml";

Deno.test("RSS 2.0 with all that people put into it", () => {
  const feed = parseFeed(`<?xml version="1.0"?>
<!DOCTYPE rss [<!ENTITY a "expanded"><!-- ]> --> ]>
<?xml-stylesheet href="x.xsl"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:atom="http://www.w3.org/2005/Atom" xmlns:media="http://search.yahoo.com/mrss/">
<channel>
  <atom:link href="https://site.example/feed.xml" rel="self"/>
  <title>News &amp; <![CDATA[<b>Views</b>]]></title>
  <link>https://site.example/</link>
  <item>
    <title>One &lt;em&gt;thing&lt;/em&gt; &a;</title><media:title>no</media:title>
    <link>/one?a=1&amp;b=2</link><guid isPermaLink="false">id-1</guid>
    <dc:creator>Ann</dc:creator><pubDate>Sat, 21 Nov 2026 10:00:00 GMT</pubDate>
    <description>short</description>
    <content:encoded><![CDATA[<p>Long <a href="two">text</a><script>alert(1)</script></p>]]></content:encoded>
  </item>
  <item><guid>https://site.example/perma</guid><description>No title &amp;nbsp; here</description></item>
  <item></item>
</channel></rss>`, BASE);
  same(feed.title, "News & Views");
  same(feed.site, "https://site.example/");
  same(feed.articles.length, 2);
  same(feed.articles[0], {
    key: "id-1", title: "One thing &a;", url: "https://site.example/one?a=1&b=2", author: "Ann", published: "2026-11-21T10:00:00.000Z",
    content: [{ tag: "p", children: ["Long ", { tag: "a", children: ["text"], url: "https://site.example/two" }] }],
  });
  same(feed.articles[1]!.url, "https://site.example/perma");
  same(feed.articles[1]!.title, "No title here");
});

Deno.test("Atom, RSS 1.0 and JSON Feed", () => {
  const atom = parseFeed(`<a:feed xmlns:a="http://www.w3.org/2005/Atom" xml:base="https://b.example/x/"><a:title type="html">A &amp;lt;B&amp;gt;</a:title>
    <a:link rel="self" href="self"/><a:link href="home"/>
    <a:entry><a:id>urn:1</a:id><a:title>1 &lt; 2</a:title><a:link rel="enclosure" href="e.mp3"/><a:link rel="alternate" href="1"/>
      <a:updated>2026-01-02T03:04:05+01:00</a:updated><a:author><a:name>Bo</a:name></a:author>
      <a:content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p onclick="x">Hi &lt;b&gt;<script>no</script></p></div></a:content></a:entry></a:feed>`, BASE);
  same(atom, {
    title: "A <B>", site: "https://b.example/x/home",
    articles: [{ key: "urn:1", title: "1 < 2", url: "https://b.example/x/1", author: "Bo", published: "2026-01-02T02:04:05.000Z", content: [{ tag: "p", children: ["Hi <b>"] }] }],
  });
  const rdf = parseFeed(`<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/">
    <channel><title>Old</title><link>https://o.example/</link></channel><item><title>T</title><link>https://o.example/t</link><dc:date>2026-02-03</dc:date></item></rdf:RDF>`, BASE);
  same([rdf.title, rdf.articles[0]!.url, rdf.articles[0]!.published], ["Old", "https://o.example/t", "2026-02-03T00:00:00.000Z"]);
  const json = parseFeed(JSON.stringify({
    version: "https://jsonfeed.org/version/1.1", title: "J", home_page_url: "https://j.example/",
    items: [{ id: 5, url: "javascript:alert(1)", title: "<b>T", content_text: "a <b>\n\nc", authors: [{ name: "Cy" }] }, null, "x", { title: 7 }],
  }), BASE);
  same(json.articles, [{ key: "5", title: "<b>T", url: "", author: "Cy", published: "", content: ["a <b>", { tag: "p", children: ["c"] }] }]);
});

Deno.test("what is no feed says what it is", () => {
  throws(NotAFeed, () => parseFeed("", BASE), "not a feed");
  throws(NotAFeed, () => parseFeed("hello", BASE), "not a feed");
  throws(NotAFeed, () => parseFeed("{}", BASE), "JSON is not a feed");
  throws(NotAFeed, () => parseFeed("{", BASE), "not JSON either");
  throws(NotAFeed, () => parseFeed("<svg></svg>", BASE), "<svg>");
  throws(NotAFeed, () => parseFeed("<rss></rss>", BASE), "no channel");
  throws(NotAFeed, () => parseFeed("<!-- x --><!DOCTYPE HTML><html></html>", BASE), "web page");
  throws(NotAFeed, () => parseFeed("<rss><channel><item", BASE), "ends inside");
  same(discover('<link REL="alternate" type="application/rss+xml" href="/a.xml?x=1&amp;y"><link rel=stylesheet href=b><link rel=alternate type=application/atom+xml href=javascript:1><link rel="alternate" type="application/feed+json" href="f.json">', "https://p.example/q/"),
    ["https://p.example/a.xml?x=1&y", "https://p.example/q/f.json"]);
});

Deno.test("XML that attacks or is broken", () => {
  // Entities that a document defines stay as they are written: nothing grows, nothing is read.
  const laughs = `<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;"><!ENTITY x SYSTEM "file:///etc/passwd">]><l>&b;&x;</l>`;
  same(textIn(parseXML(laughs)), "&b;&x;");
  same(textIn(parseXML("<a><b>x<c>y</a>z")), "xy", "missing end tags");
  same(textIn(parseXML("<a></b>x</a>")), "x", "stray end tag");
  same(textIn(parseXML("<a>&#x48;&#105;&#0;&#xD800;&#x110000;&unknown;&amp;lt;</a>")), "Hi\ufffd\ufffd\ufffd&unknown;&lt;");
  same(parseXML("<a b=1 c='2' d e=\"x&gt;y\"/>").attributes.get("e"), "x>y");
  throws(XMLError, () => parseXML("<a>".repeat(200)), "nested too deeply");
  throws(XMLError, () => parseXML("<a>" + "<b/>".repeat(100_001)), "too many elements");
  throws(XMLError, () => parseXML("text only"), "no element");
  throws(XMLError, () => parseXML("<a><![CDATA[x"), "ends inside");
  throws(XMLError, () => parseXML("<!DOCTYPE a ["), "does not end");
  throws(XMLError, () => parseXML("<a b='1></a>"), "does not end");
  throws(XMLError, () => parseXML("< a>"), "starts nothing");
});

Deno.test("encodings", () => {
  const text = '<?xml version="1.0" encoding="ISO-8859-1"?><a>\u00e9</a>';
  same(decodeFeed(Uint8Array.from(text, (c) => c.charCodeAt(0)), "text/xml"), text);
  same(decodeFeed(new TextEncoder().encode("é"), "text/xml; charset=utf-8"), "é");
  same(decodeFeed(new Uint8Array([0xff, 0xfe, 0x41, 0]), ""), "A");
  same(decodeFeed(new Uint8Array([0xef, 0xbb, 0xbf, 0x41]), "text/xml; charset=latin1"), "A");
  same(decodeFeed(new TextEncoder().encode("x"), "text/xml; charset=martian"), "x");
  same(decodeEntities("&copy;&#8217;&constructor;&"), "©’&constructor;&");
});

const TAGS = new Set(["p", "br", "h3", "h4", "ul", "ol", "li", "blockquote", "pre", "code", "em", "strong", "del", "sub", "sup", "hr", "table", "tr", "td", "th", "a", "img"]);

/** Fails when a tree holds anything but known elements with safe links. */
function checkSafe(pieces: Piece[], source: string, depth = 0): void {
  if (depth > 45) throw new Error(`too deep: ${source.slice(0, 200)}`);
  for (const piece of pieces) {
    if (typeof piece === "string") continue;
    const keys = Object.keys(piece).filter((key) => !["tag", "url", "text", "children"].includes(key));
    const link = piece.tag === "a" || piece.tag === "img";
    if (!TAGS.has(piece.tag) || keys.length > 0 || (piece.url !== undefined) !== link || (link && !/^(https?:\/\/|mailto:)/.test(piece.url!))) {
      throw new Error(`${JSON.stringify(source)} gives ${JSON.stringify(piece)}`);
    }
    checkSafe(piece.children, source, depth + 1);
  }
}

Deno.test("HTML of strangers becomes harmless", () => {
  for (const [html, words] of [
    ["<script>alert(1)</script>after", "after"], ["<SCRIPT\n>alert(1)</ScRiPt >after", "after"], ["<script>never closed", ""],
    ["<scr<script>ipt>alert(1)</script>x", "ipt>alert(1)x"], ["<style>a</style ><b>x</b>", "x"], ["<iframe src=javascript:1>in</iframe>x", "x"],
    ["<svg><script>1</script><a xlink:href=javascript:1>y</a></svg>x", "x"], ["<math><mi>1</mi></math>x", "x"], ["<noscript><img src=x onerror=1></noscript>x", "x"],
    ["<textarea></p><img src=x></textarea>x", "x"], ["<form action=javascript:1><input><button>go</button>in</form>x", "x"], ["<object data=x><p>in</p></object>x", "x"],
    ["<a href=javascript:alert(1)>x</a>", "x"], ["<a href=' java\tscript:alert(1)'>x</a>", "x"], ["<a href='&#106;avascript:alert(1)'>x</a>", "x"],
    ["<a href='data:text/html,x'>x</a>", "x"], ["<p onclick=alert(1) style='x:url(javascript:1)'>x</p>", "x"], ["<x-y onload=1>x</x-y>", "x"],
    ["&lt;script&gt;", "<script>"], ["a < b > c", "a < b > c"], ["<", "<"], ["</", "</"], ["<!-- <b>x</b> -->y", "y"], ["<!-- open", ""], ["<![CDATA[<b>]]>", "<b>"],
    ["<plaintext>x", ""], ["<template><p>x</p></template>y", "y"], ["<b><i>x</b>y</i>", "xy"], ["<p>a<p>b", "a b"], ["a<br>b", "a b"], ["<ul><li>a<li>b</ul>", "a b"],
    ["<table><tr><td>a<td>b<tr><th>c</table>", "a b c"], ["<constructor>x</constructor><__proto__>y", "x<__proto__>y"],
  ] as const) {
    const pieces = sanitize(html, BASE);
    checkSafe(pieces, html);
    same(plainText(pieces), words, html);
  }
});

Deno.test("links and pictures", () => {
  same(sanitize('<a href="../x?a=1&amp;b" target=_top>l</a>', "https://s.example/a/b/"), [{ tag: "a", children: ["l"], url: "https://s.example/a/x?a=1&b" }]);
  same(sanitize("<a href=https://u:p@e.example/>l<a href=/n>m</a></a>", BASE), [
    { tag: "a", children: ["l"], url: "https://e.example/" }, { tag: "a", children: ["m"], url: "https://site.example/n" }]);
  same(sanitize('<img src="/p.png" alt="A" title="B" onerror=x><img src=t.gif width=1 height=1><img src=data:image/png,x><img>', BASE),
    [{ tag: "img", children: [], url: "https://site.example/p.png", text: "A – B" }]);
  for (const [link, want] of [["https://a/", "https://a/"], ["//a/", "https://a/"], ["javascript:1", ""], ["blob:https://a/b", ""], ["file:///x", ""], ["ftp://a/", ""], ["", ""], [" ", ""], [undefined, ""]] as const) {
    same(safeURL(link, BASE), want, link);
  }
});

Deno.test("any tag soup stays harmless, in bounds and in time", () => {
  const pieces = ["<", ">", "</", "/>", "a", "p", "script", "style", "img", " href=", " src=", '"', "'", "javascript:", "https://e/", "<!--", "-->", "<![CDATA[", "]]>", "&lt;", "&#60;", "<p>", "</p>", "<li>", "<ul>", "<td>", "<a href=/>", "<svg>", "</svg>", " x ", "\u0000", "<pre>", "<title>"];
  let seed = 7;
  const random = () => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff;
  for (let n = 0; n < 10_000; n++) {
    let source = "";
    for (let i = Math.floor(random() * 30); i >= 0; i--) source += pieces[Math.floor(random() * pieces.length)];
    checkSafe(sanitize(source, BASE), source);
    try {
      parseXML(source);
    } catch (error) {
      if (!(error instanceof XMLError)) throw error;
    }
  }
  for (const part of ["<a>", "<p>", "<ul><li>", "<script>", "<!--", "<", "&", "<a href='", "<b x=", "</p>", "<![CDATA[", "<a href=x>y", "<svg>", "&amp;", "<img src=x>", "<table><tr><td>", "<pre>"]) {
    const source = part.repeat(1_000_000 / part.length);
    const start = performance.now();
    checkSafe(sanitize(source, BASE), part);
    try {
      parseFeed("<rss><channel>" + source, BASE);
    } catch (error) {
      if (!(error instanceof NotAFeed)) throw error;
    }
    const took = performance.now() - start;
    if (took > 10_000) // far above what a loaded machine takes, far below what quadratic work would
      throw new Error(`${JSON.stringify(part)} repeated took ${took.toFixed()} ms`);
  }
});

Deno.test("addresses that people type", () => {
  for (const [typed, want] of [
    ["example.org/feed", "https://example.org/feed"], [" https://Example.org:443/#top ", "https://example.org/"], ["feed://example.org/x", "https://example.org/x"],
    ["feed:https://example.org/x", "https://example.org/x"], ["http://127.0.0.1:8080/f", "http://127.0.0.1:8080/f"],
  ] as const) same(normalize(typed), want, typed);
  for (const typed of ["", "ftp://a/", "https://u:p@a/", "javascript:alert(1)", "https://", "file:///etc/passwd", "https://a/" + "x".repeat(2001)]) {
    throws(Error, () => normalize(typed), "");
  }
  for (const [url, want] of [
    ["https://example.org/x", "net:example.org"], ["https://example.org:8443/", "net:example.org:8443"], ["http://example.org/", "net:example.org:80"],
    ["http://example.org:8080/", "net:example.org:8080"], ["https://[::1]:1/", "net:[::1]:1"], ["http://a:443/", "net:a:443"],
  ] as const) same(permissionFor(new URL(url)), want, url);
});
