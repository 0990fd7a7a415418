package egress

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

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
	o.Limits = Limits{Connections: 2, WaitTimeout: 50 * time.Millisecond, HeadTimeout: time.Second}
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

// TestCloseEndsConnections: a connection that its transport lost sight of ends with the proxy too.
func TestCloseEndsConnections(t *testing.T) {
	f := start(t, site(t, true, func(http.ResponseWriter, *http.Request) {}))
	c, err := f.Proxy.dial(t.Context(), "tcp", "site.example:443")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after the end of the proxy: %v", err)
	}
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
