package egress

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long a test waits for something that must happen; nothing is measured by it.
const patience = 60 * time.Second

// fixture is a proxy and a site that names lead to.
type fixture struct {
	*Proxy
	events chan Event
}

// start serves a proxy for one test, and checks at its end that nothing is left of it.
func start(t testing.TB, o Options) *fixture {
	t.Helper()
	before := goleak.IgnoreCurrent()
	folder, err := os.MkdirTemp("", "eg") // short: a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{events: make(chan Event, 10_000)}
	o.Socket = filepath.Join(folder, "s")
	o.OnEvent = func(e Event) { f.events <- e }
	if f.Proxy, err = Listen(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
		os.RemoveAll(folder)
		goleak.VerifyNone(t, before)
	})
	return f
}

// event waits for the next event.
func (f *fixture) event(t testing.TB) Event {
	t.Helper()
	select {
	case e := <-f.events:
		return e
	case <-time.After(patience):
		t.Fatal("no event")
		return Event{}
	}
}

// dial opens a connection as an app does.
func (f *fixture) dial(t testing.TB) *net.UnixConn {
	t.Helper()
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: f.Socket(), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// raw sends bytes and gives everything that comes back.
func (f *fixture) raw(t testing.TB, send string) string {
	t.Helper()
	c := f.dial(t)
	if _, err := io.WriteString(c, send); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("after %q: %v", got, err)
	}
	return string(got)
}

// do sends one request and reads its response.
func (f *fixture) do(t testing.TB, method, url, header string, body io.Reader) (*http.Response, string) {
	t.Helper()
	c := f.dial(t)
	defer c.Close()
	fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: ignored.example\r\n%s\r\n", method, url, header)
	if body != nil {
		if _, err := io.Copy(c, body); err != nil {
			t.Fatal(err)
		}
	}
	r := bufio.NewReader(c)
	response, err := http.ReadResponse(r, &http.Request{Method: method})
	if err == nil && strings.Contains(header, "Expect") {
		if response.StatusCode != http.StatusContinue {
			t.Errorf("told to go on by %s", response.Status)
		}
		response, err = http.ReadResponse(r, &http.Request{Method: method})
	}
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(got)
}

func (f *fixture) get(t testing.TB, url string) (*http.Response, string) {
	t.Helper()
	return f.do(t, "GET", url, "", nil)
}

// site serves handler over TLS, over HTTP/2 where that is asked for, and gives options that lead site.example there.
func site(t testing.TB, h2 bool, handler http.HandlerFunc) Options {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.EnableHTTP2 = h2
	s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t, "site.example", "*.site.example", "8.8.4.4")}}
	s.Config.ErrorLog = quiet
	s.StartTLS()
	t.Cleanup(s.Close)
	return Options{
		Policy:  Policy{Allow: set(t, "net:site.example,net:www.site.example,net:8.8.4.4")},
		RootCAs: testRoots(t),
		Resolve: map[string]string{
			"site.example:443": s.Listener.Addr().String(), "www.site.example:443": s.Listener.Addr().String(),
			"other.site.example:443": s.Listener.Addr().String(), "8.8.4.4:443": s.Listener.Addr().String(),
		},
	}
}

// plainSite is site without TLS, on port 80.
func plainSite(t testing.TB, handler http.HandlerFunc) Options {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return Options{
		Policy:  Policy{Allow: set(t, "net:site.example:80")},
		Resolve: map[string]string{"site.example:80": s.Listener.Addr().String()},
	}
}

