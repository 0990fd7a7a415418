package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestRefusals: what is wrong with a bundle or its server is said in one sentence with a next step and the
// right exit code, nothing half-done is left, and the installed version with its data goes on untouched.
func TestRefusals(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	key, other := m.key(), m.key()
	good := feeds("feeds.example")
	v2 := good
	v2.code = 2
	v1File, v2File := m.pack(good, key), m.pack(v2, key)
	a := m.start()
	must[okayInstall](m, "install", v2File, "--deny-all")
	v := visit(t, a.gateway, must[opened](m, "open", "reader"))
	v.expect("/write", "written")

	raw, err := os.ReadFile(v2File)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string, data []byte) string {
		p := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(p, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	flipped := append([]byte{}, raw...)
	for i := len(raw) - 1; ; i-- { // the last byte that is not the tar's padding: in the content
		if raw[i] != 0 {
			flipped[i] ^= 1
			break
		}
	}
	foreign := v2
	foreign.code = 3
	greedy := good
	greedy.id, greedy.manifest = "org.example.greedy", map[string]any{"permissions": map[string]any{"network": []any{map[string]any{"host": "127.1", "reason": "Because."}}}}

	full := http.NewServeMux()
	full.HandleFunc("/missing.paddock", http.NotFound)
	full.HandleFunc("/page.paddock", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<!doctype html><title>Log in</title>") })
	full.HandleFunc("/short.paddock", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(raw)))
		_, _ = w.Write(raw[:len(raw)/2]) // and no ranges: it cannot be resumed
	})
	full.HandleFunc("/away.paddock", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://10.0.0.1/x.paddock", http.StatusFound)
	})
	lying := httptest.NewServer(full)
	t.Cleanup(lying.Close)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := "http://" + closed.Addr().String() + "/x.paddock"
	closed.Close()

	for name, c := range map[string]struct {
		source string
		exit   int
		code   string // "" when any will do
	}{
		"a flipped bit":              {file("flipped.paddock", flipped), 3, "signature"},
		"cut in the middle":          {file("cut.paddock", raw[:len(raw)/2]), 3, ""},
		"no bundle at all":           {file("text.paddock", []byte("hello")), 3, ""},
		"empty":                      {file("empty.paddock", nil), 3, ""},
		"another key":                {m.pack(foreign, other), 3, "publisher_changed"},
		"an older version":           {v1File, 3, "version_lower"},
		"the same version":           {v2File, 3, "already_installed"},
		"a folder without --dev":     {good.write(t), 3, ""},
		"no such file":               {filepath.Join(t.TempDir(), "none.paddock"), 1, "no_file"},
		"nobody at the address":      {gone, 1, "download"},
		"404":                        {lying.URL + "/missing.paddock", 1, "download"},
		"a page instead of a bundle": {lying.URL + "/page.paddock", 3, ""},
		"a server that stops short":  {lying.URL + "/short.paddock", 1, ""},
		"sent on to a private place": {lying.URL + "/away.paddock", 3, ""},
		"http from the internet":     {"http://apps.example/x.paddock", 3, ""},
		"a link to this machine":     {"paddock://install?url=" + lying.URL + "/x.paddock", 3, ""},
		"a strange scheme":           {"ftp://apps.example/x.paddock", 3, ""},
	} {
		no := m.refused(c.exit, "install", c.source)
		if c.code != "" && no.Error.Code != c.code {
			t.Errorf("%s: code %s, want %s (%s)", name, no.Error.Code, c.code, no.Error.Message)
		}
		if no.Error.Hint == "" || strings.Contains(no.Error.Message, "\n") {
			t.Errorf("%s: not one sentence with a next step: %+v", name, no.Error)
		}
	}
	if r := m.run("--json", "pack", greedy.write(t), "-o", filepath.Join(t.TempDir(), "x.paddock"), "--key", key); r.code == 0 || !strings.Contains(string(r.stdout), "permissions.network[0].host") {
		t.Errorf("a wrong field: exit %d, %s", r.code, r.stdout)
	}

	if left, _ := os.ReadDir(filepath.Join(m.home, "staging")); len(left) != 0 {
		t.Errorf("left in staging: %v", left)
	}
	if left, _ := filepath.Glob(filepath.Join(m.home, "apps", "*")); len(left) != 1 {
		t.Errorf("app folders: %v", left)
	}
	if l := must[[]listed](m, "list"); len(l) != 1 || l[0].Version != "2.0.0" || l[0].State != "running" {
		t.Errorf("list: %+v", l)
	}
	v.expect("/read", "kept")
}

// TestFullDisk: a bundle that does not fit is refused with a reason, nothing is left of it, and the agent
// goes on. It needs a small file system of its own, which root can make.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can mount a small file system; CI runs as root")
	}
	t.Parallel()
	m := newMachine(t)
	key := m.key()
	big := feeds("feeds.example")
	big.id = "org.example.big"
	noise := make([]byte, 6<<20)
	x := uint32(1)
	for i := range noise {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		noise[i] = byte(x)
	}
	big.files = map[string]string{"public/noise.bin": string(noise)}
	big.manifest["serve"] = map[string]any{"mode": "server", "entry": "main.ts", "dir": "public"}
	bundle, small := m.pack(big, key), m.pack(feeds("feeds.example"), key)
	if err := os.Mkdir(m.home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", m.home, "tmpfs", 0, "size=8m,mode=0700"); err != nil {
		t.Fatalf("mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(m.home, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	a := m.start()
	no := m.refused(1, "install", bundle)
	if no.Error.Code != "disk_full" {
		t.Errorf("refusal: %+v", no.Error)
	}
	if left, _ := os.ReadDir(filepath.Join(m.home, "staging")); len(left) != 0 {
		t.Errorf("left in staging: %v", left)
	}
	must[okayInstall](m, "install", small, "--deny-all")
	if l := must[[]listed](m, "list"); len(l) != 1 || l[0].ID != "org.example.reader" {
		t.Errorf("list: %+v", l)
	}
	a.end(syscall.SIGTERM)
}

// TestRequiredRow: an app that says it cannot start without a right is not started without it, unless the
// user insists; and it is told the truth when it asks.
func TestRequiredRow(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	s := feeds("feeds.example")
	s.manifest["permissions"] = map[string]any{"network": []any{map[string]any{"host": "feeds.example", "port": 80, "reason": "Fetch.", "required": true}}}
	bundle := m.pack(s, m.key())
	a := m.start()
	must[okayInstall](m, "install", bundle)
	if got := m.state("reader"); got != "needs_permission" {
		t.Errorf("state %s", got)
	}
	no := m.refused(3, "open", "reader")
	if no.Error.Code != "permission_required" || !strings.Contains(string(no.Error.Detail), "net:feeds.example:80") {
		t.Fatalf("refusal: %+v", no.Error)
	}
	m.refused(3, "open", "reader", "--grant", "net:other.example")
	visit(t, a.gateway, must[opened](m, "open", "reader", "--insist")).expect("/get?u=http://feeds.example/", "failed: NotCapable")
	must[okay](m, "stop", "reader")
	m.refused(3, "open", "reader")
	must[opened](m, "open", "reader", "--grant", "net:feeds.example:80")
	if p := must[[]answer](m, "permissions", "reader"); p[0].Decision != "allow" || !p[0].Required {
		t.Fatalf("permissions: %+v", p)
	}
}
