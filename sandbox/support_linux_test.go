package sandbox

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"paddock/sandbox/permission"
)

// denoForTest is the real runtime.
func denoForTest(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("PADDOCK_DENO"); path != "" {
		return path
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
			continue
		}
		path := filepath.Join(dir, "bin", "deno")
		if _, err := os.Stat(path); err == nil {
			return path
		}
		break
	}
	t.Fatal("these tests need the real Deno: set PADDOCK_DENO or run `make headless`")
	return ""
}

// launcherOnce builds paddock-launch, unless PADDOCK_LAUNCH names one: a user without Go can run the test program too.
var launcherOnce = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("PADDOCK_LAUNCH"); path != "" {
		return path, nil
	}
	path := filepath.Join(testFolder, "paddock-launch")
	build := exec.Command("go", "build", "-trimpath", "-o", path, "paddock/sandbox/launch")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build paddock-launch: %w\n%s", err, out)
	}
	return path, nil
})

func launcherForTest(t testing.TB) string {
	t.Helper()
	path, err := launcherOnce()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// facts are kept for the whole run, as the store keeps them for a machine.
var testFacts sync.Map

// optionsForTest are options with folders of their own. Sockets need a short path.
func optionsForTest(t testing.TB) Options {
	t.Helper()
	sockets, err := os.MkdirTemp("", "pd-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(sockets) })
	return Options{
		Deno: denoForTest(t), Launcher: launcherForTest(t),
		SocketDir: filepath.Join(sockets, "i"), EntryDir: filepath.Join(t.TempDir(), "entry"),
		LoadFact: func(key string) (int64, bool) {
			v, ok := testFacts.Load(key)
			if !ok {
				return 0, false
			}
			return v.(int64), true
		},
		SaveFact: func(key string, value int64) { testFacts.Store(key, value) },
	}
}

// slowStart is the start timeout of apps that are meant to miss it: long enough that Deno has run the app's first
// lines by then also on a busy machine. Tests of such apps last as long.
const slowStart = 5 * time.Second

// supervisorForTest is closed at the end of the test.
func supervisorForTest(t testing.TB, change ...func(*Options)) *Supervisor {
	t.Helper()
	o := optionsForTest(t)
	for _, c := range change {
		c(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// specForTest is a spec for one module with the given text.
func specForTest(t testing.TB, module string) Spec {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := Spec{
		ID: "app", AppDir: filepath.Join(dir, "app"), DataDir: filepath.Join(dir, "data"),
		RuntimeDir: filepath.Join(dir, "runtime"), LogDir: filepath.Join(dir, "log"), Entry: "app.js",
	}
	if err := os.Mkdir(s.AppDir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.AppDir, s.Entry), []byte(module), 0o444); err != nil {
		t.Fatal(err)
	}
	return s
}

// launchForTest launches and fails the test when that fails.
func launchForTest(t testing.TB, s *Supervisor, spec Spec) *Instance {
	t.Helper()
	in, err := s.Launch(t.Context(), spec)
	if err != nil {
		var tail string
		if e, ok := err.(*StartError); ok {
			tail = e.Tail
		}
		t.Fatalf("launch: %v\n%s", err, tail)
	}
	return in
}

// ask sends one request to the app and returns the answer's text.
func ask(t testing.TB, in *Instance, path string) string {
	t.Helper()
	text, err := tryAsk(t.Context(), in, path)
	if err != nil {
		t.Fatalf("GET %s: %v\n%s", path, err, in.output.text())
	}
	return text
}

func tryAsk(ctx context.Context, in *Instance, path string) (string, error) {
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return in.Dial(ctx) },
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://app.localhost:7777"+path, nil)
	if err != nil {
		return "", err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// waitFor polls until done or 20 seconds have passed.
func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waited 20 s for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// ended waits for an instance's end.
func ended(t testing.TB, in *Instance) Exit {
	t.Helper()
	select {
	case <-in.Done():
	case <-time.After(60 * time.Second):
		t.Fatalf("the instance did not end\n%s", in.output.text())
	}
	return in.Exit()
}

func setOf(t testing.TB, names ...string) permission.Set {
	t.Helper()
	set, err := permission.ParseSet(strings.Join(names, ","))
	if err != nil {
		t.Fatal(err)
	}
	return set
}