func TestFetch(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("h2=%v", h2), func(t *testing.T) {
			seen := make(chan *http.Request, 10)
			f := start(t, site(t, h2, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				seen <- r
				w.Header().Set("X-Answer", "yes")
				w.Header().Set("Keep-Alive", "timeout=5")
				w.Header().Set("Paddock-Refused", "not by us")
				w.WriteHeader(http.StatusTeapot)
				fmt.Fprintf(w, "%s %s", r.Method, body)
			}))
			response, body := f.do(t, "POST", "https://SITE.example/p%2Fq|?a=b|c", "Content-Length: 5\r\nX-Mine: 1\r\nKeep-Alive: x\r\n", strings.NewReader("hello"))
			if response.StatusCode != http.StatusTeapot || body != "POST hello" || response.Header.Get("X-Answer") != "yes" {
				t.Errorf("%d %q %v", response.StatusCode, body, response.Header)
			}
			if response.Proto != "HTTP/1.1" || response.Header.Get("Keep-Alive") != "" || response.Header.Get(refusedHeader) != "" {
				t.Errorf("%s %v", response.Proto, response.Header)
			}
			r := <-seen
			if r.Host != "site.example" || r.RequestURI != "/p%2Fq|?a=b|c" || r.ContentLength != 5 || r.TLS.ServerName != "site.example" {
				t.Errorf("the site saw %s %s %d %s", r.Host, r.RequestURI, r.ContentLength, r.TLS.ServerName)
			}
			for name := range r.Header {
				if name != "X-Mine" && name != "Content-Length" {
					t.Errorf("the site saw the header %s: %q", name, r.Header[name])
				}
			}
			if h2 != (r.ProtoMajor == 2) {
				t.Errorf("spoke %s", r.Proto)
			}
			e := f.event(t)
			if !e.Allowed || e.Reason != "" || e.Target != "site.example:443" || e.Permission != "net:site.example" || e.Method != "POST" ||
				e.Path != "/p%2Fq|" || e.BytesIn < 10 || e.BytesOut < 5 || e.At.IsZero() {
				t.Errorf("%+v", e)
			}
			if s := f.Stats()["site.example:443"]; s.Requests != 1 || s.Refused != 0 || s.BytesIn != e.BytesIn || s.BytesOut != e.BytesOut {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestBodies(t *testing.T) {
	f := start(t, site(t, false, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		switch r.URL.Path {
		case "/length":
			w.Header().Set("Content-Length", "7")
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if r.Method != "HEAD" {
			fmt.Fprintf(w, "%7d", len(body))
		}
	}))
	long := strings.Repeat("x", 100_000)
	for _, c := range []struct{ method, path, header, body, want string }{
		{"GET", "/", "", "", "      0"},
		{"GET", "/length", "", "", "      0"},
		{"GET", "/", "Content-Length: 0\r\n", "", "      0"},
		{"GET", "/empty", "", "", ""},
		{"HEAD", "/length", "", "", ""},
		{"POST", "/", "", "", "      0"},
		{"POST", "/length", "Content-Length: 100000\r\n", long, " 100000"},
		{"POST", "/", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: v\r\n\r\n", "      5"},
		{"PUT", "/", "Content-Length: 3\r\nExpect: 100-continue\r\n", "abc", "      3"},
	} {
		response, body := f.do(t, c.method, "https://site.example"+c.path, c.header, strings.NewReader(c.body))
		if body != c.want || response.StatusCode >= 400 {
			t.Errorf("%s %s: %d %q, want %q", c.method, c.path, response.StatusCode, body, c.want)
		}
		if c.path == "/length" && response.ContentLength != 7 {
			t.Errorf("%s: the length %d was not passed on", c.method, response.ContentLength)
		}
		if e := f.event(t); e.Reason != "" || !e.Allowed {
			t.Errorf("%s %s: %+v", c.method, c.path, e)
		}
	}
}

// What is in the wrong form never reaches the site, and is answered with a reason.
func TestHostileFraming(t *testing.T) {
	f := start(t, site(t, false, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("reached the site: %s %s", r.Method, r.URL) }))
	for name, c := range map[string]struct{ raw, want string }{
		"connect":        {"CONNECT site.example:443 HTTP/1.1\r\n\r\n", "405"},
		"origin form":    {"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n", "400"},
		"two lengths":    {"POST https://site.example/ HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 40\r\n\r\nabcd", "400"},
		"both framings":  {"POST https://site.example/ HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
		"early bytes":    {"GET https://site.example/ HTTP/1.1\r\n\r\nGET https://site.example/admin HTTP/1.1\r\n\r\n", "400"},
		"early bytes ws": {"GET https://site.example/ HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x00", "400"},
		"user info":      {"GET https://u@site.example/ HTTP/1.1\r\n\r\n", "400"},
		"tls":            {"\x16\x03\x01\x00\x05hello\r\n\r\n", "400"},
		"long":           {"GET https://site.example/" + strings.Repeat("x", 70<<10) + " HTTP/1.1\r\n\r\n", "431"},
	} {
		got := f.raw(t, c.raw)
		if !strings.HasPrefix(got, "HTTP/1.1 "+c.want+" ") || !strings.Contains(got, "\r\nConnection: close\r\n") || !strings.Contains(got, "\r\nPaddock-Refused: ") {
			t.Errorf("%s: %q", name, got)
		}
		if e := f.event(t); e.Allowed || e.Reason == "" {
			t.Errorf("%s: %+v", name, e)
		}
	}
	if got := f.raw(t, "CONNECT site.example:443 HTTP/1.1\r\n\r\n"); !strings.Contains(got, "Use fetch or WebSocket.") || !strings.Contains(got, "\r\nAllow: GET") {
		t.Errorf("CONNECT: %q", got)
	}
	// Cut short or without a word: nothing to answer, nothing left.
	for _, raw := range []string{"", "GET https://site.example/ HT"} {
		c := f.dial(t)
		io.WriteString(c, raw)
		c.Close()
	}
}

// A body that is framed wrongly ends the request; the site never takes it for complete.
func TestHostileBodies(t *testing.T) {
	complete := make(chan string, 10)
	f := start(t, plainSite(t, func(_ http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil {
			complete <- string(body)
		}
	}))
	for name, body := range map[string]string{
		"no chunk size": "zz\r\nabc\r\n0\r\n\r\n", "no line end": "3\r\nabcX0\r\n\r\n", "endless trailer": "0\r\n" + strings.Repeat("A: b\r\n", 3000),
		"endless size": strings.Repeat("0", 10_000) + "1\r\na\r\n0\r\n\r\n",
	} {
		c := f.dial(t)
		io.WriteString(c, "POST http://site.example/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"+body)
		c.CloseWrite()
		io.Copy(io.Discard, c)
		if e := f.event(t); e.Reason == "" && e.BytesIn > 0 {
			t.Errorf("%s: %+v", name, e)
		}
	}
	c := f.dial(t)
	io.WriteString(c, "POST http://site.example/ HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc")
	c.CloseWrite()
	io.Copy(io.Discard, c)
	f.event(t)
	select {
	case body := <-complete:
		t.Errorf("the site took %q for a complete body", body)
	default:
	}
}

func TestDenied(t *testing.T) {
	f := start(t, site(t, false, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("reached the site: %s", r.Host) }))
	for url, want := range map[string]string{
		"https://evil.example/x?secret":  "net:evil.example",
		"http://site.example/":           "net:site.example:80",
		"https://other.site.example/":    "net:other.site.example",
		"https://site.example:8443/":     "net:site.example:8443",
		"https://site.example.evil.com/": "net:site.example.evil.com",
		"http://192.168.0.1/":            "lan",
	} {
		response, body := f.get(t, url)
		if response.StatusCode != http.StatusForbidden || !strings.Contains(body, "was not granted "+want+".") || response.Header.Get(refusedHeader) != ReasonNotGranted {
			t.Errorf("%s: %d %q", url, response.StatusCode, body)
		}
		if e := f.event(t); e.Allowed || e.Reason != ReasonNotGranted || e.Permission != want || strings.Contains(e.Path, "secret") {
			t.Errorf("%s: %+v", url, e)
		}
	}
	for _, url := range []string{"http://localhost/", "http://127.1/", "http://[::1]/", "http://0/", "http://2130706433/", "http://[::ffff:127.0.0.1]/"} {
		response, _ := f.get(t, url)
		if e := f.event(t); response.StatusCode != http.StatusForbidden || e.Reason != ReasonThisComputer || e.Allowed {
			t.Errorf("%s: %d %+v", url, response.StatusCode, e)
		}
	}
}

// lying is a resolver that gives one answer after the other, the last one for ever.
type lying struct {
	mu      sync.Mutex
	answers [][]netip.Addr
	asked   int
}

func (l *lying) LookupNetIP(_ context.Context, network, _ string) ([]netip.Addr, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if network != "ip" {
		return nil, fmt.Errorf("asked for %s", network)
	}
	if len(l.answers) == 0 {
		return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
	}
	i := min(l.asked, len(l.answers)-1)
	l.asked++
	return l.answers[i], nil
}

func addrs(list ...string) []netip.Addr {
	out := make([]netip.Addr, len(list))
	for i, s := range list {
		out[i] = netip.MustParseAddr(s)
	}
	return out
}

// dialled makes a proxy note where it would connect to, and connect nowhere.
func dialled(p *Proxy) func() []string {
	var mu sync.Mutex
	var list []string
	p.dialer.net.Control = func(_, address string, _ syscall.RawConn) error {
		mu.Lock()
		defer mu.Unlock()
		list = append(list, address)
		return errors.New("not in a test")
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(list)
	}
}

// A granted name is worth nothing when it leads where no app may go.
func TestLyingResolver(t *testing.T) {
	for _, c := range []struct {
		allow   string
		answers []string
		reason  string
		dialled []string
	}{
		{"net:a.example", []string{"127.0.0.1"}, ReasonThisComputer, nil},
		{"net:a.example,lan", []string{"127.0.0.1"}, ReasonThisComputer, nil},
		{"net:a.example", []string{"::1"}, ReasonThisComputer, nil},
		{"net:a.example", []string{"::ffff:10.0.0.1"}, ReasonPrivate, nil},
		{"net:a.example", []string{"10.0.0.1", "192.168.1.1"}, ReasonPrivate, nil},
		{"net:*", []string{"fd00::1"}, ReasonPrivate, nil},
		{"net:*", []string{"64:ff9b::a00:1"}, ReasonPrivate, nil},
		{"net:*,lan", []string{"169.254.169.254"}, ReasonReserved, nil},
		{"net:*", []string{"10.0.0.1", "8.8.8.8"}, ReasonConnect, []string{"8.8.8.8:443"}},
		{"net:a.example,lan", []string{"10.77.0.1"}, ReasonConnect, []string{"10.77.0.1:443"}},
		{"net:a.example", nil, ReasonResolve, nil},
	} {
		resolver := &lying{}
		if c.answers != nil {
			resolver.answers = [][]netip.Addr{addrs(c.answers...)}
		}
		f := start(t, Options{Policy: Policy{Allow: set(t, c.allow)}, Resolver: resolver})
		list := dialled(f.Proxy)
		response, body := f.get(t, "https://a.example/")
		e := f.event(t)
		if response.StatusCode < 400 || e.Reason != c.reason || !slices.Equal(list(), c.dialled) {
			t.Errorf("%v -> %v: %d %q, %+v, dialled %v", c.allow, c.answers, response.StatusCode, body, e, list())
		}
		if e.Allowed != (c.reason == ReasonConnect || c.reason == ReasonResolve) {
			t.Errorf("%v -> %v: allowed %v", c.allow, c.answers, e.Allowed)
		}
		for _, a := range c.answers {
			if strings.Contains(body, a) {
				t.Errorf("the app is told %s", a)
			}
		}
	}
	// lan alone covers what is on the local network, whatever a local name resolves to.
	f := start(t, Options{Policy: Policy{Allow: set(t, "lan")}, Resolver: &lying{answers: [][]netip.Addr{addrs("8.8.8.8")}}})
	list := dialled(f.Proxy)
	f.get(t, "http://printer.local/")
	if e := f.event(t); e.Reason != ReasonNotLocal || e.Allowed || len(list()) != 0 {
		t.Errorf("%+v, dialled %v", e, list())
	}
}

// The answer that was checked is the one that is used: a second answer cannot slip in between.
func TestRebinding(t *testing.T) {
	resolver := &lying{answers: [][]netip.Addr{addrs("8.8.8.8"), addrs("127.0.0.1")}}
	f := start(t, Options{Policy: Policy{Allow: set(t, "net:a.example")}, Resolver: resolver})
	list := dialled(f.Proxy)
	f.get(t, "https://a.example/")
	if got := list(); !slices.Equal(got, []string{"8.8.8.8:443"}) || resolver.asked != 1 {
		t.Errorf("dialled %v after asking %d times", got, resolver.asked)
	}
	f.event(t)
	f.get(t, "https://a.example/")
	if e := f.event(t); e.Reason != ReasonThisComputer || len(list()) != 1 {
		t.Errorf("the second answer: %+v, dialled %v", e, list())
	}
}

// This machine is not reachable through its other addresses either, and neighbours only with lan.
func TestOwnNetwork(t *testing.T) {
	own := []netip.Prefix{netip.MustParsePrefix("8.8.4.77/28")}
	try := func(allow, answer string) Event {
		f := start(t, Options{Policy: Policy{Allow: set(t, allow)}, Resolver: &lying{answers: [][]netip.Addr{addrs(answer)}}})
		dialled(f.Proxy)
		f.dialer.local.read = func() ([]netip.Prefix, error) { return own, nil }
		f.get(t, "https://a.example/")
		return f.event(t)
	}
	if e := try("net:a.example,lan", "8.8.4.77"); e.Reason != ReasonThisComputer {
		t.Errorf("own address: %+v", e)
	}
	if e := try("net:a.example", "8.8.4.66"); e.Reason != ReasonPrivate {
		t.Errorf("neighbour without lan: %+v", e)
	}
	if e := try("net:a.example,lan", "8.8.4.66"); e.Reason != ReasonConnect {
		t.Errorf("neighbour with lan: %+v", e)
	}
	own = nil
	now := time.Unix(1000, 0)
	reads := 0
	l := &localAddresses{now: func() time.Time { return now }, read: func() ([]netip.Prefix, error) {
		reads++
		return []netip.Prefix{netip.MustParsePrefix("10.0.0.1/8")}, nil
	}}
	for range 3 {
		l.prefixes()
	}
	now = now.Add(localAge)
	if l.prefixes(); reads != 2 {
		t.Errorf("read %d times", reads)
	}
	l.read = func() ([]netip.Prefix, error) { return nil, errors.New("no") }
	now = now.Add(localAge)
	if _, err := l.prefixes(); err == nil {
		t.Error("an old list is used although the new one cannot be read")
	}
	if list, err := interfacePrefixes(); err != nil || !slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Addr().IsLoopback() && p.Bits() >= 8 }) {
		t.Errorf("%v, %v", list, err)
	}
}

