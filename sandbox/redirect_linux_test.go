package sandbox

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paddock/sandbox/egress"
	"paddock/sandbox/wall"
)

// answering listens on a Unix socket, says its name to whoever connects, and counts.
type answering struct {
	net.Listener
	accepted atomic.Int64
}

func answerOn(t *testing.T, address, name string) *answering {
	t.Helper()
	l, err := net.Listen("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	a := &answering{Listener: l}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			a.accepted.Add(1)
			_, _ = io.WriteString(c, name)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return a
}

// connectAttempts connect to everything there is, with Deno's wall taken down and by raw system calls.
const connectAttempts = `
const { proxy, same, other, abstractSame, abstractOther, flood, calls } = JSON.parse(Deno.args[0]);
const results = {};
async function attempt(name, fn) {
  try { results[name] = "answered by " + await fn(); } catch (e) { results[name] = "refused: " + String(e).split("\n")[0]; }
}
const text = (b) => new TextDecoder().decode(b);
async function deno(path) {
  const c = await Deno.connect({ transport: "unix", path });
  const b = new Uint8Array(64), n = await c.read(b);
  c.close();
  return text(b.subarray(0, n));
}
async function node(path) {
  const net = await import("node:net");
  return await new Promise((ok, no) => {
    let all = "";
    net.connect(path).on("data", (d) => all += d).on("end", () => ok(all)).on("error", no);
  });
}
const libc = Deno.dlopen("libc.so.6", {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  dup: { parameters: ["i32"], result: "i32" },
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "u64"], result: "i64" },
  close: { parameters: ["i32"], result: "i32" },
  syscall: { parameters: ["i64", "i64", "i64", "i64"], result: "i64" },
  prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" },
  __errno_location: { parameters: [], result: "pointer" },
}).symbols;
const errno = () => "errno " + new Deno.UnsafePointerView(libc.__errno_location()).getInt32();
const check = (n) => { if (n < 0) throw new Error(errno()); return Number(n); };
function address(path, length) {
  const bytes = new TextEncoder().encode(path), a = new Uint8Array(Math.max(length, bytes.length + 3));
  a[0] = 1;
  a.set(bytes, 2);
  return a;
}
function raw(path, length, fd) {
  fd ??= check(libc.socket(1, 1, 0));
  check(libc.connect(fd, address(path, length), length));
  const ready = new Uint8Array(8), b = new Uint8Array(64);
  new DataView(ready.buffer).setInt32(0, fd, true);
  ready[4] = 1;
  check(libc.poll(ready, 1n, 5000));
  const n = check(libc.read(fd, b, 64n));
  libc.close(fd);
  return text(b.subarray(0, n));
}
const length = proxy.length + 3;
await attempt("the proxy by Deno.connect", () => deno(proxy));
await attempt("the proxy by node:net", () => node(proxy));
await attempt("the proxy by a raw call", () => raw(proxy, length));
await attempt("a path as long by Deno.connect", () => deno(same));
await attempt("a path as long by node:net", () => node(same));
await attempt("a path as long by a raw call", () => raw(same, length));
await attempt("a path as long, no zero at its end", () => raw(same, length - 1));
await attempt("another path by Deno.connect", () => deno(other));
await attempt("another path by node:net", () => node(other));
await attempt("another path by a raw call", () => raw(other, other.length + 3));
await attempt("another path in a full address", () => raw(other, 110));
await attempt("another path, length with high bits", () => check(libc.syscall(BigInt(calls.connect), BigInt(check(libc.socket(1, 1, 0))), 0n, 0x10000006en)));
await attempt("an abstract name as long by node:net", () => node("\0" + abstractSame));
await attempt("an abstract name as long by a raw call", () => raw("\0" + abstractSame, length - 1));
await attempt("another abstract name by node:net", () => node("\0" + abstractOther));
await attempt("another abstract name by a raw call", () => raw("\0" + abstractOther, abstractOther.length + 3));
await attempt("a descriptor that is no socket", () => raw(same, length, check(libc.dup(2))));
await attempt("a descriptor beyond the limit", () => raw(same, length, 100000));
await attempt("no descriptor", () => check(libc.connect(-1, address(same, length), length)));
await attempt("a filter of its own", () => check(libc.syscall(BigInt(calls.seccomp), 1n, 8n, 0n)));
await attempt("a filter of its own by prctl", () => check(libc.prctl(22, 2n, 0n, 0n, 0n)));
const began = Date.now();
for (let i = 0; i < flood; i++) {
  const fd = check(libc.socket(1, 1, 0));
  libc.connect(fd, address(same, length), length);
  libc.close(fd);
}
results["flood"] = String(Date.now() - began);
console.log(JSON.stringify(results));
Deno.exit(0);
`

// Every connect of a process behind the kernel's wall leads to its proxy or nowhere, whoever makes it and whatever
// address it names: other programs' sockets never see it.
func TestConnectLeadsToTheProxy(t *testing.T) {
	o := optionsForTest(t)
	facts, err := new(denoRuntime).inspect(o.Deno, "")
	if err != nil {
		t.Fatal(err)
	}
	run := func(t *testing.T, walled bool, flood int) (results map[string]string, elsewhere, proxied int64) {
		spec := specForTest(t, connectAttempts)
		spec.Allow = setOf(t, "net:example.com")
		paths, err := PathsOf(o, spec, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(paths.Entry.Dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := spec.makeFolders(paths, ""); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		same := filepath.Join(filepath.Dir(o.SocketDir), "same")
		same += strings.Repeat("x", len(paths.Proxy)-len(same))
		other := filepath.Join(filepath.Dir(o.SocketDir), "other")
		abstractOther := "paddock-" + filepath.Base(dir) + strconv.Itoa(os.Getpid())
		abstractSame := abstractOther + strings.Repeat("y", max(len(paths.Proxy)-1-len(abstractOther), 0))
		abstractSame = abstractSame[len(abstractSame)-len(paths.Proxy)+1:] // as long as the proxy's path with its zero
		var decoys []*answering
		for _, address := range []string{same, other, "@" + abstractSame, "@" + abstractOther} {
			decoys = append(decoys, answerOn(t, address, "another program"))
		}
		proxy := answerOn(t, paths.Proxy, "the proxy")
		command, err := Plan(o, spec, paths)
		if err != nil {
			t.Fatal(err)
		}
		config, err := json.Marshal(map[string]any{
			"proxy": paths.Proxy, "same": same, "other": other, "abstractSame": abstractSame, "abstractOther": abstractOther,
			"flood": flood, "calls": map[string]int{"connect": unix.SYS_CONNECT, "seccomp": unix.SYS_SECCOMP},
		})
		if err != nil {
			t.Fatal(err)
		}
		command.Args = []string{"run", "--quiet", "--no-config", "--no-lock", "--allow-all", filepath.Join(spec.AppDir, spec.Entry), string(config)}
		plan := wallPlan(o, spec, paths, command, facts.files, 2<<30, os.Getpid())
		if !walled {
			plan.Landlock, plan.Seccomp, plan.View = nil, nil, nil
		}
		out := runPlan(t, o, plan)
		if err := json.Unmarshal(out, &results); err != nil {
			t.Fatalf("no results: %v\n%s", err, out)
		}
		for _, d := range decoys {
			elsewhere += d.accepted.Load()
			_ = d.Close()
		}
		return results, elsewhere, proxy.accepted.Load()
	}

	t.Run("walled", func(t *testing.T) {
		const flood = 700
		results, elsewhere, proxied := run(t, true, flood)
		if elsewhere != 0 {
			t.Errorf("other programs were reached %d times", elsewhere)
		}
		for name, got := range results {
			want := "refused: "
			switch {
			case name == "no descriptor":
				want = "answered by 1" // means nothing, and nothing was connected
			case strings.HasPrefix(name, "the proxy"), strings.Contains(name, "as long"), name == "a descriptor that is no socket":
				want = "answered by the proxy"
			case strings.HasPrefix(name, "a filter"):
				want = "refused: Error: errno 1"
			case name == "flood":
				continue
			}
			if !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s, want %q", name, got, want)
			}
		}
		if len(results) < 20 || proxied < 8 {
			t.Errorf("%d attempts, of which %d came to the proxy: %v", len(results), proxied, results)
		}
		// 500 at once and 250 a second from then on
		if took, err := strconv.Atoi(results["flood"]); err != nil || took < 500 {
			t.Errorf("%d connections took %s ms: the agent's work has no bound", flood, results["flood"])
		}
	})
	t.Run("control", func(t *testing.T) {
		results, elsewhere, _ := run(t, false, 0)
		for _, name := range []string{
			"a path as long by Deno.connect", "a path as long by node:net", "a path as long by a raw call",
			"a path as long, no zero at its end", "another path by Deno.connect", "another path by node:net",
			"another path by a raw call", "another path in a full address", "an abstract name as long by node:net",
			"an abstract name as long by a raw call", "another abstract name by a raw call",
		} {
			if results[name] != "answered by another program" {
				t.Errorf("%s: %s, so it proves nothing behind the wall", name, results[name])
			}
		}
		if elsewhere < 11 {
			t.Errorf("other programs were reached %d times", elsewhere)
		}
	})
}

// sitesForTest is a site with http and one with https, both under example.com, and options that lead there.
func sitesForTest(t *testing.T) func(*Options) {
	t.Helper()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "site %s tls=%t", r.URL.Path, r.TLS != nil)
	})
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	return func(o *Options) {
		o.Egress = egress.Options{RootCAs: roots, Resolve: map[string]string{
			"example.com:80": plain.Listener.Addr().String(), "example.com:443": secure.Listener.Addr().String(),
		}}
	}
}

