package e2e

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"syscall"
	"testing"
)

// TestOwnAddress serves apps under addresses of their own, for browsers that do not resolve *.localhost: off until it
// is set, kept over restarts, and buried with the app.
func TestOwnAddress(t *testing.T) {
	t.Parallel()
	type doctor struct {
		Gateway struct {
			Origins    string
			OriginsWhy string `json:"origins_why"`
		}
	}
	m := newMachine(t)
	bundle := m.pack(feeds("feeds.example"), m.key())
	a := m.start()
	must[okayInstall](m, "install", bundle, "--deny-all")
	if got := must[doctor](m, "doctor").Gateway; got.Origins != "names" || got.OriginsWhy != "" {
		t.Errorf("doctor: %+v", got)
	}
	must[okay](m, "settings", "set", "apps.origin", "addresses")
	if o := must[opened](m, "open", "reader"); !strings.Contains(o.Origin, ".localhost:") {
		t.Errorf("the origin moved while Paddock runs: %s", o.Origin)
	}
	a.end(syscall.SIGTERM)

	a = m.start()
	if got := must[doctor](m, "doctor").Gateway; got.Origins != "addresses" {
		t.Errorf("doctor: %+v", got)
	}
	o := must[opened](m, "open", "reader")
	host, _, _ := strings.Cut(strings.TrimPrefix(o.Origin, "http://"), ":")
	if !strings.HasPrefix(host, "127.") || strings.HasPrefix(host, "127.0.") {
		t.Fatalf("origin %s", o.Origin)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, Timeout: deadline} // no resolver of ours: the address is dialled as it stands
	t.Cleanup(client.CloseIdleConnections)
	get := func(url string) (int, string) {
		t.Helper()
		r, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(body)
	}
	if code, _ := get(o.AppURL); code != http.StatusOK {
		t.Fatalf("the link answers %d", code)
	}
	if code, body := get(o.Origin + "/"); code != http.StatusOK || !strings.Contains(body, "<h1>Hello</h1>") {
		t.Fatalf("the app answers %d %q", code, body)
	}

	_, port, _ := strings.Cut(a.gateway, ":")
	a.end(syscall.SIGTERM)
	m.startAt("127.0.0.1:" + port)
	if again := must[opened](m, "open", "reader"); again.Origin != o.Origin {
		t.Errorf("the origin was %s and is %s", o.Origin, again.Origin)
	}
	if code, body := get(o.Origin + "/"); code != http.StatusOK || !strings.Contains(body, "<h1>Hello</h1>") {
		t.Errorf("with the session of before the restart: %d %q", code, body)
	}
	must[okay](m, "uninstall", "reader", "--purge")
	if code, body := get(o.Origin + "/"); code != http.StatusGone {
		t.Errorf("after the end: %d %q", code, body)
	}
}
