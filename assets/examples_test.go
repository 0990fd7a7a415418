package assets

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/evanw/esbuild/pkg/api"
)

// deno finds the pinned runtime.
func deno(t *testing.T) string {
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
			if _, err := os.Stat(path); err != nil {
				t.Fatalf("%v: run `make headless`, or name a Deno in PADDOCK_DENO", err)
			}
			return path
		}
	}
	t.Fatal("no go.mod above the working folder")
	return ""
}

// checked is a configuration with the types of both halves of an app, the strictest that Deno has.
const checked = `{"compilerOptions":{"strict":true,"noUncheckedIndexedAccess":true,"noImplicitOverride":true,
"noFallthroughCasesInSwitch":true,"lib":["deno.ns","deno.window","dom","dom.iterable","esnext"]}}`

func run(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "NO_COLOR=1", "DENO_DIR="+t.TempDir(), "DENO_NO_UPDATE_CHECK=1", "HOME="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), err, out)
	}
}

// The pure parts of the apps (Markdown, search, feeds, cleaning) have their tests in testdata/*_test.ts.
// They get no permission at all, which shows that these parts need none; type errors fail too.
func TestPureParts(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "deno.json")
	if err := os.WriteFile(config, []byte(checked), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "testdata", deno(t), "test", "--config", config, "--no-lock", "--no-remote", "--no-npm", "--no-prompt", "notes_test.ts", "feeds_test.ts")
}

func TestTypes(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "deno.json")
	if err := os.WriteFile(config, []byte(checked), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, app := range []string{"notes", "feeds"} { // one at a time: each declares what it sees of Paddock
		run(t, filepath.Join("examples", app), deno(t), "check", "--config", config, "--no-lock", "--no-remote", "--no-npm", "main.ts", "public/app.ts")
	}
}

// Under the host's policy (default-src 'self') inline scripts, styles and handlers do nothing.
func TestPagesUseNothingInline(t *testing.T) {
	for _, app := range []string{"notes", "feeds"} {
		raw, err := os.ReadFile(filepath.Join("examples", app, "public", "index.html"))
		if err != nil {
			t.Fatal(err)
		}
		for _, refused := range []string{"<style", " style=", " onclick=", " onload=", "javascript:", "http:", "https:"} {
			if bytes.Contains(raw, []byte(refused)) {
				t.Errorf("%s: the page contains %q", app, refused)
			}
		}
		if n := bytes.Count(raw, []byte("<script")); n != 1 || !bytes.Contains(raw, []byte(`<script type="module" src="/app.js"></script>`)) {
			t.Errorf("%s: the page has %d scripts, want app.js alone", app, n)
		}
	}
}

// running is an app in Deno with the rights that Paddock gives it, without Paddock.
type running struct {
	url  string
	data string
	stop func()
}

// host stands in for Paddock's entry module: it answers permission questions from a list.
const host = `
const [data, app, granted] = Deno.args;
const answers = JSON.parse(granted);
const query = async (p) => { if (!(p in answers)) throw new Error("not in the manifest"); return answers[p]; };
globalThis.paddock = { dataDir: data, permissions: { query, request: async (p) => answers[p] = "granted" } };
const module = await import(app);
Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: ({ port }) => console.log(port) }, module.default.fetch);
`

// bundled builds an app as ` + "`paddock pack`" + ` does: one module for the server, one for each page script.
func bundled(t *testing.T, app string) string {
	t.Helper()
	out := t.TempDir()
	if err := os.CopyFS(filepath.Join(out, "public"), os.DirFS(filepath.Join("examples", app, "public"))); err != nil {
		t.Fatal(err)
	}
	for entry, target := range map[string]string{"main.ts": "app.js", "public/app.ts": "public/app.js"} {
		result := api.Build(api.BuildOptions{
			EntryPoints: []string{filepath.Join("examples", app, entry)}, Outfile: filepath.Join(out, target),
			Bundle: true, Format: api.FormatESModule, Target: api.ES2024, Write: true, LogLevel: api.LogLevelSilent,
		})
		if len(result.Errors) > 0 {
			t.Fatalf("bundle %s: %+v", entry, result.Errors)
		}
	}
	return out
}