// fetching answers with what a fetch came to: of ?url=, as many at once as ?n= says, and how long it took.
const fetching = `
export default { async fetch(r) {
  const q = new URL(r.url).searchParams, url = q.get("url"), n = Number(q.get("n") ?? 1), began = performance.now();
  const one = async (i) => { try { return await (await fetch(url + i)).text(); } catch (e) { return "failed: " + e; } };
  const all = await Promise.all(Array.from({ length: n }, (_, i) => one(i)));
  return Response.json({ all, took: performance.now() - began });
} };`

type fetched struct {
	All  []string
	Took float64 // milliseconds
}

func fetchFrom(t *testing.T, in *Instance, url string, n int) fetched {
	t.Helper()
	var f fetched
	text := ask(t, in, fmt.Sprintf("/?url=%s&n=%d", url, n))
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return f
}

// What is granted works through the redirect: http and https, one by one and forty at once, and the agent keeps no
// descriptor of it.
func TestFetchThroughTheRedirect(t *testing.T) {
	sup := supervisorForTest(t, sitesForTest(t))
	if err := sup.Warm(t.Context()); err != nil { // what stands by for the next app has descriptors too
		t.Fatal(err)
	}
	standbyOf(t, sup)
	before := openDescriptors(t)
	spec := specForTest(t, fetching)
	spec.Allow = setOf(t, "net:example.com", "net:example.com:80")
	in := launchForTest(t, sup, spec)
	for scheme, tls := range map[string]bool{"http": false, "https": true} {
		for _, n := range []int{1, 40} {
			f := fetchFrom(t, in, scheme+"://example.com/", n)
			if len(f.All) != n {
				t.Fatalf("%d answers, want %d", len(f.All), n)
			}
			for i, got := range f.All {
				if want := fmt.Sprintf("site /%d tls=%t", i, tls); got != want {
					t.Errorf("%s, %d of %d: %q, want %q", scheme, i, n, got, want)
				}
			}
		}
	}
	if made := in.proc.redirect.Made(); made < 4 {
		t.Errorf("%d connections were made: the rest went around the redirect", made)
	}
	r := in.Report()
	if r.Level != "full" || r.Open != "" {
		t.Errorf("report: %+v", r)
	}
	// A frozen app's connects wait for it.
	if err := in.Freeze(); err != nil {
		t.Fatal(err)
	}
	if err := in.Thaw(); err != nil {
		t.Fatal(err)
	}
	if f := fetchFrom(t, in, "http://example.com/", 1); f.All[0] != "site /0 tls=false" {
		t.Errorf("after a freeze: %v", f.All)
	}
	in.Kill()
	ended(t, in)
	standbyOf(t, sup)
	waitFor(t, "the descriptors to be closed", func() bool { return openDescriptors(t) <= before })
}

