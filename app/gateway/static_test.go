package gateway

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func staticRig(t *testing.T, files map[string]string) (*rig, string) {
	t.Helper()
	outer := shortDir(t)
	dir := filepath.Join(outer, "v1")
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(outer, "secret.txt"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	return newRig(t, nil, func(a *App) { a.Mode, a.StaticDir = ModeStatic, dir }), dir
}

func TestStatic(t *testing.T) {
	r, dir := staticRig(t, map[string]string{
		"index.html": "<h1>home", "a.js": "let a", "a.js.br": "BR", "a.js.gz": "GZ", "b.css": "b{}", "b.css.gz": "GZB", "folder/index.html": "inside",
		"empty/x.txt": "x", ".hidden": "no", ".git/config": "no", "folder/.env": "no", "paddock.json": "{}", "folder/paddock.json": "{}",
		"weird name.TXT": "w", "data.unknownext": "u", "big.txt": "0123456789",
	})
	if err := os.Symlink("../secret.txt", filepath.Join(dir, "link.txt")); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, row := range []struct {
		path, header string
		status       int
		body         string // "" not compared
		kind, coding string
	}{
		{"/", "", 200, "<h1>home", "text/html; charset=utf-8", ""},
		{"/index.html", "", 200, "<h1>home", "text/html; charset=utf-8", ""},
		{"/?q=1", "", 200, "<h1>home", "text/html; charset=utf-8", ""},
		{"/a.js", "", 200, "let a", "text/javascript; charset=utf-8", ""},
		{"/a.js", "Accept-Encoding: gzip, deflate, br", 200, "BR", "text/javascript; charset=utf-8", "br"},
		{"/a.js", "Accept-Encoding: gzip;q=1, br;q=0", 200, "GZ", "text/javascript; charset=utf-8", "gzip"},
		{"/a.js", "Accept-Encoding: identity", 200, "let a", "text/javascript; charset=utf-8", ""},
		{"/b.css", "Accept-Encoding: br, gzip", 200, "GZB", "text/css; charset=utf-8", "gzip"},
		{"/folder/", "", 200, "inside", "text/html; charset=utf-8", ""},
		{"/folder", "", 301, "", "", ""},
		{"/weird%20name.TXT", "", 200, "w", "text/plain; charset=utf-8", ""},
		{"/data.unknownext", "", 200, "u", "application/octet-stream", ""},
		{"/big.txt", "Range: bytes=2-3", 206, "23", "text/plain; charset=utf-8", ""},
		{"/big.txt", "Range: bytes=-1", 206, "9", "text/plain; charset=utf-8", ""},
		{"/big.txt", "Range: bytes=90-", 416, "", "", ""},
		{"/big.txt", "Range: bytes=4-2", 416, "", "", ""},
		{"/big.txt", "Range: lines=1-2", 416, "", "", ""},
		{"/big.txt", "Range: bytes=0-0,0-9,0-9,0-9", 200, "0123456789", "text/plain; charset=utf-8", ""}, // more than the whole
		{"/a.js", "Accept-Encoding: br\r\nRange: bytes=1-1", 206, "R", "text/javascript; charset=utf-8", "br"},
		{"/a.js", "Accept-Encoding: br\r\nRange: bytes=0-0,1-1", 206, "", "", "br"},
		{"/a.js.br", "", 200, "BR", "application/octet-stream", ""},
		{"/b.css", "Accept-Encoding: br", 200, "b{}", "text/css; charset=utf-8", ""},
		{"/b.css", "Accept-Encoding: *;q=0, gzip;q=0.001", 200, "GZB", "text/css; charset=utf-8", "gzip"},
		{"/folder/paddock.json", "", 200, "{}", "application/json", ""},

		{"/paddock.json", "", 404, "", "", ""},
		{"/PADDOCK.json", "", 404, "", "", ""},
		{"/paddock.json/", "", 404, "", "", ""},
		{"/./paddock.json", "", 404, "", "", ""},
		{"//paddock.json", "", 404, "", "", ""},
		{"/folder/../paddock.json", "", 404, "", "", ""},
		{"/.hidden", "", 404, "", "", ""},
		{"/%2ehidden", "", 404, "", "", ""},
		{"/.git/config", "", 404, "", "", ""},
		{"/folder/.env", "", 404, "", "", ""},
		{"/../secret.txt", "", 404, "", "", ""},
		{"/..%2fsecret.txt", "", 404, "", "", ""},
		{"/%2e%2e/secret.txt", "", 404, "", "", ""},
		{"/..\\secret.txt", "", 404, "", "", ""},
		{"/..%5csecret.txt", "", 404, "", "", ""},
		{"/link.txt", "", 404, "", "", ""},
		{"/sock", "", 404, "", "", ""},
		{"/a.js%00.txt", "", 404, "", "", ""},
		{"/empty/", "", 404, "", "", ""},
		{"/empty", "", 404, "", "", ""},
		{"/a.js/", "", 404, "", "", ""},
		{"/missing", "", 404, "", "", ""},
		{"/" + strings.Repeat("a", 5000), "", 404, "", "", ""},
	} {
		var more []string
		if row.header != "" {
			more = []string{row.header}
		}
		res := r.get(row.path, more...)
		if res.StatusCode != row.status || row.body != "" && res.body != row.body {
			t.Errorf("%.60s %s: %s %.80q", row.path, row.header, res.Status, res.body)
		}
		if row.kind != "" && res.Header.Get("Content-Type") != row.kind {
			t.Errorf("%s: type %q", row.path, res.Header.Get("Content-Type"))
		}
		if res.Header.Get("Content-Encoding") != row.coding {
			t.Errorf("%s %s: coding %q", row.path, row.header, res.Header.Get("Content-Encoding"))
		}
		if res.Header.Get("Content-Security-Policy") == "" || res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: no policy", row.path)
		}
		if strings.Contains(res.body, "secret") {
			t.Errorf("%s: the secret", row.path)
		}
	}
	if r.back.woken.Load() != 0 {
		t.Error("woken")
	}
	if got := r.get("/folder?a=b").Header.Get("Location"); got != "/folder/?a=b" {
		t.Errorf("redirect to %q", got)
	}
	if res := r.raw(r.lines("POST /", "Content-Length: 0")); res.StatusCode != 405 || res.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %s", res.Status)
	}
	if res := r.get("/big.txt", "Range: bytes=0-1, 8-"); res.StatusCode != 206 || !strings.HasPrefix(res.Header.Get("Content-Type"), "multipart/byteranges; boundary=") ||
		!strings.Contains(res.body, "Content-Range: bytes 0-1/10\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n01\r\n") || !strings.Contains(res.body, "Content-Range: bytes 8-9/10") ||
		res.Header.Get("Content-Security-Policy") == "" || res.ContentLength != int64(len(res.body)) {
		t.Errorf("two ranges: %s %v %q", res.Status, res.Header, res.body)
	}
	if res := r.raw(r.lines("HEAD /big.txt")); res.StatusCode != 200 || res.ContentLength != 10 || res.body != "" {
		t.Errorf("HEAD: %s %d", res.Status, res.ContentLength)
	}
	if res := r.raw("GET / HTTP/1.1\r\nHost: " + r.host + "\r\nConnection: close\r\n\r\n"); res.StatusCode != 401 {
		t.Errorf("no session: %s", res.Status)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if res := r.get("/"); res.StatusCode != 503 {
		t.Errorf("folder gone: %s", res.Status)
	}
}