func TestTLSErrors(t *testing.T) {
	o := site(t, false, func(http.ResponseWriter, *http.Request) { t.Error("reached the site") })
	o.RootCAs = x509.NewCertPool()
	f := start(t, o)
	response, body := f.get(t, "https://site.example/")
	if e := f.event(t); response.StatusCode != http.StatusBadGateway || e.Reason != ReasonTLS || !strings.Contains(body, "certificate") {
		t.Errorf("unknown authority: %d %q %+v", response.StatusCode, body, e)
	}
	o = site(t, false, func(http.ResponseWriter, *http.Request) { t.Error("reached the site") })
	o.Policy, o.Resolve = Policy{Allow: set(t, "net:wrong.example")}, map[string]string{"wrong.example:443": o.Resolve["site.example:443"]}
	f = start(t, o)
	f.get(t, "https://wrong.example/")
	if e := f.event(t); e.Reason != ReasonTLS {
		t.Errorf("another name: %+v", e)
	}
	o = plainSite(t, func(http.ResponseWriter, *http.Request) {})
	o.Policy, o.Resolve = Policy{Allow: set(t, "net:site.example")}, map[string]string{"site.example:443": o.Resolve["site.example:80"]}
	f = start(t, o)
	f.get(t, "https://site.example/")
	if e := f.event(t); e.Reason != ReasonTLS {
		t.Errorf("no TLS there: %+v", e)
	}
}

