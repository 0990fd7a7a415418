package gateway

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"paddock/app/e2e/browser"
)

var ownAddr = netip.MustParseAddr("127.77.12.5")

// TestOwnAddress serves apps under addresses of their own: exact Host, held, and each app its own sessions.
func TestOwnAddress(t *testing.T) {
	r := newRig(t, serveApp(t, hello("app")), func(a *App) { a.Addr = ownAddr }, func(a *App) { a.Label = "numbered-abcdefgh" })
	if possible, why := r.g.OwnAddresses(); !possible {
		t.Fatal(why)
	}
	own := ownAddr.String() + ":" + r.g.port
	if got := r.g.Origin("i1"); got != "http://"+own {
		t.Fatalf("origin %s", got)
	}
	ask := func(to, host string, more ...string) string {
		t.Helper()
		c, err := net.Dial("tcp", to)
		if err != nil {
			return "not listening"
		}
		defer c.Close()
		_, _ = fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s\r\n", host, strings.Join(append(more, ""), "\r\n"))
		b := make([]byte, 12)
		_, _ = c.Read(b)
		return strings.TrimPrefix(string(b), "HTTP/1.1 ")
	}
	cookie := "Cookie: " + r.cookie
	for _, row := range []struct{ to, host, want string }{
		{own, own, "200"},
		{r.g.Addr(), own, "200"}, // one front door; the Host decides
		{own, r.g.Addr(), "421"},
		{own, "numbered-abcdefgh.localhost:" + r.g.port, "421"},
		{own, ownAddr.String(), "421"},
		{own, "127.77.12.6:" + r.g.port, "421"},
		{"127.77.12.6:" + r.g.port, "127.77.12.6:" + r.g.port, "not listening"},
	} {
		if got := ask(row.to, row.host, cookie); got != row.want {
			t.Errorf("%s at %s: %s, want %s", row.host, row.to, got, row.want)
		}
	}
	if got := ask(own, own); got != "401" {
		t.Errorf("without a session: %s", got)
	}
	if _, err := net.Listen("tcp4", own); err == nil {
		t.Error("another program can have the address")
	}

	// Addresses that are not to be had.
	holder, err := net.Listen("tcp4", "127.77.12.9:"+r.g.port)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	_ = r.store.Put(Session{Hash: [32]byte{9}, Install: "i2"})
	r.g.Set(App{Install: "i2", Label: "two-abcdefgh", Mode: ModeServer, Addr: netip.MustParseAddr("127.77.12.9")})
	if _, _, err := r.g.Mint("i2"); !errors.As(err, new(*AddrInUseError)) || !strings.Contains(err.Error(), "in use by") || r.g.Origin("i2") != "" {
		t.Errorf("a taken address: %v, served at %q", err, r.g.Origin("i2"))
	}
	for _, s := range r.store.sessions {
		if s.Install == "i2" {
			t.Error("its sessions are still good")
		}
	}
	for _, bad := range []string{"127.0.0.1", "127.0.0.53", "192.0.2.1", "::1", "0.0.0.0"} {
		r.g.Set(App{Install: "i3", Label: "three-abcdefgh", Mode: ModeServer, Addr: netip.MustParseAddr(bad)})
		if got := r.g.Origin("i3"); got != "" {
			t.Errorf("%s is the address of an app: %s", bad, got)
		}
	}
	r.g.Set(App{Install: "i4", Label: "four-abcdefgh", Mode: ModeServer, Addr: ownAddr})
	if got := r.g.Origin("i4"); got != "" {
		t.Errorf("two apps at one address: %s", got)
	}

	// Removed it is a tombstone for its time, then nothing.
	r.g.Remove("i1")
	if got := ask(own, own, cookie); got != "410" {
		t.Errorf("removed: %s", got)
	}
	r.clock.advance(tombstoneAge * 2)
	r.g.tidy()
	if got := ask(own, own, cookie); got != "not listening" {
		t.Errorf("a month later: %s", got)
	}
	r.g.TombstoneAddr(ownAddr, r.clock.now().Add(tombstoneAge))
	if got := ask(own, own, cookie); got != "410" {
		t.Errorf("removed before the start: %s", got)
	}
	r.g.Set(r.app) // undone
	if got := ask(own, own, cookie); got != "401" {
		t.Errorf("undone: %s", got)
	}
}

// TestOwnAddressInBrowsers opens two apps at addresses: neither sees anything of the other.
func TestOwnAddressInBrowsers(t *testing.T) {
	up := serveApp(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/":
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Set-Cookie", "own=1; Path=/")
			_, _ = fmt.Fprint(w, `<!doctype html><title>Notes</title><p id="p">Hello`)
		case "/cookies":
			_, _ = fmt.Fprint(w, req.Header.Get("Cookie"))
		case "/ws":
			echo(t).ServeHTTP(w, req)
		}
	}))
	r := newRig(t, up, func(a *App) { a.Addr = ownAddr })
	r.back.set("i2", up)
	r.g.Set(App{Install: "i2", ID: "org.example.other", Label: "other-abcdefgh", Name: "Other", Mode: ModeServer, Addr: netip.MustParseAddr("127.77.12.6"), Allow: grants(t, "net:*")})
	for _, kind := range browser.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			b := browser.Start(t, kind, browser.Options{})
			enter := func(install string) *browser.Page {
				url, _, err := r.g.Mint(install)
				if err != nil {
					t.Fatal(err)
				}
				p := b.Open(t, url).At(r.g.Origin(install) + "/")
				p.Until("it is open", `document.querySelector("#p") !== null`)
				return p
			}
			notes, other := enter("i1"), enter("i2")
			const cookies = `(async () => (await fetch("/cookies")).text())()`
			for _, p := range []*browser.Page{notes, other} {
				if got := p.Try(cookies); got != "own=1" {
					t.Errorf("the app at %s is sent %q", p.URL(), got)
				}
				if got := p.Try(`new Promise((ok) => { const s = new WebSocket("ws://" + location.host + "/ws", "echo"); s.onopen = () => s.send("hi"); s.onmessage = (e) => ok(e.data); s.onerror = () => ok("refused") })`); got != "hi" {
					t.Errorf("own WebSocket: %s", got)
				}
			}
			browser.Eval[bool](notes, `(localStorage.setItem("a", "1"), document.cookie = "mine=1", true)`)
			if got := other.Try(`localStorage.length + document.cookie`); got != "0own=1" {
				t.Errorf("the other app sees %q", got)
			}
			if got := other.Try(fmt.Sprintf(`(async () => (await fetch("%s/cookies", {credentials: "include", mode: "no-cors"})).type)()`, r.g.Origin("i1"))); got != "refused: TypeError" && got != "opaque" {
				t.Errorf("the other app fetches %q", got)
			}
		})
	}
}
