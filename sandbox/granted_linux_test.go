package sandbox

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"paddock/sandbox/egress"
)

// wantAllowed wants the named attempts to have come to exactly this.
func wantAllowed(t *testing.T, results map[string]string, want map[string]string) {
	t.Helper()
	for name, text := range want {
		if results[name] != "allowed: "+text {
			t.Errorf("%s: %q, want %q", name, results[name], text)
		}
	}
}

func wantRefused(t *testing.T, results map[string]string, names ...string) {
	t.Helper()
	for _, name := range names {
		if !strings.HasPrefix(results[name], "refused: ") {
			t.Errorf("%s: %q, want it refused", name, results[name])
		}
	}
}

// What needs no grant: the app's own data, in every form, behind both walls.
func TestOwnData(t *testing.T) {
	sup := supervisorForTest(t)
	spec := specForTest(t, "")
	spec.Facts = map[string]string{"PADDOCK_FACT": "known"}
	results := attempts(t, sup, spec, `
const d = paddock.dataDir;
await attempt("working folder", () => Deno.cwd() === d && d);
await attempt("a file", () => { Deno.writeTextFileSync("note", "text"); return Deno.readTextFileSync(d + "/note"); });
await attempt("folders and renaming", () => { Deno.mkdirSync(d + "/a/b", { recursive: true }); Deno.mkdirSync(d + "/c"); Deno.writeTextFileSync(d + "/a/b/f", "x"); Deno.renameSync(d + "/a/b/f", d + "/c/g"); Deno.removeSync(d + "/a", { recursive: true }); return Deno.readTextFileSync(d + "/c/g"); });
await attempt("node:fs", async () => { const fs = await import("node:fs/promises"); await fs.writeFile(d + "/n", "n"); return await fs.readFile(d + "/n", "utf8"); });
await attempt("sqlite", async () => { const { DatabaseSync } = await import("node:sqlite"); const db = new DatabaseSync(d + "/db"); db.exec("create table if not exists t (x); insert into t values (7)"); return db.prepare("select x from t").get().x; });
await attempt("localStorage", () => { localStorage.setItem("k", "v"); return localStorage.getItem("k"); });
await attempt("cache", async () => { const c = await caches.open("c"); await c.put("http://x/y", new Response("kept")); return await (await c.match("http://x/y")).text(); });
await attempt("own code", () => Deno.readTextFileSync(new URL(import.meta.url)).length > 0);
await attempt("a fact", () => Deno.env.get("PADDOCK_FACT"));
await attempt("another variable", () => String(Deno.env.get("HOME")));
await attempt("wasm", async () => (await WebAssembly.instantiate(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]))) !== null);
await attempt("neutral hostname", () => Deno.hostname());
await attempt("time zone", () => typeof Intl.DateTimeFormat().resolvedOptions().timeZone);
await attempt("worker", () => new Promise((ok, no) => { const w = new Worker("data:application/javascript,self.postMessage(1)", { type: "module" }); w.onmessage = () => { w.terminate(); ok("ran"); }; w.onerror = no; }));
`)
	wantAllowed(t, results, map[string]string{
		"working folder": spec.DataDir, "a file": "text", "folders and renaming": "x", "node:fs": "n", "sqlite": "7",
		"localStorage": "v", "cache": "kept", "own code": "true", "a fact": "known", "another variable": "undefined",
		"wasm": "true", "neutral hostname": "localhost", "time zone": "string", "worker": "ran",
	})
	info, err := os.Stat(filepath.Join(spec.DataDir, "note"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the app's files are %v, %v; want readable by their owner only", info.Mode(), err)
	}
}

func TestSlots(t *testing.T) {
	sup := supervisorForTest(t)
	spec := specForTest(t, "")
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"read", "write"} {
		mkdir(t, filepath.Join(dir, name))
		for _, file := range []string{name + "/inside", name + ".txt"} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(file), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	link(t, "/etc/hostname", filepath.Join(dir, "write", "leads-out"))
	spec.Slots = []Slot{
		{Name: "rd", Path: filepath.Join(dir, "read"), Folder: true},
		{Name: "wd", Path: filepath.Join(dir, "write"), Folder: true, Write: true},
		{Name: "rf", Path: filepath.Join(dir, "read.txt")},
		{Name: "wf", Path: filepath.Join(dir, "write.txt"), Write: true},
	}
	results := attempts(t, sup, spec, `
const { rd, wd, rf, wf } = paddock.slots;
await attempt("read in a folder", () => Deno.readTextFileSync(rd.path + "/inside"));
await attempt("list a folder", () => [...Deno.readDirSync(rd.path)].map((e) => e.name).join());
await attempt("write in a folder for reading", () => Deno.writeTextFileSync(rd.path + "/inside", "x"));
await attempt("write in a folder", () => { Deno.writeTextFileSync(wd.path + "/new", "new"); return Deno.readTextFileSync(wd.path + "/new"); });
await attempt("read a file", () => Deno.readTextFileSync(rf.path));
await attempt("write a file for reading", () => Deno.writeTextFileSync(rf.path, "x"));
await attempt("write a file", () => { Deno.writeTextFileSync(wf.path, "written"); return Deno.readTextFileSync(wf.path); });
await attempt("remove a file slot", () => Deno.removeSync(wf.path));
await attempt("list beside", () => [...Deno.readDirSync(rd.path + "/..")].length);
await attempt("follow a link out", () => Deno.readTextFileSync(wd.path + "/leads-out"));
await attempt("write through a link out", () => Deno.writeTextFileSync(wd.path + "/leads-out", "x"));
await attempt("facts of a slot", () => JSON.stringify([rd.write, wd.write, rd.folder, rf.folder]));
await attempt("frozen", () => { "use strict"; rd.path = "/"; });
`)
	wantAllowed(t, results, map[string]string{
		"read in a folder": "read/inside", "list a folder": "inside", "write in a folder": "new", "read a file": "read.txt",
		"write a file": "written", "facts of a slot": "[false,true,true,false]",
	})
	wantRefused(t, results, "write in a folder for reading", "write a file for reading", "remove a file slot", "list beside",
		"follow a link out", "write through a link out", "frozen")
}

func TestGrantedSys(t *testing.T) {
	sup := supervisorForTest(t)
	spec := specForTest(t, "")
	spec.Allow = setOf(t, "sys:hostname")
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	results := attempts(t, sup, spec, `
await attempt("granted", () => Deno.hostname());
await attempt("neutral", () => Deno.osRelease());
await attempt("not granted", () => Deno.systemMemoryInfo().total);
`)
	wantAllowed(t, results, map[string]string{"granted": name, "neutral": ""})
	wantRefused(t, results, "not granted")
}

// A granted host is reached through the proxy, and only it; each wall would refuse the rest.
func TestGrantedNet(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "site ", r.Host) }))
	defer site.Close()
	address := site.Listener.Addr().String()
	var mu sync.Mutex
	events := map[string]bool{}
	sup := supervisorForTest(t, func(o *Options) {
		o.Egress = egress.Options{Resolve: map[string]string{"api.example.com:80": address, "other.example.com:80": address, "any.example.org:80": address}}
		o.OnEgress = func(_ string, e egress.Event) {
			mu.Lock()
			defer mu.Unlock()
			events[e.Target] = events[e.Target] || e.Allowed
		}
	})
	port := site.Listener.Addr().(*net.TCPAddr).Port
	const module = `
const get = async (url) => await (await fetch(url)).text();
await attempt("granted", () => get("http://api.example.com/"));
await attempt("other host", () => get("http://other.example.com/"));
await attempt("other site", () => get("http://any.example.org/"));
await attempt("loopback by number", () => get("http://127.0.0.1:%[1]d/"));
await attempt("loopback by name", () => get("http://localhost:%[1]d/"));
await attempt("connect", async () => await Deno.connect({ hostname: "api.example.com", port: 80 }));
await attempt("listen", () => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
await attempt("listen by name", () => Deno.listen({ hostname: "api.example.com", port: 80 }));
await attempt("abstract socket", async () => { const n = await import("node:net"); return await new Promise((ok, no) => n.connect("\0paddock", ok).on("error", no)); });
await attempt("query everything", () => { const s = Deno.permissions.querySync({ name: "net" }).state; if (s !== "granted") throw new Error(s); });
`
	text := fmt.Sprintf(module, port)
	always := []string{"loopback by number", "loopback by name", "connect", "listen", "listen by name", "abstract socket", "query everything"}

	one := specForTest(t, "")
	one.Allow = setOf(t, "net:api.example.com:80")
	results := attempts(t, sup, one, text)
	wantAllowed(t, results, map[string]string{"granted": "site api.example.com"})
	wantRefused(t, results, append(always, "other host", "other site")...)

	wild := specForTest(t, "")
	wild.Allow, wild.Deny = setOf(t, "net:*.example.com:80"), setOf(t, "net:other.example.com:80")
	results = attempts(t, sup, wild, text)
	wantAllowed(t, results, map[string]string{"granted": "site api.example.com"})
	wantRefused(t, results, append(always, "other host", "other site")...)

	all := specForTest(t, "")
	all.Allow = setOf(t, "net:*")
	results = attempts(t, sup, all, text)
	wantAllowed(t, results, map[string]string{"granted": "site api.example.com", "other host": "site other.example.com", "other site": "site any.example.org"})
	wantRefused(t, results, always...)

	mu.Lock()
	defer mu.Unlock()
	if !events["api.example.com:80"] || !events["any.example.org:80"] {
		t.Errorf("the proxy told of %v", events)
	}
}