// Each piece of a response is passed on when it comes, and giving up on one side ends the other.
func TestStreamingAndCancel(t *testing.T) {
	next, gone := make(chan string), make(chan struct{}, 1)
	f := start(t, plainSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		for {
			select {
			case s := <-next:
				io.WriteString(w, s)
				w.(http.Flusher).Flush()
			case <-r.Context().Done():
				gone <- struct{}{}
				return
			}
		}
	}))
	c := f.dial(t)
	io.WriteString(c, "GET http://site.example/ HTTP/1.1\r\n\r\n")
	var response *http.Response
	for i, piece := range []string{"one", "two", "three"} {
		next <- piece
		if i == 0 {
			var err error
			if response, err = http.ReadResponse(bufio.NewReader(c), nil); err != nil {
				t.Fatal(err)
			}
		}
		got := make([]byte, len(piece))
		if _, err := io.ReadFull(response.Body, got); err != nil || string(got) != piece {
			t.Fatalf("%q %v", got, err)
		}
	}
	c.Close()
	select {
	case <-gone:
	case <-time.After(patience):
		t.Fatal("the site goes on although the app is gone")
	}
	if e := f.event(t); e.Reason != "" || !e.Allowed {
		t.Errorf("%+v", e)
	}
}

// Giving up before the response has begun is noticed too.
func TestCancelWhileWaiting(t *testing.T) {
	arrived, gone := make(chan struct{}), make(chan struct{})
	f := start(t, plainSite(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
		close(gone)
	}))
	c := f.dial(t)
	io.WriteString(c, "POST http://site.example/ HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi")
	<-arrived
	c.Close()
	select {
	case <-gone:
	case <-time.After(patience):
		t.Fatal("the site waits on although the app is gone")
	}
	if e := f.event(t); e.Reason != "" {
		t.Errorf("%+v", e)
	}
}