// openDescriptors counts this process's descriptors that an instance could leave behind: sockets of the test's own
// sites come and go.
func openDescriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && (strings.HasPrefix(target, "pipe:") || strings.Contains(target, "seccomp") || strings.HasPrefix(target, "socket:")) {
			count++
		}
	}
	return count
}

// When the agent's part fails, connects fail too: at once, and without another way out.
func TestRedirectFailsClosed(t *testing.T) {
	sup := supervisorForTest(t, sitesForTest(t))
	spec := specForTest(t, fetching)
	spec.Allow = setOf(t, "net:example.com:80")
	in := launchForTest(t, sup, spec)
	if f := fetchFrom(t, in, "http://example.com/a", 1); f.All[0] != "site /a0 tls=false" {
		t.Fatalf("before: %v", f.All)
	}
	in.proc.redirect.Close()
	before := in.proc.redirect.Made()
	f := fetchFrom(t, in, "http://example.com/b", 8)
	failed := 0
	for _, text := range f.All {
		if strings.HasPrefix(text, "failed: ") {
			failed++
		}
	}
	if failed < 7 || in.proc.redirect.Made() != before { // a kept connection may serve one more
		t.Errorf("with nobody answering connects: %v", f.All)
	}
	if f.Took > 3000 {
		t.Errorf("that took %.0f ms", f.Took)
	}
	found := false
	for _, w := range in.Report().Walls {
		found = found || w.Name == "network" && strings.Contains(w.Why, "no connections")
	}
	if !found {
		t.Errorf("the report does not say it: %+v", in.Report())
	}
}

