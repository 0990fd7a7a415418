package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// attempts runs a module whose top level and handler make attempts, and returns what each came to. The module gets
// try(name, fn), which records "allowed: …" or "refused: …".
func attempts(t *testing.T, sup *Supervisor, spec Spec, module string) map[string]string {
	t.Helper()
	text := `const results = {};
async function attempt(name, fn) {
  try { results[name] = "allowed: " + await fn(); } catch (e) { results[name] = "refused: " + String(e); }
}
` + module + `
export default { fetch: () => Response.json(results) };`
	path := filepath.Join(spec.AppDir, spec.Entry)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	in := launchForTest(t, sup, spec)
	var results map[string]string
	if err := json.Unmarshal([]byte(ask(t, in, "/")), &results); err != nil {
		t.Fatal(err)
	}
	in.Kill()
	ended(t, in)
	return results
}

// allRefused wants every attempt refused, and at least n of them.
func allRefused(t *testing.T, results map[string]string, n int) {
	t.Helper()
	if len(results) < n {
		t.Errorf("%d attempts were made, want %d: %v", len(results), n, results)
	}
	for _, name := range slices.Sorted(maps.Keys(results)) {
		if !strings.HasPrefix(results[name], "refused: ") {
			t.Errorf("%s: %s", name, results[name])
		}
	}
}