// A response that breaks off is not passed on as a complete one.
func TestBrokenResponse(t *testing.T) {
	for _, length := range []string{"", "Content-Length: 100\r\n"} {
		o := plainSite(t, func(w http.ResponseWriter, _ *http.Request) {
			c, b, _ := w.(http.Hijacker).Hijack()
			if length == "" {
				b.WriteString("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
			} else {
				b.WriteString("HTTP/1.1 200 OK\r\n" + length + "\r\nabc")
			}
			b.Flush()
			c.Close()
		})
		f := start(t, o)
		c := f.dial(t)
		io.WriteString(c, "GET http://site.example/ HTTP/1.1\r\n\r\n")
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(response.Body); err == nil {
			t.Errorf("%q: %q passes for a whole body", length, got)
		}
		if e := f.event(t); e.Reason != ReasonConnect {
			t.Errorf("%+v", e)
		}
	}
}

// A redirect goes back to the app; where it leads is a request of its own.
func TestRedirect(t *testing.T) {
	f := start(t, plainSite(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:80/secret", http.StatusFound)
	}))
	response, _ := f.get(t, "http://site.example/")
	location := response.Header.Get("Location")
	if response.StatusCode != http.StatusFound || location == "" {
		t.Fatalf("%d %q", response.StatusCode, location)
	}
	f.event(t)
	if response, _ = f.get(t, location); response.StatusCode != http.StatusForbidden {
		t.Errorf("the next hop: %d", response.StatusCode)
	}
	if e := f.event(t); e.Reason != ReasonThisComputer {
		t.Errorf("%+v", e)
	}
}

