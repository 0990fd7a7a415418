package egress

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// findDeno is the real Deno, which these tests are about.
func findDeno(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("PADDOCK_DENO"); path != "" {
		return path
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			path := filepath.Join(dir, "bin", "deno")
			if _, err := os.Stat(path); err == nil {
				return path
			}
			break
		}
	}
	t.Fatal("no Deno: run `make headless`, or set PADDOCK_DENO")
	return ""
}

// deno runs a script with the network permissions of an app whose proxy f is, and gives what it printed.
func (f *fixture) deno(t testing.TB, hosts, script string) string {
	t.Helper()
	s := f.Socket()
	return runDeno(t, script, []string{"HTTP_PROXY=unix:" + s, "HTTPS_PROXY=unix:" + s},
		"--allow-net="+hosts+",unix:"+s, "--allow-read="+s, "--allow-write="+s)
}

func runDeno(t testing.TB, script string, env []string, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "app.js")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	args := append([]string{"run", "--quiet", "--no-prompt", "--no-config", "--no-lock", "--no-remote", "--no-npm"}, flags...)
	cmd := exec.CommandContext(ctx, findDeno(t), append(args, file)...)
	// Deno 2.9.6 looks up the target of every new connection itself, also when it goes to a proxy that does so too, and
	// ignores the outcome. An app has no socket to do it with, and fails at once; here a name server may be slow to answer.
	cmd.Env = append([]string{"HOME=" + dir, "DENO_DIR=" + dir, "DENO_NO_UPDATE_CHECK=1", "NO_COLOR=1", "RES_OPTIONS=timeout:1 attempts:1"}, env...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		t.Fatalf("deno: %v\n%s%s", err, out.String(), problems.String())
	}
	return out.String()
}

// echo answers with what it saw, redirects, streams, and echoes a WebSocket.
func echo(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/inwards":
		http.Redirect(w, r, "http://127.0.0.1:8099/", http.StatusFound)
	case "/onwards":
		http.Redirect(w, r, "https://www.site.example/there", http.StatusFound)
	case "/stream":
		for i := range 3 {
			fmt.Fprintf(w, "piece %d\n", i)
			w.(http.Flusher).Flush()
		}
	case "/ws":
		c, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			message, op, err := wsutil.ReadClientData(c)
			if err != nil || wsutil.WriteServerMessage(c, op, message) != nil {
				return
			}
		}
	default:
		body, _ := io.ReadAll(r.Body)
		json.NewEncoder(w).Encode(map[string]any{"method": r.Method, "host": r.Host, "uri": r.RequestURI, "body": len(body)})
	}
}

