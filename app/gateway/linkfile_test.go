package gateway

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// linkFilesIn lists what is in the folder of link files.
func linkFilesIn(t testing.TB, r *rig) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(r.options.LinkDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// linkFile mints a link and makes a file for it.
func (r *rig) linkFile() (link, path string) {
	r.t.Helper()
	link, _, err := r.g.Mint("i1")
	if err != nil {
		r.t.Fatal(err)
	}
	address, err := r.g.LinkFile(link)
	if err != nil {
		r.t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "file" || u.Host != "" || filepath.Dir(u.Path) != r.options.LinkDir {
		r.t.Fatalf("address %q", address)
	}
	return link, u.Path
}

// follow opens a link as a tab does that a file sent there.
func (r *rig) follow(link string) answer {
	r.t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.raw("GET " + u.RequestURI() + " HTTP/1.1\r\nHost: " + u.Host + "\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nConnection: close\r\n\r\n")
}

// TestLinkFile is what a browser is started with where the owners of connections cannot be looked up.
func TestLinkFile(t *testing.T) {
	r := newRig(t, serveApp(t, hello("app")), func(a *App) { a.Name = `N"><script>alert(1)</script>` })
	r.options.peers = func() (*peers, error) { return nil, errors.New("this kernel does not tell") }
	stale := filepath.Join(r.options.LinkDir, "open-17.html")
	for _, path := range []string{stale, filepath.Join(r.options.LinkDir, "notes.txt")} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.restart()
	if checked, why := r.g.PeerCheck(); checked || why != "this kernel does not tell" {
		t.Fatalf("checked %v, %s", checked, why)
	}
	if got := linkFilesIn(t, r); len(got) != 1 || got[0] != "notes.txt" {
		t.Errorf("after a start there are %q", got)
	}
	if err := os.Remove(filepath.Join(r.options.LinkDir, "notes.txt")); err != nil {
		t.Fatal(err)
	}

	link, path := r.linkFile()
	st, err := os.Stat(path)
	if err != nil || st.Mode() != 0o600 {
		t.Fatalf("%v %v", st, err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`<meta http-equiv="Content-Security-Policy" content="default-src &#39;none&#39;; style-src `, "&#39;" + strings.ReplaceAll(strings.Trim(hashSource(enterScript), "'"), "+", "&#43;"),
		`<meta name="referrer" content="no-referrer">`, `href="` + link + `"`, "<script>" + enterScript + "</script>", "<style>" + pageStyle + "</style>",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not in %s", want, text)
		}
	}
	if strings.Contains(string(text), "<script>alert") || strings.Index(string(text), "Content-Security-Policy") > strings.Index(string(text), "<style>") {
		t.Errorf("the app's name or the policy's place: %s", text)
	}
	if res := r.follow(link); res.StatusCode != 200 || len(res.Cookies()) != 1 {
		t.Errorf("the link: %s", res.Status)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("it is there after its use: %v", err)
	}
	if res := r.follow(link); res.StatusCode != 403 {
		t.Errorf("the link a second time: %s", res.Status)
	}
	for name, link := range map[string]string{
		"spent": link, "of nobody": "http://nobody.localhost:" + r.g.port + openPath + "?t=x", "no link": "http://" + r.host + "/", "nothing": "", "nonsense": "http://[",
	} {
		if got, err := r.g.LinkFile(link); err == nil {
			t.Errorf("a file for a link that is %s: %s", name, got)
		}
	}

	// It goes with its link's time, with the app's sessions, with the agent, and when there are too many.
	link, path = r.linkFile()
	r.clock.advance(tokenAge)
	r.g.tidy()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("it is there after its time: %v", err)
	}
	if res := r.follow(link); res.StatusCode != 403 {
		t.Errorf("the link after its time: %s", res.Status)
	}
	r.linkFile()
	r.g.EndSessions("i1")
	if left := linkFilesIn(t, r); len(left) > 0 {
		t.Errorf("left after the app was stopped: %q", left)
	}
	_, first := r.linkFile()
	for range maxLinkFiles {
		link, _ = r.linkFile()
	}
	if left := linkFilesIn(t, r); len(left) != maxLinkFiles {
		t.Errorf("%d files", len(left))
	}
	if _, err := os.Stat(first); !os.IsNotExist(err) {
		t.Errorf("the oldest is there: %v", err)
	}
	if res := r.follow(link); res.StatusCode != 200 {
		t.Errorf("the latest: %s", res.Status)
	}
	r.restart()
	if left := linkFilesIn(t, r); len(left) > 0 {
		t.Errorf("left after an end: %q", left)
	}

	// Where none can be made, nothing is handed out instead.
	if err := os.RemoveAll(r.options.LinkDir); err != nil {
		t.Fatal(err)
	}
	link, _, err = r.g.Mint("i1")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.g.LinkFile(link); err == nil {
		t.Errorf("without its folder: %s", got)
	}
	r.options.LinkDir = ""
	r.restart()
	if link, _, err = r.g.Mint("i1"); err != nil {
		t.Fatal(err)
	}
	if got, err := r.g.LinkFile(link); err == nil {
		t.Errorf("with no folder: %s", got)
	}
}

func TestFileURL(t *testing.T) {
	for path, want := range map[string]string{"/run/user/1000/a b#c?.html": "file:///run/user/1000/a%20b%23c%3F.html", "C:/Temp/x.html": "file:///C:/Temp/x.html"} {
		if got := fileURL(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