func TestWebSocket(t *testing.T) {
	hangUp := make(chan struct{})
	f := start(t, site(t, true, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Sec-Websocket-Key") != "k" || r.ProtoMajor != 1 {
			http.Error(w, "no websocket", http.StatusBadRequest)
			return
		}
		c, b, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		b.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: a\r\n\r\nhello")
		b.Flush()
		io.Copy(c, b) // an echo, until either side is gone
		close(hangUp)
	}))
	c := f.dial(t)
	io.WriteString(c, "GET https://site.example/ws HTTP/1.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: k\r\n\r\n")
	r := bufio.NewReader(c)
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("Sec-Websocket-Accept") != "a" || response.Header.Get("Upgrade") != "websocket" {
		t.Fatalf("%d %v", response.StatusCode, response.Header)
	}
	for _, want := range []string{"hello", "ping", "pong"} {
		if want != "hello" {
			io.WriteString(c, want)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
			t.Fatalf("%q %v", got, err)
		}
	}
	c.Close()
	select {
	case <-hangUp:
	case <-time.After(patience):
		t.Fatal("the site's side stays open")
	}
	if e := f.event(t); e.Reason != "" || !e.Allowed || e.BytesIn < 13 || e.BytesOut < 8 {
		t.Errorf("%+v", e)
	}
	refused, _ := f.do(t, "GET", "https://site.example/plain", "Connection: upgrade\r\nUpgrade: websocket\r\n", nil)
	if refused.StatusCode != http.StatusBadRequest {
		t.Errorf("a handshake that the site refuses: %d", refused.StatusCode)
	}
}

