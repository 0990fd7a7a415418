package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// clientSite answers with what reached it.
func clientSite(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/redirect":
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
	case "/ws":
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		text, _, err := wsutil.ReadClientData(conn)
		if err == nil {
			_ = wsutil.WriteServerText(conn, append([]byte("echo "), text...))
			_, _, _ = wsutil.ReadClientData(conn) // the closing handshake
		}
	default:
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s%s %s", r.Method, r.Host, r.URL.RequestURI(), body)
	}
}

// TestClients runs other people's HTTP clients, as they come from npm, in an app through the whole product: packed
// without a word about them, they reach the two sites that the app was granted, and no third.
func TestClients(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.HandlerFunc(clientSite))
	defer plain.Close()
	secure, authority := secureSite(t, "secure.example", http.HandlerFunc(clientSite))
	m := newMachine(t)
	m.env = append(m.env, "SSL_CERT_FILE="+authority)
	a := m.start("--resolve", "plain.example:8080="+plain.Listener.Addr().String(), "--resolve", "secure.example:443="+secure)
	const id = "org.example.clients"
	var sites []any
	for host, port := range map[string]int{"plain.example": 8080, "secure.example": 443, "other.example": 443} {
		sites = append(sites, map[string]any{"host": host, "port": port, "reason": "to test clients"})
	}
	author := source{id: id, manifest: map[string]any{
		"serve":       map[string]any{"mode": "server"},
		"permissions": map[string]any{"network": sites},
		"resources":   map[string]any{"memory_mb": 256, "cpu_percent": 100, "disk_mb": 64},
	}}.write(t)
	server{folder: "clients"}.copyTo(t, author)
	out := filepath.Join(t.TempDir(), "clients.paddock")
	must[struct{ API string }](m, "pack", author, "-o", out, "--key", m.key())
	must[okayInstall](m, "install", out, "--grant", "net:plain.example:8080", "--grant", "net:secure.example")
	v := visit(t, a.gateway, must[opened](m, "open", id))
	_, _, body := v.get("/")
	var results map[string]string
	if err := json.Unmarshal([]byte(body), &results); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	for name, want := range map[string]string{
		"node:http":                  "GET plain.example:8080/node ",
		"node:https":                 "GET secure.example/node ",
		"axios":                      `POST secure.example/axios?q=x+y {"a":1}`,
		"axios, plain":               "GET plain.example:8080/axios ",
		"axios, redirected":          "GET secure.example/after ",
		"axios, two at once":         "GET secure.example/n1 ; GET secure.example/n2 ; GET secure.example/n3 ",
		"got":                        "GET secure.example/got ",
		"got, JSON":                  `POST plain.example:8080/got {"a":1}`,
		"got, HTTP/2 where there is": "GET secure.example/got2 ",
		"node-fetch":                 "PUT secure.example/nf text",
		"superagent":                 "GET secure.example/sa ",
		"undici request":             "GET secure.example/u ",
		"undici fetch":               "POST plain.example:8080/uf text",
		"undici, an agent":           "GET secure.example/ua ",
		"ws":                         "echo hello",
		"ws, secure":                 "echo hello",
		"fetch":                      "GET secure.example/deno ",
	} {
		if results[name] != "got "+want {
			t.Errorf("%s: %q, want %q", name, results[name], "got "+want)
		}
	}
	for name, result := range results {
		if strings.HasPrefix(name, "not granted") && !(strings.HasPrefix(result, "error ") && strings.Contains(result, "other.example")) {
			t.Errorf("%s: %q, want an error that names the site", name, result)
		}
	}
	type activity struct {
		Permission, Outcome string
		Count               int
	}
	used := map[string]int{}
	for _, e := range must[[]activity](m, "activity", id) {
		used[e.Permission+" "+e.Outcome] += e.Count
	}
	// Every request once: what the app's runtime reports is not counted beside what the proxy does.
	if used["net:secure.example allowed"] != 14 || used["net:plain.example:8080 allowed"] != 7 {
		t.Errorf("activity: %v", used)
	}
}
