package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paddock/app/e2e/browser"
)

// exampleServer runs the program that packs, signs and serves the example apps, and returns their URLs.
func exampleServer(t *testing.T) map[string]string {
	t.Helper()
	program := filepath.Join(filepath.Dir(bin(t)), ".cache", "bin", "serve-examples")
	if p := os.Getenv("PADDOCK_SERVE_EXAMPLES"); p != "" {
		program = p
	}
	cmd := exec.Command(program, "-keys", t.TempDir())
	hold, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: “make test” builds it", err)
	}
	t.Cleanup(func() { hold.Close(); _ = cmd.Wait() })
	var ready struct{ Apps map[string]string }
	if err := json.Unmarshal([]byte(firstLine(t, out)), &ready); err != nil {
		t.Fatal(err)
	}
	return ready.Apps
}

// secureSite serves h over TLS for host, with a certificate of an authority of its own, and returns its
// address and the file with that authority.
func secureSite(t *testing.T, host string, h http.Handler) (addr, authority string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(s.Close)
	authority = filepath.Join(t.TempDir(), "authority.pem")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(s.URL, "https://"), authority
}

const atom = `<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>Go</title><id>x</id><updated>2026-01-02T03:04:05Z</updated>
<entry><title>A real article</title><id>a</id><updated>2026-01-02T03:04:05Z</updated><link href="https://go.dev/a"/>
<content type="html">&lt;p&gt;Hello &lt;script&gt;parent.pwned = 1&lt;/script&gt;&lt;b&gt;there&lt;/b&gt;&lt;/p&gt;</content></entry></feed>`

// TestExamples: the two example apps, got by URL like any stranger's, used in a real browser: a note that
// is still there after a restart, and a feed that is read only once its host is allowed.
func TestExamples(t *testing.T) {
	t.Parallel()
	site, authority := secureSite(t, "go.dev", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/blog/feed.atom" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/atom+xml")
		fmt.Fprint(w, atom)
	}))
	m := newMachine(t)
	m.env = append(m.env, "SSL_CERT_FILE="+authority) // the proxy's trust, not the app's: the host does TLS
	a := m.start("--resolve", "go.dev:443="+site)
	for _, url := range exampleServer(t) {
		must[okayInstall](m, "install", url)
	}
	b := browser.Start(t, browser.Chromium, browser.Options{})
	var o opened
	var tab *browser.Page
	visit := func(app string) {
		t.Helper()
		o = must[opened](m, "open", app, "--no-browser")
		tab = b.Open(t, o.URL)
	}
	// The app's page is in the frame of its shell, which loads again when a right changes.
	try := func(expression string) string {
		t.Helper()
		return tab.Frame(o.Origin + "/").Try(expression)
	}
	until := func(what, condition string) {
		t.Helper()
		eventually(t, what, deadline, func() bool { return try(condition) == "true" })
	}
	click := func(selector string) {
		t.Helper()
		until(selector+" is there", `!!document.querySelector("`+selector+`")`)
		try(`document.querySelector("` + selector + `").click()`)
	}
	shows := func(selector, text string) {
		t.Helper()
		until(selector+" shows "+text, `(document.querySelector("`+selector+`")?.innerText ?? "").includes("`+text+`")`)
	}

	// Notes
	visit("notes")
	click("#new")
	until("the editor is open", `document.querySelector("#editor")?.offsetParent !== null`)
	try(`(() => { const e = document.querySelector("#editor"); e.value = "# Milk\n\nand honey #shopping"; return e.dispatchEvent(new InputEvent("input", { bubbles: true })); })()`)
	shows("#list", "Milk")
	shows("#tags", "shopping")
	notes := filepath.Join(m.home, "apps", "*", "data", "*")
	eventually(t, "the note is on disk", deadline, func() bool { return grepFiles(t, notes, "and honey") })
	must[okay](m, "restart", "notes")
	if err := tab.Navigate(o.Origin + "/"); err != nil {
		t.Fatal(err)
	}
	shows("#list", "Milk")
	if got := try(`fetch("https://go.dev/").then(() => "reached", e => e.name)`); got != "TypeError" {
		t.Fatalf("the page of an app without any right reaches a site: %s", got)
	}

	// Feeds
	visit("feeds")
	shows("#feeds", "The Go Blog")
	click("#refresh")
	open := `(() => { const all = [...document.querySelectorAll("#feeds *")].filter(e => e.textContent.includes("The Go Blog")); const at = all.at(-1).closest("button, a, li"); at.click(); return true; })()`
	try(open)
	shows("#trouble", "You have not allowed Feeds to talk to go.dev")
	try(`window.before = true`)
	must[okay](m, "grant", "feeds", "net:go.dev")
	until("the page follows the grant", `document.readyState === "complete" && window.before === undefined`)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("activity: %s\nlogs: %s\nagent: %s", m.run("activity", "feeds").stdout, m.run("logs", "feeds").stdout, a.log)
		}
	})
	// The page may load again once more, for the app that started anew: a click before that is lost, as a person's is.
	until("#items shows A real article", `(() => {
		if ((document.querySelector("#items")?.innerText ?? "").includes("A real article")) return true;
		const button = document.querySelector("#refresh");
		const idle = button && !button.classList.contains("busy") && document.querySelector("#feeds .source");
		if (idle && Date.now() - (window.pressed ?? 0) > 2000) { window.pressed = Date.now(); button.click(); }
		return false; })()`)
	try(`(() => { [...document.querySelectorAll("#items *")].filter(e => e.textContent.includes("A real article")).at(-1).closest("button, a, li").click(); return true; })()`)
	shows("#article", "Hello")
	if got := try(`typeof window.pwned`); got != "undefined" {
		t.Fatal("a feed ran a script in the page")
	}
	type activity struct {
		Permission, Outcome, Side string
		BytesIn                   int64 `json:"bytes_in"`
	}
	allowed := false
	for _, e := range must[[]activity](m, "activity", "feeds") {
		allowed = allowed || e.Permission == "net:go.dev" && e.Outcome == "allowed" && e.BytesIn > 0
	}
	if !allowed {
		t.Errorf("activity does not show the visit\n%s", a.log)
	}
}

// grepFiles reports whether a file of those that the pattern names, or one below them, holds text.
func grepFiles(t *testing.T, pattern, text string) bool {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, name := range names {
		err := filepath.WalkDir(name, func(p string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil //nolint:nilerr // a file that is being replaced is looked at next time
			}
			raw, err := os.ReadFile(p)
			found = found || err == nil && strings.Contains(string(raw), text)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}