func TestSetPolicy(t *testing.T) {
	arrived := make(chan struct{}, 1)
	f := start(t, site(t, false, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/hang" {
			return
		}
		arrived <- struct{}{}
		<-r.Context().Done()
	}))
	if response, _ := f.get(t, "https://site.example/"); response.StatusCode != http.StatusOK {
		t.Fatal(response.Status)
	}
	f.event(t)
	c := f.dial(t)
	io.WriteString(c, "GET https://site.example/hang HTTP/1.1\r\n\r\n")
	<-arrived
	f.SetPolicy(Policy{Allow: set(t, "net:www.site.example")})
	if got, _ := io.ReadAll(c); len(got) != 0 {
		t.Errorf("after the grant is gone comes %q", got)
	}
	if e := f.event(t); e.Reason != ReasonRevoked || !e.Allowed {
		t.Errorf("%+v", e)
	}
	if response, _ := f.get(t, "https://site.example/"); response.StatusCode != http.StatusForbidden {
		t.Errorf("after the grant is gone: %s", response.Status)
	}
	if response, _ := f.get(t, "https://www.site.example/"); response.StatusCode != http.StatusOK {
		t.Errorf("what is granted now: %s", response.Status)
	}
}

func TestLimits(t *testing.T) {
	release := make(chan struct{})
	o := plainSite(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hang" {
			<-release
		}
	})
	o.Limits = Limits{Connections: 2, WaitTimeout: 50 * time.Millisecond, HeadTimeout: 100 * time.Millisecond}
	f := start(t, o)
	for range 2 {
		io.WriteString(f.dial(t), "GET http://site.example/hang HTTP/1.1\r\n\r\n")
	}
	deadline := time.Now().Add(patience)
	for len(f.slots) < 2 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if got := f.raw(t, "GET http://site.example/ HTTP/1.1\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 503 ") || !strings.Contains(got, "2 connections") {
		t.Errorf("over the limit: %q", got)
	}
	if e := f.event(t); e.Reason != ReasonBusy {
		t.Errorf("%+v", e)
	}
	close(release)
	f.event(t)
	f.event(t)
	c := f.dial(t)
	io.WriteString(c, "GET http://")
	if got, _ := io.ReadAll(c); !strings.HasPrefix(string(got), "HTTP/1.1 408 ") {
		t.Errorf("a head that never ends: %q", got)
	}
	f.event(t)

	o.Limits = Limits{RequestsPerSecond: 0.001, Burst: 2}
	f = start(t, o)
	for i, want := range []int{200, 200, 429} {
		response, _ := f.get(t, "http://site.example/")
		if e := f.event(t); response.StatusCode != want || (e.Reason == ReasonRate) != (want == 429) {
			t.Errorf("request %d: %d %+v", i, response.StatusCode, e)
		}
	}
}

func TestTimeouts(t *testing.T) {
	stuck := make(chan struct{})
	t.Cleanup(func() { close(stuck) })
	o := plainSite(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/half" {
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
		}
		select {
		case <-stuck:
		case <-r.Context().Done():
		}
	})
	o.Limits = Limits{ResponseTimeout: 100 * time.Millisecond, IdleTimeout: 300 * time.Millisecond}
	f := start(t, o)
	response, body := f.get(t, "http://site.example/")
	if e := f.event(t); response.StatusCode != http.StatusGatewayTimeout || e.Reason != ReasonTimeout || !strings.Contains(body, "in time") {
		t.Errorf("no response: %d %q %+v", response.StatusCode, body, e)
	}
	got := f.raw(t, "GET http://site.example/half HTTP/1.1\r\n\r\n")
	if e := f.event(t); e.Reason != ReasonTimeout || strings.Contains(got, "\r\n0\r\n") {
		t.Errorf("an idle response: %q %+v", got, e)
	}
	// A resolver that never answers.
	f = start(t, Options{Policy: Policy{Allow: set(t, "net:a.example")}, Resolver: silent{}, Limits: Limits{DialTimeout: 50 * time.Millisecond}})
	f.get(t, "https://a.example/")
	if e := f.event(t); e.Reason != ReasonResolve && e.Reason != ReasonTimeout {
		t.Errorf("%+v", e)
	}
}

