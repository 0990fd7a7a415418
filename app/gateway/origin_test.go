package gateway

import (
	"errors"
	"fmt"
	"net"
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
	own, shell := ownAddr.String()+":"+r.g.port, ownAddr.String()+":"+shellPort(r.g.port)
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
		{shell, shell, "200"}, // the page around it
		{shell, own, "200"},
		{shell, ownAddr.String() + ":1", "421"},
		{shell, "127.77.12.6:" + shellPort(r.g.port), "421"},
		{shell, "127.0.0.1:" + shellPort(r.g.port), "421"},
		{"127.77.12.6:" + r.g.port, "127.77.12.6:" + r.g.port, "not listening"},
	} {
		if got := ask(row.to, row.host, cookie); got != row.want {
			t.Errorf("%s at %s: %s, want %s", row.host, row.to, got, row.want)
		}
	}
	if got := ask(own, own); got != "401" {
		t.Errorf("without a session: %s", got)
	}
	for _, at := range []string{own, shell} {
		if _, err := net.Listen("tcp4", at); err == nil {
			t.Errorf("another program can have %s", at)
		}
	}
	if res := r.raw("GET / HTTP/1.1\r\nHost: " + shell + "\r\nCookie: " + r.cookie + "\r\nConnection: close\r\n\r\n"); directive(res.Header.Get("Content-Security-Policy"), "frame-src") != "http://"+own {
		t.Errorf("the shell frames %v", res.Header)
	}
	if got := directive(r.get("/").Header.Get("Content-Security-Policy"), "frame-ancestors"); got != "http://"+shell {
		t.Errorf("the app may be framed by %s", got)
	}
	if res := r.get("/", "Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"); !strings.Contains(res.body, `href="http://`+shell+`/#/"`) {
		t.Errorf("a tab is shown %q", res.body)
	}

	// Addresses that are not to be had.
	holder, err := net.Listen("tcp4", "127.77.12.9:"+r.g.port)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	beside, err := net.Listen("tcp4", "127.77.12.10:"+shellPort(r.g.port))
	if err != nil {
		t.Fatal(err)
	}
	defer beside.Close()
	r.g.Set(App{Install: "i5", Label: "five-abcdefgh", Mode: ModeServer, Addr: netip.MustParseAddr("127.77.12.10")})
	if _, _, err := r.g.Mint("i5"); !errors.As(err, new(*AddrInUseError)) || r.g.Origin("i5") != "" {
		t.Errorf("a taken shell: %v, served at %q", err, r.g.Origin("i5"))
	}
	if l, err := net.Listen("tcp4", "127.77.12.10:"+r.g.port); err != nil {
		t.Errorf("held without its shell: %v", err)
	} else {
		_ = l.Close()
	}
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
	for _, at := range []string{own, shell} {
		if got := ask(at, at, cookie); got != "410" {
			t.Errorf("%s, removed: %s", at, got)
		}
	}
	r.clock.advance(tombstoneAge * 2)
	r.g.tidy()
	for _, at := range []string{own, shell} {
		if got := ask(at, at, cookie); got != "not listening" {
			t.Errorf("%s, a month later: %s", at, got)
		}
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

// TestOwnAddressInBrowsers opens two apps at addresses: each is in its shell, which it cannot leave, and neither sees
// anything of the other. All of TestShell was run this way too, with the same outcome in both browsers.
func TestOwnAddressInBrowsers(t *testing.T) {
	for _, kind := range browser.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			s := newStage(t, kind, func(a *App) { a.Addr = ownAddr })
			s.r.back.set("i2", s.r.back.ups["i1"])
			s.r.g.Set(App{Install: "i2", ID: "org.example.other", Label: "other-abcdefgh", Name: "Other", Mode: ModeServer, Addr: netip.MustParseAddr("127.77.12.6"), Allow: grants(t, "net:*")})
			tab, notes := s.open()
			link, _, err := s.r.g.Mint("i2")
			if err != nil {
				t.Fatal(err)
			}
			otherTab := s.b.Open(t, link)
			var other *browser.Page
			await(t, "the other app is open", func() bool {
				other = otherTab.Frame(s.r.g.Origin("i2") + "/")
				return other.Try("window.ran") == "1"
			})
			for _, p := range []*browser.Page{notes, other} {
				if got := p.Try(`(async () => (await fetch("/post", {method: "POST"})).text())()`); got != "POST own=1" {
					t.Errorf("the app at %s is sent %q", p.URL(), got)
				}
				if got := p.Try(`new Promise((ok) => { const s = new WebSocket("/ws", "echo"); s.onopen = () => s.send("hi"); s.onmessage = (e) => ok(e.data); s.onerror = () => ok("refused") })`); got != "hi" {
					t.Errorf("own WebSocket: %s", got)
				}
				if got := p.Try(`(() => { try { return parent.document.title } catch { return "refused" } })()`); got != "refused" {
					t.Errorf("the shell is open to its frame: %s", got)
				}
			}
			browser.Eval[bool](notes, `(localStorage.setItem("a", "1"), document.cookie = "mine=1", true)`)
			if got := other.Try(`localStorage.length + document.cookie`); got != "0own=1" {
				t.Errorf("the other app sees %q", got)
			}
			if got := other.Try(fmt.Sprintf(`(async () => (await fetch("%s/post", {credentials: "include", mode: "no-cors"})).type)()`, s.app)); got != "refused: TypeError" && got != "opaque" {
				t.Errorf("the other app fetches %q", got)
			}
			browser.Act[bool](notes, fmt.Sprintf("(setTimeout(() => location = %q), true)", s.outside+"/?left"))
			tab.Until("the bar says that it wanted to leave", "document.querySelector('header').innerText.includes('wanted to leave for')")
			if n := s.arrived.count("left"); n != 0 {
				t.Errorf("%d got out", n)
			}
		})
	}
}
