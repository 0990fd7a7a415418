package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Documents of the command line, as far as the tests look at them.
type (
	opened struct {
		ID      string  `json:"id"`
		URL     string  `json:"url"`
		AppURL  string  `json:"app_url"`
		Origin  string  `json:"origin"`
		PID     int     `json:"pid"`
		State   string  `json:"state"`
		StartMS float64 `json:"start_ms"`
	}
	listed struct {
		ID, Short, Name, Version, State string
		PublisherKey                    string `json:"publisher_key"`
	}
	answer struct {
		Permission, Decision, Lifetime, Reason string
		Required                               bool
		Used, Refused                          int64
	}
	launch struct {
		StartedAt string  `json:"started_at"`
		EndedAt   *string `json:"ended_at"`
		Reason    string
		Breach    *struct {
			Budget          string
			Limit, Measured float64
		}
		Tail string
	}
	okay struct{ OK bool }
)

// source is an app that a test writes: its manifest fields over a minimum, and its files.
type source struct {
	id       string
	code     int            // version code, 1 when zero
	manifest map[string]any // merged over the minimum
	main     string         // main.ts
	files    map[string]string
}

const pixel = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 128 128" width="128" height="128"><rect width="128" height="128" rx="28" fill="#2f5bea"/></svg>`

// write makes the author's folder.
func (s source) write(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	code := max(s.code, 1)
	m := map[string]any{
		"manifest_version": 1, "id": s.id, "version": fmt.Sprintf("%d.0.0", code), "version_code": code,
		"name": "Test " + s.id[strings.LastIndexByte(s.id, '.')+1:], "summary": "An app for a test.",
		"author": map[string]any{"name": "Test Author"}, "license": "MIT",
		"icons":     []any{map[string]any{"src": "icon.svg", "size": 128}},
		"serve":     map[string]any{"mode": "server", "entry": "main.ts"},
		"resources": map[string]any{"memory_mb": 128, "cpu_percent": 100, "disk_mb": 64},
	}
	for k, v := range s.manifest {
		m[k] = v
	}
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"paddock.json": string(raw), "icon.svg": pixel, "main.ts": s.main}
	for name, text := range s.files {
		files[name] = text
	}
	for name, text := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// key makes a signing key.
func (m *machine) key() string {
	m.t.Helper()
	file := filepath.Join(m.t.TempDir(), "author.key")
	must[struct{ KeyID string }](m, "keygen", "-o", file, "--no-password")
	return file
}

// pack makes a signed bundle of s.
func (m *machine) pack(s source, key string) string {
	m.t.Helper()
	out := filepath.Join(m.t.TempDir(), s.id+".paddock")
	must[struct{ SHA256 string }](m, "pack", s.write(m.t), "-o", out, "--key", key)
	return out
}

// serveFiles offers files over HTTP on loopback and returns their URL by base name.
func serveFiles(t testing.TB, files ...string) map[string]string {
	t.Helper()
	mux := http.NewServeMux()
	urls := map[string]string{}
	for _, f := range files {
		mux.HandleFunc("GET /"+filepath.Base(f), func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, f) })
	}
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	for _, f := range files {
		urls[filepath.Base(f)] = s.URL + "/" + filepath.Base(f)
	}
	return urls
}