// Deno looks up the name of each target itself, although the proxy does so again and only its answer counts. Behind
// the kernel's wall that comes to nothing, and at once. Seen with strace: the C library first asks the name cache at
// /var/run/nscd/socket (EACCES by the length of the address), cannot read its settings, and gives up when it gets no
// socket for UDP (EPERM). So no name server hears of it, and there is no 5 s wait that RES_OPTIONS would have to shorten.
func TestNamesAreNotLookedUpByTheApp(t *testing.T) {
	sup := supervisorForTest(t, sitesForTest(t))
	spec := specForTest(t, fetching)
	spec.Allow = setOf(t, "net:*")
	in := launchForTest(t, sup, spec)
	for _, url := range []string{"http://example.com/", "https://example.com/"} {
		for range 3 {
			if f := fetchFrom(t, in, url, 1); f.Took > 2000 || !strings.HasPrefix(f.All[0], "site /0") {
				t.Errorf("%s: %+v", url, f)
			}
		}
	}
	if made := in.proc.redirect.Made(); made != 6 {
		t.Errorf("%d connections for 6 requests: the C library's question to the name cache came to the proxy", made)
	}
}

// runPlan runs a plan to its end and returns its last line of output.
func runPlan(t *testing.T, o Options, plan wall.Plan) []byte {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan []byte, 1)
	go func() {
		var all bytes.Buffer
		_, _ = all.ReadFrom(read)
		_ = read.Close()
		done <- all.Bytes()
	}()
	sup := supervisorForTest(t) // for its starter thread
	var g *guest
	sup.onStarter(func() { g, err = spawn(o.Launcher, plan, write, write) })
	_ = write.Close()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.confirm(time.Minute); err != nil {
		_ = g.kill()
		_, _ = g.wait()
		t.Fatalf("%v\n%s", err, <-done)
	}
	timer := time.AfterFunc(time.Minute, func() { _ = g.kill() })
	_, _ = g.wait()
	timer.Stop()
	out := bytes.TrimSpace(<-done)
	return out[bytes.LastIndexByte(out, '\n')+1:]
}