func start(t *testing.T, bundle, data string, granted map[string]string, net ...string) *running {
	t.Helper()
	entry := filepath.Join(t.TempDir(), "host.js")
	if err := os.WriteFile(entry, []byte(host), 0o600); err != nil {
		t.Fatal(err)
	}
	answers, err := json.Marshal(granted)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{
		"run", "--quiet", "--no-prompt", "--no-config", "--no-lock", "--no-remote", "--no-npm", "--cached-only",
		"--allow-read=" + data + "," + bundle, "--allow-write=" + data, "--allow-net=" + strings.Join(append(net, "127.0.0.1:0"), ","),
		entry, data, "file://" + filepath.Join(bundle, "app.js"), string(answers),
	}
	cmd := exec.Command(deno(t), args...)
	cmd.Dir = data
	cmd.Env = []string{"HOME=" + data, "DENO_DIR=" + t.TempDir(), "DENO_NO_UPDATE_CHECK=1", "NO_COLOR=1"}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop := func() {
		if !stopped {
			stopped = true
			_ = cmd.Process.Kill() // a crash: nothing is tidied up
			_ = cmd.Wait()
		}
	}
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("the app said:\n%s", stderr.String())
		}
	})
	port, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the app did not start: %v\n%s", err, stderr.String())
	}
	return &running{url: "http://127.0.0.1:" + strings.TrimSpace(port), data: data, stop: stop}
}

// call sends JSON and decodes the answer; it returns the status.
func (r *running) call(t *testing.T, method, path string, in, out any) int {
	t.Helper()
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if out != nil {
		if err := json.Unmarshal(raw, out); err != nil {
			t.Fatalf("%s %s answers %s: %v", method, path, raw, err)
		}
	}
	return resp.StatusCode
}

func (r *running) text(t *testing.T, path string) (int, string, http.Header) {
	t.Helper()
	resp, err := http.Get(r.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw), resp.Header
}

// events follows an app's event stream and sends each message's data.
func (r *running) events(t *testing.T) <-chan string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/api/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	out := make(chan string, 16)
	done := make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				out <- data
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done; resp.Body.Close() })
	return out
}

func receive(t *testing.T, from <-chan string) string {
	t.Helper()
	select {
	case s := <-from:
		return s
	case <-time.After(time.Minute):
		t.Fatal("nothing was sent")
		return ""
	}
}

func servesItsPage(t *testing.T, r *running, title string) {
	t.Helper()
	for path, want := range map[string]string{"/": "text/html", "/index.html": "text/html", "/app.js": "text/javascript", "/style.css": "text/css", "/icon.svg": "image/svg+xml"} {
		status, body, header := r.text(t, path)
		if status != http.StatusOK || body == "" || !strings.HasPrefix(header.Get("Content-Type"), want) {
			t.Errorf("GET %s: %d %s, %d bytes", path, status, header.Get("Content-Type"), len(body))
		}
	}
	if _, body, _ := r.text(t, "/"); !strings.Contains(body, "<title>"+title+"</title>") {
		t.Errorf("the page is not %s", title)
	}
	for _, path := range []string{"/nope.html", "/../main.ts", "/%2e%2e/server/store.js", "/..%2fapp.js", "/.hidden.js", "/app.ts.map", "//etc/passwd.html"} {
		if status, body, _ := r.text(t, path); status != http.StatusNotFound {
			t.Errorf("GET %s: %d %.40q", path, status, body)
		}
	}
	if status := r.call(t, http.MethodPost, "/index.html", struct{}{}, nil); status != http.StatusMethodNotAllowed {
		t.Errorf("POST /index.html: %d", status)
	}
}

// leftovers are files that a crash left half written.
func leftovers(dir string) (out []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".writing-") {
			out = append(out, e.Name())
		}
	}
	return out, err
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("assets: %v", err))
	}
	return v
}