type silent struct{}

func (silent) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestCloseEndsRequests(t *testing.T) {
	arrived := make(chan struct{})
	f := start(t, plainSite(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	}))
	c := f.dial(t)
	io.WriteString(c, "GET http://site.example/ HTTP/1.1\r\n\r\n")
	idle := f.dial(t)
	<-arrived
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{c, idle} {
		if got, _ := io.ReadAll(c); len(got) != 0 {
			t.Errorf("%q", got)
		}
	}
	if _, err := net.Dial("unix", f.Socket()); err == nil {
		t.Error("a closed proxy answers")
	}
	select {
	case <-f.Changed():
		t.Error("closing counts as a change")
	default:
	}
}

func TestSocketChanged(t *testing.T) {
	for _, replace := range []bool{false, true} {
		f := start(t, Options{})
		select {
		case <-f.Changed():
			t.Fatal("changed at once")
		default:
		}
		if err := os.Remove(f.Socket()); err != nil {
			t.Fatal(err)
		}
		if replace {
			if err := os.WriteFile(f.Socket(), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case <-f.Changed():
		case <-time.After(patience):
			t.Fatal("nobody notices")
		}
		if replace { // what is not ours stays, also at the end
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			if err := os.Remove(f.Socket()); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestListenRefuses(t *testing.T) {
	private := func(t *testing.T, mode os.FileMode) string {
		dir, err := os.MkdirTemp("", "eg")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	open, crowded, stale := private(t, 0o755), private(t, 0o700), private(t, 0o700)
	if err := os.WriteFile(filepath.Join(crowded, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"relative": "s", "empty": "", "no folder": "/does/not/exist/s", "open folder": filepath.Join(open, "s"),
		"crowded": filepath.Join(crowded, "s"), "long": filepath.Join(private(t, 0o700), strings.Repeat("s", 120)),
	} {
		if p, err := Listen(Options{Socket: path}); err == nil {
			p.Close()
			t.Errorf("%s passes", name)
		}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(stale, "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	p, err := Listen(Options{Socket: filepath.Join(stale, "s")})
	if err != nil {
		t.Fatalf("a socket that was left behind: %v", err)
	}
	if info, err := os.Stat(p.Socket()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	p.Close()
}

// An app cannot fill the memory with names it makes up.
func TestStatsAreBounded(t *testing.T) {
	var s stats
	for i := range 3 * maxTargets {
		s.add(Event{Target: fmt.Sprintf("h%d.example:443", i), BytesIn: 1})
	}
	got := s.snapshot()
	if len(got) != maxTargets+1 || got[otherTargets].Refused != 2*maxTargets || got[otherTargets].BytesIn != 2*maxTargets {
		t.Errorf("%d entries, others %+v", len(got), got[otherTargets])
	}
}

func BenchmarkFetch(b *testing.B) {
	payload := bytes.Repeat([]byte("x"), 10_000)
	o := plainSite(b, func(w http.ResponseWriter, _ *http.Request) { w.Write(payload) })
	o.Limits = Limits{RequestsPerSecond: 1e9, Burst: 1e9}
	f := start(b, o)
	go func() {
		for range f.events {
		}
	}()
	b.Cleanup(func() { close(f.events) })
	direct := &http.Transport{}
	b.Cleanup(direct.CloseIdleConnections)
	fetch := func(t http.RoundTripper, url string) time.Duration {
		began := time.Now()
		request, _ := http.NewRequest("GET", url, nil)
		response, err := t.RoundTrip(request)
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		return time.Since(began)
	}
	proxied := &http.Transport{
		Proxy:       http.ProxyURL(mustURL("http://proxy")),
		DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", f.Socket()) },
	}
	b.Cleanup(proxied.CloseIdleConnections)
	var plain, through time.Duration
	for b.Loop() {
		plain += fetch(direct, "http://"+o.Resolve["site.example:80"]+"/")
		through += fetch(proxied, "http://site.example/")
	}
	b.ReportMetric(float64(plain.Microseconds())/float64(b.N), "µs-direct/op")
	b.ReportMetric(float64(through.Microseconds())/float64(b.N), "µs-proxied/op")
	b.ReportMetric(float64(through)/float64(plain), "ratio")
}
