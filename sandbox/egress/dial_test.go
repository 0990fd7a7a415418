package egress

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

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

// hundreds are all addresses of a network, as a resolver may give them for one name.
func hundreds(prefix string) (all []string) {
	for i := range 256 {
		all = append(all, fmt.Sprint(prefix, i))
	}
	return all
}

// senseless is a resolver that answers with what is no address, or with addresses and an error.
type senseless struct {
	addrs []netip.Addr
	err   error
}

func (s senseless) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return s.addrs, s.err
}

// What a resolver says that makes no sense leads nowhere.
func TestSenselessResolver(t *testing.T) {
	for name, c := range map[string]struct {
		resolver senseless
		reason   string
	}{
		"no address at all":         {senseless{addrs: []netip.Addr{}}, ReasonResolve},
		"addresses that are none":   {senseless{addrs: []netip.Addr{{}, {}}}, ReasonReserved},
		"an address and an error":   {senseless{addrs: addrs("8.8.8.8"), err: &net.DNSError{Err: "server misbehaving"}}, ReasonResolve},
		"an error of its own":       {senseless{err: errors.New("no")}, ReasonResolve},
		"an error and what is none": {senseless{addrs: []netip.Addr{{}}, err: &net.DNSError{IsNotFound: true}}, ReasonResolve},
	} {
		f := start(t, Options{Policy: Policy{Allow: set(t, "net:*,lan")}, Resolver: c.resolver})
		list := dialled(f.Proxy)
		response, body := f.get(t, "https://a.example/")
		if e := f.event(t); response.StatusCode < 400 || e.Reason != c.reason || len(list()) > 0 {
			t.Errorf("%s: %d %q, %+v, dialled %v", name, response.StatusCode, body, e, list())
		}
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
		{"net:*,lan", []string{"0.0.0.0", "::", "::ffff:0.0.0.0", "127.255.255.254"}, ReasonThisComputer, nil},
		{"net:*,lan", []string{"224.0.0.1", "255.255.255.255", "ff02::1", "2001:db8::1"}, ReasonReserved, nil},
		{"net:*", []string{"fe80::1%eth0", "100.64.0.1", "192.0.2.1"}, ReasonPrivate, nil},
		{"net:*", []string{"8.8.8.8", "127.0.0.1", "::1", "10.0.0.1", "8.8.4.4"}, ReasonConnect, []string{"8.8.8.8:443", "8.8.4.4:443"}},
		{"net:*,lan", []string{"64:ff9b::7f00:1"}, ReasonThisComputer, nil}, // loopback, by NAT64
		{"net:*,lan", []string{"2002:7f00:1::"}, ReasonReserved, nil},       // and by 6to4
		{"net:*", hundreds("8.8.8."), ReasonConnect, []string{"8.8.8.0:443", "8.8.8.1:443", "8.8.8.2:443", "8.8.8.3:443", "8.8.8.4:443", "8.8.8.5:443"}},
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

type silent struct{}

func (silent) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