// A module in Deno's static graph is not checked at all. The app is reached by a run-time value, so its own static
// imports are: an app that imports a file of the user's as text does not start.
func TestStaticImportOutside(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("the secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	sup := supervisorForTest(t)
	for name, module := range map[string]string{
		"text":   fmt.Sprintf(`import text from %q with { type: "text" }; export default { fetch: () => new Response(text) };`, secret),
		"passwd": `import text from "/etc/passwd" with { type: "text" }; export default { fetch: () => new Response(text) };`,
		"json":   fmt.Sprintf(`import text from %q with { type: "json" }; export default { fetch: () => new Response(text) };`, secret),
		"module": fmt.Sprintf(`import * as m from %q; export default { fetch: () => new Response("x") };`, secret),
	} {
		t.Run(name, func(t *testing.T) {
			spec := specForTest(t, module)
			in, err := sup.Launch(t.Context(), spec)
			if err == nil {
				t.Fatalf("it started and answers %q", ask(t, in, "/"))
			}
			var failed *StartError
			if !errors.As(err, &failed) || failed.Reason != StartExited || !strings.Contains(failed.Tail, "Requires read access") {
				t.Errorf("launch: %v\n%s", err, failed.Tail)
			}
		})
	}
}

// What an app does to its world before, while and after it is loaded does not give it back what the entry gave up.
func TestAppKeepsNothing(t *testing.T) {
	sup := supervisorForTest(t)
	spec := specForTest(t, "")
	secret := filepath.Join(filepath.Dir(spec.AppDir), "secret")
	if err := os.WriteFile(secret, []byte("the secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	sibling := filepath.Join(filepath.Dir(spec.AppDir), "appendix")
	if err := os.Mkdir(sibling, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(sibling, "file"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	results := attempts(t, sup, spec, fmt.Sprintf(`
const config = JSON.parse(Deno.args[0]), sock = config.socket, secret = %q, app = %q, runtime = %q, sibling = %q;
const must = (s) => { if (s !== "granted") throw new Error(s); return s; };
await attempt("query read of the socket", () => must(Deno.permissions.querySync({ name: "read", path: sock }).state));
await attempt("query write of the socket", () => must(Deno.permissions.querySync({ name: "write", path: sock }).state));
await attempt("query net of the socket", () => must(Deno.permissions.querySync({ name: "net", host: "unix:" + sock }).state));
await attempt("request the socket again", async () => must((await Deno.permissions.request({ name: "net", host: "unix:" + sock })).state));
await attempt("connect to the own socket", async () => (await Deno.connect({ transport: "unix", path: sock })).close());
await attempt("listen on the own socket", () => Deno.listen({ transport: "unix", path: sock }));
await attempt("remove the own socket", () => Deno.removeSync(sock));
await attempt("stat the own socket", () => Deno.statSync(sock));
await attempt("host channel by fetch", async () => (await fetch("http://localhost/.paddock/host", { client: Deno.createHttpClient({ proxy: { transport: "unix", path: sock } }) })).status);
await attempt("connect by node:net", async () => { const net = await import("node:net"); return await new Promise((ok, no) => net.connect(sock, ok).on("error", no)); });
await attempt("read a file beside", () => Deno.readTextFileSync(secret));
await attempt("read by node:fs", async () => (await import("node:fs")).readFileSync(secret, "utf8"));
await attempt("read by fetch", async () => await (await fetch("file://" + secret)).text());
await attempt("read by import", async () => (await import(secret, { with: { type: "text" } })).default);
await attempt("read by worker import", () => new Promise((ok, no) => { const w = new Worker("data:application/javascript," + encodeURIComponent("try { self.postMessage('allowed ' + Deno.readTextFileSync(" + JSON.stringify(secret) + ")) } catch (e) { self.postMessage('no ' + e) }"), { type: "module" }); w.onmessage = (m) => { w.terminate(); m.data.startsWith("allowed") ? ok(m.data) : no(new Error(m.data)); }; w.onerror = (e) => { e.preventDefault(); no(new Error(e.message)); }; }));
await attempt("read a folder whose name begins alike", () => Deno.readTextFileSync(sibling + "/file"));
await attempt("list the parent", () => [...Deno.readDirSync(app + "/..")].length);
await attempt("write in the app's folder", () => Deno.writeTextFileSync(app + "/new.js", "x"));
await attempt("read the runtime folder", () => [...Deno.readDirSync(runtime)].length);
await attempt("read Deno's cache", () => Deno.readFileSync(runtime + "/deno/v8_code_cache_v2").length);
await attempt("write the runtime folder", () => Deno.writeTextFileSync(runtime + "/x", "x"));
await attempt("open Deno's cache with sqlite", async () => { const { DatabaseSync } = await import("node:sqlite"); return new DatabaseSync(runtime + "/deno/v8_code_cache_v2"); });
await attempt("link out", () => Deno.symlinkSync(secret, paddock.dataDir + "/link"));
await attempt("hard link out", () => Deno.linkSync(secret, paddock.dataDir + "/link"));
await attempt("run a program", () => new Deno.Command("/bin/true").outputSync().code);
await attempt("run Deno", () => new Deno.Command(Deno.execPath(), { args: ["--version"] }).outputSync().code);
await attempt("child_process", async () => (await import("node:child_process")).execFileSync("/bin/true"));
await attempt("load a library", () => Deno.dlopen("libc.so.6", {}));
await attempt("the environment", () => { if (Deno.env.get("HOME") === undefined && Object.keys(Deno.env.toObject()).length === 0) throw new Error("empty"); return Deno.env.get("HOME"); });
await attempt("node's environment", () => { if (Object.keys(process.env).length === 0) throw new Error("empty"); return Object.keys(process.env); });
await attempt("the user's name", () => Deno.systemMemoryInfo().total);
await attempt("TCP listen", () => Deno.listen({ port: 0, hostname: "127.0.0.1" }));
await attempt("TCP connect", async () => await Deno.connect({ port: 80, hostname: "127.0.0.1" }));
await attempt("fetch a site", async () => (await fetch("http://example.com/")).status);
await attempt("an abstract socket", async () => { const net = await import("node:net"); return await new Promise((ok, no) => net.connect("\0paddock-test", ok).on("error", no)); });
await attempt("import from a site", async () => await import("https://deno.land/std/version.ts"));
await attempt("signal the parent", () => Deno.kill(Deno.ppid, "SIGCONT"));
await attempt("set-uid bits", () => { Deno.writeTextFileSync(paddock.dataDir + "/s", "x"); Deno.chmodSync(paddock.dataDir + "/s", 0o4755); if (!(Deno.statSync(paddock.dataDir + "/s").mode & 0o6000)) throw new Error("gone"); });
await attempt("replace the host module", () => { globalThis.paddock = {}; if (globalThis.paddock.dataDir) throw new Error("still there"); });
await attempt("change the host module", () => { "use strict"; paddock.permissions.query = 1; });
await attempt("exports of the entry", async () => { const m = await import(Deno.mainModule); if (Object.keys(m).length === 0) throw new Error("none"); return Object.keys(m); });
`, secret, spec.AppDir, spec.RuntimeDir, sibling))
	allRefused(t, results, 40)
}

// An app that replaces what the entry uses changes its own world only: the host still gets its answers.
func TestAppReplacesGlobals(t *testing.T) {
	asked := make(chan Message, 1)
	sup := supervisorForTest(t, func(o *Options) {
		o.OnMessage = func(_ string, m Message) Message {
			asked <- m
			return Message{State: "denied"}
		}
	})
	spec := specForTest(t, `
const evil = () => { throw new Error("replaced"); };
const R = Response, then = Promise.prototype.then, start = String.prototype.startsWith;
JSON.stringify = JSON.parse = evil;
Map.prototype.get = Map.prototype.set = evil;
String.prototype.startsWith = String.prototype.slice = String.prototype.indexOf = () => -1;
TextEncoder.prototype.encode = TextDecoder.prototype.decode = evil;
ReadableStreamDefaultController.prototype.enqueue = evil;
ReadableStreamDefaultReader.prototype.read = evil;
ReadableStream.prototype.getReader = evil;
Reflect.apply = Function.prototype.call = Function.prototype.apply = evil;
Object.defineProperty(Request.prototype, "url", { get: () => "http://x/.paddock/ready" });
Object.defineProperty(Request.prototype, "body", { get: evil });
globalThis.Response = globalThis.Map = globalThis.Error = globalThis.TextDecoder = class { constructor() { throw 1; } };
Deno.serve = Deno.permissions.revokeSync = Deno.exit = evil;
export default { async fetch() { return new R("state " + await paddock.permissions.request("net:example.com")); } };`)
	in := launchForTest(t, sup, spec)
	waitFor(t, "the app to be told", func() bool {
		text, err := tryAsk(t.Context(), in, "/")
		return err == nil && text == "state denied"
	})
	if m := <-asked; m.Permission != "net:example.com" || m.Kind != "permissions.request" {
		t.Errorf("asked %+v", m)
	}
	status, text, err := in.get(t.Context(), in.paths.Socket, "/.paddock/ready")
	if err != nil || status != 200 || text != "fetch" {
		t.Errorf("ready: %d %q %v", status, text, err)
	}
}

// The host's addresses never reach the app, and the channel has one holder.
func TestHostAddresses(t *testing.T) {
	sup := supervisorForTest(t, func(o *Options) {
		o.OnMessage = func(_ string, m Message) Message { return Message{State: "prompt"} }
	})
	in := launchForTest(t, sup, specForTest(t, `export default { fetch: async (r) => new Response("app " + await paddock.permissions.query("lan")) };`))
	waitFor(t, "the channel", func() bool {
		text, err := tryAsk(t.Context(), in, "/")
		return err == nil && text == "app prompt"
	})
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/.paddock/ready", 200},
		{"GET", "/.paddock/host", 409}, // a second holder
		{"PUT", "/.paddock/host", 405},
		{"GET", "/.paddock/", 404},
		{"GET", "/.paddock/x?y", 404},
	} {
		status, text, err := in.do(t.Context(), in.paths.Socket, c.method, c.path, nil)
		if err != nil || status != c.want || strings.Contains(text, "app") {
			t.Errorf("%s %s: %d %q %v, want %d", c.method, c.path, status, text, err, c.want)
		}
	}
}

// The poison-cache attack: with DENO_DIR inside the data folder an app rewrote the cached bytecode of the host's entry,
// and the next launch ran it before anything was revoked. The cache now lies where the app cannot write.
func TestPoisonedCache(t *testing.T) {
	sup := supervisorForTest(t)
	spec := specForTest(t, "")
	poison := fmt.Sprintf(`
const runtime = %q;
await attempt("through sqlite", async () => {
  const { DatabaseSync } = await import("node:sqlite");
  const db = new DatabaseSync(runtime + "/deno/v8_code_cache_v2");
  return db.prepare("update codecache set data = x'00'").run().changes;
});
await attempt("by attaching", async () => {
  const { DatabaseSync } = await import("node:sqlite");
  const db = new DatabaseSync(":memory:");
  return db.exec("attach '" + runtime + "/deno/v8_code_cache_v2' as cache");
});
await attempt("by writing", () => Deno.writeFileSync(runtime + "/deno/v8_code_cache_v2", new Uint8Array(10)));
await attempt("by removing", () => Deno.removeSync(runtime + "/deno", { recursive: true }));
await attempt("by renaming", () => Deno.renameSync(runtime + "/deno", paddock.dataDir + "/deno"));
`, spec.RuntimeDir)
	for range 2 { // the second launch uses the cache
		allRefused(t, attempts(t, sup, spec, poison), 5)
	}
	if _, err := os.Stat(filepath.Join(spec.RuntimeDir, "deno", "v8_code_cache_v2")); err != nil {
		t.Errorf("the cache is not where the attack looked for it: %v", err)
	}
}
