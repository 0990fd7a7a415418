package app_test

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paddock/app"
	"paddock/app/control"
	"paddock/app/gateway"
)

// unaware is a front door on a system that does not tell who opened a connection.
type unaware struct{ *gateway.Gateway }

func (unaware) PeerCheck() (checked bool, why string) { return false, "this kernel does not tell" }

// TestBrowserIsHandedAFile: where other users could use a link that they see, a browser is started with a file, and
// only a browser is. Without a folder for it nothing is handed out. What doctor says there is known to the windows.
func TestBrowserIsHandedAFile(t *testing.T) {
	l := newLiveBehind(t, func(g *gateway.Gateway) app.FrontDoor { return unaware{g} }, nil)
	l.install(write(t, "org.example.test", 1, `{}`, fetcher))
	o, err := l.Open(t.Context(), control.Open{App: "test-dev"})
	if err != nil || o.Handed != "" || o.ForBrowser() != o.URL {
		t.Fatalf("without a browser: %+v %v", o, err)
	}
	o, err = l.Open(t.Context(), control.Open{App: "test-dev", Browse: true})
	if err != nil || o.ForBrowser() != o.Handed || !strings.HasPrefix(o.URL, "http://") || !strings.HasPrefix(o.AppURL, "http://") {
		t.Fatalf("for a browser: %+v %v", o, err)
	}
	u, err := url.Parse(o.Handed)
	if err != nil || u.Scheme != "file" {
		t.Fatalf("handed %q", o.Handed)
	}
	if text, err := os.ReadFile(u.Path); err != nil || !strings.Contains(string(text), o.URL) || strings.Contains(o.Handed, "?") {
		t.Errorf("the file: %v\n%s", err, text)
	}
	if d, err := l.Doctor(t.Context()); err != nil || d.Gateway.Peers || d.Gateway.PeersWhy != "this kernel does not tell" {
		t.Errorf("doctor: %+v %v", d.Gateway, err)
	}
	raw, err := os.ReadFile(filepath.Join("..", "assets", "translations", "de.json"))
	if err != nil {
		t.Fatal(err)
	}
	var words map[string]any
	if err := json.Unmarshal(raw, &words); err != nil {
		t.Fatal(err)
	}
	d, err := l.Doctor(t.Context())
	if err != nil || len(d.Walls) < 8 || len(d.Gateway.PagesCan) == 0 {
		t.Fatalf("doctor: %+v %v", d, err)
	}
	said := d.Gateway.PagesCan
	for _, w := range d.Walls {
		said = append(said, w.Name)
	}
	for _, s := range said { // windows look them up by these words
		if words[s] == nil {
			t.Errorf("%q is not translated", s)
		}
	}
	if err := os.RemoveAll(filepath.Dir(u.Path)); err != nil {
		t.Fatal(err)
	}
	_, err = l.Open(t.Context(), control.Open{App: "test-dev", Browse: true})
	if e := control.AsError(err); err == nil || e.Code != "link_file" || !strings.Contains(e.Hint, "--no-browser") {
		t.Errorf("without the folder: %+v", e)
	}
	if o, err = l.Open(t.Context(), control.Open{App: "test-dev"}); err != nil || o.URL == "" {
		t.Errorf("the link itself: %+v %v", o, err)
	}
}