// The proxy's socket is alone in its folder and goes with the instance.
func TestEgressReport(t *testing.T) {
	sup := supervisorForTest(t)
	spec := specForTest(t, `export default { fetch: () => new Response("ok") };`)
	spec.Allow = setOf(t, "net:example.com")
	in := launchForTest(t, sup, spec)
	r := in.Report()
	if !in.applied.Redirect || r.Level != "full" || r.Open != "" {
		t.Errorf("report: %+v", r)
	}
	info, err := os.Stat(filepath.Dir(in.paths.Proxy))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the proxy's folder: %v, %v", info, err)
	}
	entries, err := os.ReadDir(filepath.Dir(in.paths.Proxy))
	if err != nil || len(entries) != 1 {
		t.Errorf("the proxy's socket is not alone: %v, %v", entries, err)
	}
	in.Kill()
	ended(t, in)
	if _, err := os.Stat(in.paths.Proxy); !os.IsNotExist(err) {
		t.Errorf("the proxy's socket is left: %v", err)
	}
}

// Page-side sockets reach each kind of server.
func TestWebSockets(t *testing.T) {
	kinds := map[string]string{
		"fetch": `export default { fetch: (r) => up(r) };`,
		"deno":  `Deno.serve((r) => up(r));`,
	}
	const up = `const up = (r) => { const { socket, response } = Deno.upgradeWebSocket(r); socket.onmessage = (m) => socket.send("echo " + m.data); return response; };` + "\n"
	sup := supervisorForTest(t)
	for name, module := range kinds {
		t.Run(name, func(t *testing.T) {
			spec := specForTest(t, up+module)
			spec.ID = name
			in := launchForTest(t, sup, spec)
			dialer := ws.Dialer{NetDial: func(ctx context.Context, _, _ string) (net.Conn, error) { return in.Dial(ctx) }}
			conn, _, _, err := dialer.Dial(t.Context(), "ws://app.localhost/chat")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if err := wsutil.WriteClientText(conn, []byte("hello")); err != nil {
				t.Fatal(err)
			}
			answer, err := wsutil.ReadServerText(conn)
			if err != nil || string(answer) != "echo hello" {
				t.Errorf("answered %q, %v", answer, err)
			}
		})
	}
	t.Run("node", func(t *testing.T) {
		spec := specForTest(t, `
import http from "node:http";
const server = http.createServer((q, r) => r.end("plain"));
server.listen(3000);
server.on("upgrade", (q, socket, head) => {
  socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n");
  socket.on("data", (d) => socket.write("echo " + d));
});`)
		spec.ID = "node"
		in := launchForTest(t, sup, spec)
		if text := ask(t, in, "/"); text != "plain" {
			t.Errorf("answered %q", text)
		}
		conn, err := in.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if _, err := fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		buf := make([]byte, 512)
		for !strings.HasSuffix(got.String(), "\r\n\r\n") {
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatalf("after %q: %v", got.String(), err)
			}
			got.Write(buf[:n])
		}
		if !strings.HasPrefix(got.String(), "HTTP/1.1 101") {
			t.Fatalf("answered %q", got.String())
		}
		if _, err := fmt.Fprint(conn, "hello"); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(buf)
		if err != nil || string(buf[:n]) != "echo hello" {
			t.Errorf("answered %q, %v", buf[:n], err)
		}
	})
}