func TestDeno(t *testing.T) {
	o := site(t, true, echo)
	plain := plainSite(t, echo)
	o.Resolve["site.example:80"] = plain.Resolve["site.example:80"]
	o.Policy.Allow = o.Policy.Allow.Union(plain.Policy.Allow).Union(set(t, "net:inside.example"))
	resolver := routes{"inside.example": "192.168.1.1", "denied.example": "127.0.0.1"}
	o.Resolver = resolver
	f := start(t, o)
	// Deno's own list is wider than the proxy's, as if it had been talked out of it.
	out := f.deno(t, "site.example:443,site.example:80,www.site.example:443,inside.example:443,denied.example:443,127.0.0.1:8099", `
		const show = async (name, url, init) => {
			try {
				const r = await fetch(url, init);
				console.log(name, r.status, (await r.text()).trim());
			} catch (e) { console.log(name, "failed", e.message); }
		};
		await show("https", "https://site.example/a%2Fb?c=d");
		await show("http", "http://site.example/");
		await show("post", "https://site.example/p", { method: "POST", body: new Uint8Array(300000) });
		await show("upload", "https://site.example/u", { method: "PUT", body: new ReadableStream({
			start(c) { for (let i = 0; i < 5; i++) c.enqueue(new Uint8Array(1000)); c.close(); } }) });
		await show("stream", "https://site.example/stream");
		await show("onwards", "https://site.example/onwards");
		await show("inwards", "https://site.example/inwards");
		await show("denied", "https://denied.example/");
		await show("private", "https://inside.example/");
		await show("no-tls", "https://site.example/", { method: "POST", body: "x", headers: { "content-length": "7" } });
		const many = await Promise.all(Array.from({ length: 40 }, (_, i) => fetch("https://site.example/" + i).then(r => r.json())));
		console.log("many", new Set(many.map(m => m.uri)).size);
		for (const scheme of ["ws", "wss"]) await new Promise(done => {
			const s = new WebSocket(scheme + "://site.example/ws");
			s.onopen = () => s.send("ping " + scheme);
			s.onmessage = e => { console.log("websocket", e.data); s.close(); };
			s.onerror = e => { console.log("websocket failed", scheme, e.message); done(); };
			s.onclose = () => done();
		});
		const stop = new AbortController();
		const r = await fetch("https://site.example/stream", { signal: stop.signal });
		stop.abort();
		await r.body?.cancel().catch(() => {});
	`)
	for _, want := range []string{
		`https 200 {"body":0,"host":"site.example","method":"GET","uri":"/a%2Fb?c=d"}`,
		`http 200 {"body":0,"host":"site.example","method":"GET","uri":"/"}`,
		`post 200 {"body":300000,`,
		`upload 200 {"body":5000,`,
		"stream 200 piece 0\npiece 1\npiece 2",
		`onwards 200 {"body":0,"host":"www.site.example","method":"GET","uri":"/there"}`,
		"inwards 403 This app may not talk to 127.0.0.1",
		"denied 403 This app may not talk to denied.example: it was not granted net:denied.example.",
		"private 403 This app may not talk to inside.example: it leads to an address on a private or local network",
		"many 40",
		"websocket ping ws\n",
		"websocket ping wss\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("missing: %s", want)
		}
	}
	if t.Failed() {
		t.Logf("deno printed:\n%s", out)
	}
	if s := f.Stats()["denied.example:443"]; s.Refused != 1 || s.Requests != 0 {
		t.Errorf("%+v", s)
	}
	if s := f.Stats()["site.example:443"]; s.Requests < 46 || s.BytesOut < 300_000 {
		t.Errorf("%+v", s)
	}
}

// What a Deno with the proxy's socket, but no other permission, tries directly is refused by the proxy as well.
func TestDenoRawSocket(t *testing.T) {
	f := start(t, site(t, false, func(http.ResponseWriter, *http.Request) { t.Error("reached the site") }))
	out := f.deno(t, "site.example:443", fmt.Sprintf(`
		const c = await Deno.connect({ transport: "unix", path: %q });
		await c.write(new TextEncoder().encode("CONNECT site.example:443 HTTP/1.1\r\nHost: site.example:443\r\n\r\n"));
		console.log(await new Response(c.readable).text());
	`, f.Socket()))
	if !strings.HasPrefix(out, "HTTP/1.1 405 ") || !strings.Contains(out, "only HTTP has a way to the network here.") {
		t.Errorf("%q", out)
	}
}

// BenchmarkDeno compares Deno's fetch through the proxy with the same fetch straight to the site.
func BenchmarkDeno(b *testing.B) {
	o := plainSite(b, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })
	to := o.Resolve["site.example:80"]
	o.Policy, o.Resolve = Policy{Allow: set(b, "net:8.8.4.4:80")}, map[string]string{"8.8.4.4:80": to}
	o.Limits = Limits{RequestsPerSecond: 1e9, Burst: 1e9}
	f := start(b, o)
	f.options.OnEvent = nil
	script := func(address string) string {
		return fmt.Sprintf(`
			const times = [];
			for (let i = 0; i < 400; i++) {
				const began = performance.now();
				await (await fetch(%q)).text();
				if (i >= 100) times.push(performance.now() - began);
			}
			times.sort((a, b) => a - b);
			console.log(1000 * times[150]);`, address)
	}
	median := func(out string) (µs float64) {
		if _, err := fmt.Sscan(out, &µs); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		return µs
	}
	var straight, proxied float64
	for b.Loop() {
		straight += median(runDeno(b, script("http://"+to+"/"), nil, "--allow-net="+to))
		proxied += median(f.deno(b, "8.8.4.4:80", script("http://8.8.4.4/"))) // an address, so that no name server is measured
	}
	b.ReportMetric(straight/float64(b.N), "µs-direct/fetch")
	b.ReportMetric(proxied/float64(b.N), "µs-proxied/fetch")
	b.ReportMetric(proxied/straight, "ratio")
}

// routes is a resolver with a fixed table.
type routes map[string]string

func (r routes) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	a, err := netip.ParseAddr(r[host])
	if err != nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return []netip.Addr{a}, nil
}
