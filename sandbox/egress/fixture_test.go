package egress

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
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