func TestStaticTags(t *testing.T) {
	r, dir := staticRig(t, map[string]string{"a.js": "let a", "a.js.gz": "GZ", "index.html": "x"})
	plain, packed := r.get("/a.js"), r.get("/a.js", "Accept-Encoding: gzip")
	tag := plain.Header.Get("Etag")
	if tag == "" || tag == packed.Header.Get("Etag") || strings.HasPrefix(tag, "W/") {
		t.Fatalf("tags %q and %q", tag, packed.Header.Get("Etag"))
	}
	if vary := strings.Join(plain.Header["Vary"], ", "); vary != "Accept-Encoding, Sec-Fetch-Dest" {
		t.Errorf("Vary %q", vary)
	}
	if cache := plain.Header.Get("Cache-Control"); cache != "no-cache" {
		t.Errorf("Cache-Control %q", cache)
	}
	if cache := r.get("/").Header.Get("Cache-Control"); cache != "no-store" {
		t.Errorf("page: Cache-Control %q", cache)
	}
	if res := r.get("/a.js", "If-None-Match: "+tag); res.StatusCode != 304 || res.body != "" || res.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("same tag: %s", res.Status)
	}
	if res := r.get("/a.js", "If-None-Match: \"other\", W/"+tag); res.StatusCode != 304 || res.Header.Get("Etag") != tag || strings.Join(res.Header["Vary"], ", ") != "Accept-Encoding, Sec-Fetch-Dest" {
		t.Errorf("one of two tags: %s %v", res.Status, res.Header)
	}
	if res := r.get("/a.js", "If-None-Match: "+tag, "Accept-Encoding: gzip"); res.StatusCode != 200 || res.body != "GZ" {
		t.Errorf("the tag of the other form: %s %q", res.Status, res.body)
	}
	if res := r.get("/a.js", "If-Range: "+tag, "Range: bytes=0-1"); res.StatusCode != 206 || res.body != "le" {
		t.Errorf("range of this version: %s %q", res.Status, res.body)
	}
	if res := r.get("/a.js", "If-Range: \"other\"", "Range: bytes=0-1"); res.StatusCode != 200 {
		t.Errorf("range of another version: %s", res.Status)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.js"), []byte("let b"), 0o600); err != nil {
		t.Fatal(err)
	}
	if res := r.get("/a.js", "If-None-Match: "+tag); res.StatusCode != 200 || res.body != "let b" {
		t.Errorf("changed: %s %q", res.Status, res.body)
	}
}

// TestServerAppFiles: files of a server app come from the host, the rest from the app.
func TestServerAppFiles(t *testing.T) {
	dir := shortDir(t)
	if err := os.WriteFile(filepath.Join(dir, "logo.svg"), []byte("<svg/>"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("file"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, serveApp(t, hello("app")), func(a *App) { a.StaticDir = dir })
	if res := r.get("/logo.svg"); res.body != "<svg/>" || r.back.woken.Load() != 0 {
		t.Errorf("%q", res.body)
	}
	for _, request := range []string{r.lines("GET /"), r.lines("GET /x"), r.lines("GET /.hidden"), r.lines("POST /logo.svg", "Content-Length: 0")} {
		if res := r.raw(request); res.body != "app" {
			t.Errorf("%.20q: %q", request, res.body)
		}
	}
}
