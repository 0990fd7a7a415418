package bundle

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"
)

const goodSVG = `<?xml version="1.0" encoding="UTF-8"?>
<!-- made by hand -->
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 128 128">
  <title>Notes</title>
  <defs><linearGradient id="g"><stop offset="0" stop-color="#fff"/></linearGradient><path id="p" d="M0 0h9"/></defs>
  <style>.a { fill: url(#g); stroke: red }</style>
  <rect class="a" width="128" height="128" fill="url( '#g' )" style="fill:url(#g)"/>
  <use xlink:href="#p"/><use href="#p"/><text>1 &lt; 2 &amp; &#169;</text>
</svg>`

func TestSVG(t *testing.T) {
	if err := checkSVG([]byte(goodSVG)); err != nil {
		t.Fatal(err)
	}
	in := func(inner string) string {
		return `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:h="http://www.w3.org/1999/xhtml">` + inner + `</svg>`
	}
	bomb := `<path id="a0" d="M0 0"/>`
	for i := range 20 {
		a, b := string(rune('a'+i)), string(rune('a'+i+1))
		if i == 0 {
			a = "a0"
		}
		bomb += `<g id="` + b + `"><use href="#` + a + `"/><use href="#` + a + `"/></g>`
	}
	for name, text := range map[string]string{
		"empty":              "",
		"text":               "hello",
		"html":               "<!doctype html><html></html>",
		"no namespace":       "<svg/>",
		"other root":         `<g xmlns="http://www.w3.org/2000/svg"/>`,
		"two roots":          in("") + in(""),
		"text after":         in("") + "x",
		"not closed":         `<svg xmlns="http://www.w3.org/2000/svg">`,
		"not UTF-8":          in("\xff"),
		"UTF-16":             "\xff\xfe<\x00s\x00",
		"latin 1":            `<?xml version="1.0" encoding="latin1"?>` + in(""),
		"doctype":            `<!DOCTYPE svg [<!ENTITY a "b">]>` + in("&a;"),
		"unknown entity":     in("&xxe;"),
		"style sheet":        `<?xml-stylesheet href="https://evil.example/x.css"?>` + in(""),
		"late declaration":   in(`<?xml version="1.0"?>`),
		"script":             in(`<script>alert(1)</script>`),
		"script upper":       in(`<SCRIPT>alert(1)</SCRIPT>`),
		"html script":        in(`<h:script>alert(1)</h:script>`),
		"foreign object":     in(`<foreignObject/>`),
		"image":              in(`<image href="#a"/>`),
		"link":               in(`<a href="#x"/>`),
		"animation":          in(`<animate attributeName="href" to="javascript:alert(1)"/>`),
		"set":                in(`<set attributeName="onload"/>`),
		"handler":            in(`<handler/>`),
		"filter image":       in(`<filter><feImage href="https://evil.example"/></filter>`),
		"nested svg":         in(in("")),
		"onload":             in(`<g onload="alert(1)"/>`),
		"onload upper":       in(`<g ONLOAD="alert(1)"/>`),
		"outside use":        in(`<use href="https://evil.example/a.svg#x"/>`),
		"outside use xlink":  in(`<use xlink:href="//evil.example/a.svg#x"/>`),
		"file use":           in(`<use href="other.svg#x"/>`),
		"data use":           in(`<use href="data:image/svg+xml,x#y"/>`),
		"undeclared prefix":  in(`<use foo:href="https://evil.example"/>`),
		"src":                in(`<g src="https://evil.example"/>`),
		"base":               in(`<g xml:base="https://evil.example"/>`),
		"fill outside":       in(`<g fill="url(https://evil.example/#a)"/>`),
		"fill quoted":        in(`<g fill="url( &quot;https://evil.example&quot; )"/>`),
		"fill upper":         in(`<g fill="URL(https://evil.example)"/>`),
		"style outside":      in(`<g style="background:url(//evil.example)"/>`),
		"style escape":       in(`<g style="background:u\72l(//evil.example)"/>`),
		"style image-set":    in(`<g style="background:image-set('https://evil.example' 1x)"/>`),
		"sheet import":       in(`<style>@import "https://evil.example";</style>`),
		"sheet import upper": in(`<style>@IMPORT url(#a)</style>`),
		"sheet font":         in(`<style>@font-face{src:url(#a)}</style>`),
		"sheet in CDATA":     in(`<style><![CDATA[@import "x";]]></style>`),
		"sheet outside":      in(`<style>g{fill:url(https://evil.example)}</style>`),
		"javascript":         in(`<g style="a:javascript:alert(1)"/>`),
		"self reference":     in(`<g id="a"><use href="#a"/></g><use href="#a"/>`),
		"circle":             in(`<g id="a"><use href="#b"/></g><g id="b"><use href="#a"/></g>`),
		"pattern circle":     in(`<pattern id="p"><rect fill="url(#p)"/></pattern>`),
		"use bomb":           in(bomb),
		"same id":            in(`<g id="a"/><g id="a"/>`),
		"too deep":           in(strings.Repeat("<g>", 70) + strings.Repeat("</g>", 70)),
		"too many":           in(strings.Repeat("<g/>", 20001)),
	} {
		if err := checkSVG([]byte(text)); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func TestIcons(t *testing.T) {
	good := samplePNG()
	big := bytes.Clone(good) // says to be huge, and would take 16 GiB to decode
	binary.BigEndian.PutUint32(big[16:], 65535)
	binary.BigEndian.PutUint32(big[20:], 65535)
	binary.BigEndian.PutUint32(big[29:], crc32.ChecksumIEEE(big[12:29]))
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 0xff
	icons := func(src string, size int) func(map[string]any) {
		return func(m map[string]any) {
			m["icons"] = []any{map[string]any{"src": src, "size": size}}
		}
	}
	for name, c := range map[string]struct {
		src  string
		size int
		body []byte
		ok   bool
	}{
		"png":           {"i.png", 128, good, true},
		"svg":           {"i.svg", 128, []byte(goodSVG), true},
		"jpeg as png":   {"i.png", 128, []byte("\xff\xd8\xff\xe0\x00\x10JFIF"), false},
		"svg as png":    {"i.png", 128, []byte(goodSVG), false},
		"png as svg":    {"i.svg", 128, good, false},
		"empty":         {"i.png", 128, nil, false},
		"cut":           {"i.png", 128, good[:len(good)-20], false},
		"damaged":       {"i.png", 128, flipped, false},
		"more behind":   {"i.png", 128, append(bytes.Clone(good), "<script>"...), false},
		"huge":          {"i.png", 128, big, false},
		"too big":       {"i.png", 1024, pngOf(1025, 1025), false},
		"not square":    {"i.png", 128, pngOf(128, 64), false},
		"other size":    {"i.png", 256, good, false},
		"script in svg": {"i.svg", 128, []byte(strings.Replace(goodSVG, "<title>", "<script/><title>", 1)), false},
	} {
		t.Run(name, func(t *testing.T) {
			content := rawZip(sampleEntries(t, icons(c.src, c.size), rawEntry{name: c.src, body: c.body})...)
			s, err := openBytes(t, sampleBundle(t, content), Options{})
			if !c.ok {
				assertRefused(t, err, RuleIcon, c.src)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if want := map[string]string{"i.png": mimePNG, "i.svg": mimeSVG}[c.src]; s.IconMIME != want {
				t.Errorf("media type %s", s.IconMIME)
			}
		})
	}
	content := rawZip(sampleEntries(t, icons("i.svg", 128), rawEntry{name: "i.svg", body: []byte(goodSVG + strings.Repeat("<!-- -->", 70<<10))})...)
	_, err := openBytes(t, sampleBundle(t, content), Options{})
	assertRefused(t, err, RuleIcon, "i.svg")
}

func TestMainIcon(t *testing.T) {
	for _, c := range []struct {
		icons []Icon
		want  string
	}{
		{[]Icon{{"a", 64, ""}, {"b", 256, ""}, {"c", 128, ""}}, "c"},
		{[]Icon{{"a", 128, "dark"}, {"b", 512, ""}}, "b"},
		{[]Icon{{"a", 128, "dark"}, {"b", 64, ""}}, "a"},
		{[]Icon{{"a", 32, ""}, {"b", 64, ""}}, "b"},
	} {
		if got, err := mainIcon(c.icons); err != nil || got.Src != c.want {
			t.Errorf("%v: %s, %v", c.icons, got.Src, err)
		}
	}
	if _, err := mainIcon(nil); err == nil {
		t.Error("an icon out of nothing")
	}
}

func TestDocuments(t *testing.T) {
	for text, ok := range map[string]bool{
		"# Notes\n\nPlain *Markdown* with a [link](https://example.org) and <https://example.org>.\r\n": true,
		"![shot](shots/1.png)":            true,
		"`<b>` and\n```html\n<b>\n```\n":  true,
		"3 < 4 and 4 > 3":                 true,
		"<b>bold</b>":                     false,
		"<script>x</script>":              false,
		"<!-- hi -->":                     false,
		"```\nend\n```\n<img src=x>":      false,
		"![x](https://evil.example/a)":    false,
		"![x]( <//evil.example/a>)":       false,
		"![x](data:image/png;base64,AAA)": false,
		"![x][ref]\n\n[ref]: https://e.x": false,
		"\xff":                            false,
		"a\x1b[2Jb":                       false,
		"a\u202eb":                        false,
	} {
		if err := checkDocument("a.md", []byte(text), DefaultLimits); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
	content := rawZip(sampleEntries(t, func(m map[string]any) { m["description_file"] = "a.md" }, file("a.md", "<b>"))...)
	_, err := openBytes(t, sampleBundle(t, content), Options{})
	assertRefused(t, err, RuleDocument, "a.md")
	content = rawZip(sampleEntries(t, func(m map[string]any) { m["description_file"] = "a.md" }, file("a.md", strings.Repeat("text ", 60<<10)))...)
	_, err = openBytes(t, sampleBundle(t, content), Options{Limits: Limits{Ratio: 1000}})
	assertRefused(t, err, RuleDocument, "a.md")
}

func TestMissingFiles(t *testing.T) {
	for name, change := range map[string]func(map[string]any){
		"about.md": func(m map[string]any) { m["description_file"] = "about.md" },
		"shot.png": func(m map[string]any) { m["screenshots"] = []any{map[string]any{"src": "shot.png"}} },
		"public":   func(m map[string]any) { m["serve"].(map[string]any)["dir"] = "public" },
		"www":      func(m map[string]any) { m["serve"] = map[string]any{"mode": "static", "dir": "www"} },
		"other.js": func(m map[string]any) { m["serve"].(map[string]any)["entry"] = "other.js" },
		"m.js":     func(m map[string]any) { m["data"] = map[string]any{"schema": 1, "migrate": "m.js"} },
	} {
		_, err := openBytes(t, sampleBundle(t, rawZip(sampleEntries(t, change)...)), Options{})
		assertRefused(t, err, RuleMissing, name)
	}
	noEntry := rawZip(sampleEntries(t, func(m map[string]any) { delete(m["serve"].(map[string]any), "entry") })...)
	_, err := openBytes(t, sampleBundle(t, noEntry), Options{})
	assertRefused(t, err, RuleMissing, ManifestName)
	ts := rawZip(sampleEntries(t, func(m map[string]any) { m["serve"].(map[string]any)["entry"] = "main.ts" }, file("main.ts", sampleApp))...)
	_, err = openBytes(t, sampleBundle(t, ts), Options{Dev: true})
	assertRefused(t, err, RuleManifest, ManifestName)
	if _, err := openBytes(t, ts, Options{Dev: true}); err != nil {
		t.Errorf("an author's own TypeScript: %v", err)
	}
	static := rawZip(sampleEntries(t, func(m map[string]any) { m["serve"] = map[string]any{"mode": "static", "dir": "www"} }, file("www/index.html", "<p>"))...)
	if _, err := openBytes(t, sampleBundle(t, static), Options{}); err != nil {
		t.Errorf("a static app: %v", err)
	}
}

func FuzzSVG(f *testing.F) {
	f.Add([]byte(goodSVG))
	f.Add([]byte(`<svg xmlns="http://www.w3.org/2000/svg"><g id="a"><use href="#a"/></g><style>a{}</style></svg>`))
	f.Fuzz(func(t *testing.T, content []byte) {
		if checkSVG(content) != nil {
			return
		}
		low := strings.ToLower(string(content))
		for _, word := range []string{"<script", "<foreignobject", "<iframe", "<image", "<!doctype", "<!entity"} {
			// Inside a comment or CDATA the word is text.
			if strings.Contains(low, word) && !strings.Contains(low, "<!--") && !strings.Contains(low, "<![cdata[") {
				t.Fatalf("passes with %s: %q", word, content)
			}
		}
	})
}
