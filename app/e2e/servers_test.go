package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// serversDir is the folder in which packaging/setup.sh installs the packages of testdata/servers.
const serversDir = "../../.cache/servers"

// server is a program of testdata/servers: other people's packages as they come from npm, used as their
// own documentation says, with nothing in it that knows of Paddock.
type server struct {
	folder string
	api    string // what pack must find out by itself
	// static is the address of a large file that the server's own middleware sends; none when empty.
	static string
	ranges bool // that middleware knows ranges
	// Where a framework differs from the others, under its own runtime too.
	noHead   bool // polka 0.5 sends HEAD to no GET handler
	headZero bool // Deno gives the answer to HEAD, which has no body, a length of 0
	oneRange bool // sirv 3.0 takes only ranges whose both ends are above 0
	deep     func(t *testing.T, v *visitor, a *agent)
}

// TestServers runs servers of the common frameworks through the whole product: packed without a word about
// what they are, signed, installed, opened, and used through the front door as a browser uses them.
func TestServers(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	key := m.key()
	a := m.start()
	for _, s := range []server{
		{folder: "express", api: "node", static: "/files/big.bin", ranges: true, deep: askUpload},
		{folder: "fastify", api: "node", static: "/files/big.bin", ranges: true, deep: askUpload},
		{folder: "hono", api: "fetch", static: "/files/big.bin", headZero: true, deep: askHono},
		{folder: "hono-node", api: "node", static: "/files/big.bin", ranges: true},
		{folder: "koa", api: "node", static: "/big.bin"},
		{folder: "polka", api: "node", static: "/files/big.bin", ranges: true, noHead: true, oneRange: true},
	} {
		t.Run(s.folder, func(t *testing.T) {
			t.Parallel()
			m := m.with(t)
			v := m.serve(a, s, key)
			askPages(t, v, s)
			askStream(t, v)
			askCancel(t, v)
			askFile(t, v, s)
			if s.deep != nil {
				s.deep(t, v, a)
			}
			m.askRestarts(v, s)
		})
	}
	for _, s := range []server{
		{folder: "better-sse", api: "deno", deep: askBetterSSE},
		{folder: "busboy", api: "node", deep: askBusboy},
		{folder: "socket.io", api: "node", deep: askSocketIO},
		{folder: "ws", api: "node", deep: askWS},
	} {
		t.Run(s.folder, func(t *testing.T) {
			t.Parallel()
			m := m.with(t)
			v := m.serve(a, s, key)
			v.expect("/", s.folder+" says hello")
			s.deep(t, v, a)
			m.askRestarts(v, s)
		})
	}
}

// serve packs, installs and opens a server, and returns its first visitor.
func (m *machine) serve(a *agent, s server, key string) *visitor {
	m.t.Helper()
	id := "org.example." + strings.ReplaceAll(s.folder, ".", "-")
	author := source{id: id, manifest: map[string]any{
		"serve":     map[string]any{"mode": "server"},
		"resources": map[string]any{"memory_mb": 256, "cpu_percent": 100, "disk_mb": 64}, // a form of 10 MB is held in memory more than once
	}}.write(m.t)
	s.copyTo(m.t, author)
	out := filepath.Join(m.t.TempDir(), s.folder+".paddock")
	packed := must[struct{ API string }](m, "pack", author, "-o", out, "--key", key)
	if packed.API != s.api {
		m.t.Errorf("pack takes it for %q, want %q", packed.API, s.api)
	}
	must[okayInstall](m, "install", out)
	return visit(m.t, a.gateway, must[opened](m, "open", id))
}

// copyTo adds the server's own files and its installed packages to an author's folder.
func (s server) copyTo(t testing.TB, dir string) {
	t.Helper()
	packages, err := filepath.Abs(filepath.Join(serversDir, "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	// npm writes this file when everything else is there.
	if _, err := os.Stat(filepath.Join(packages, ".package-lock.json")); err != nil {
		t.Fatalf("%v: run “packaging/setup.sh test” first", err)
	}
	if err := os.Symlink(packages, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "main.ts")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "servers", s.folder))); err != nil {
		t.Fatal(err)
	}
	if s.static == "" {
		return
	}
	name := filepath.Join(dir, "files", "big.bin")
	if err := os.Mkdir(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, noise(bigFile), fs.FileMode(0o644)); err != nil {
		t.Fatal(err)
	}
}

// bigFile is the length of the file that static middleware sends, in bytes: many times what any buffer on
// the way holds.
const bigFile = 4 << 20

// noise is n bytes that no compression shortens, the same each time.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b) // never fails
	return b
}

func sha(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// askRestarts ends the server in both ways in which it comes back: by the person's word, and by its death.
func (m *machine) askRestarts(v *visitor, s server) {
	m.t.Helper()
	id := "org.example." + strings.ReplaceAll(s.folder, ".", "-")
	must[okay](m, "stop", id)
	if r := v.do(request{path: "/"}); r.StatusCode != 401 {
		m.t.Errorf("after a stop the old session answers %d", r.StatusCode)
	}
	o := must[opened](m, "open", id)
	v.renew(o)
	v.expect("/", s.folder+" says hello")
	kill(m.t, o.PID)
	v.expect("/", s.folder+" says hello") // the request itself starts it
	if h := must[[]launch](m, "history", id); len(h) != 3 || h[0].EndedAt != nil {
		m.t.Errorf("history: %+v", h)
	}
}
