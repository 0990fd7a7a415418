package egress

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

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

// A site is a stranger: whatever it answers, the app gets a well-formed answer or none, in time, and the next request
// works as if nothing had been.
func TestHostileSite(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	cases := map[string]struct {
		send string
		pass string // what the app may get of it; "" is an error of the proxy's
	}{
		"nothing":                 {"", ""},
		"no HTTP":                 {"SSH-2.0-OpenSSH_9.2\r\n", ""},
		"an old version":          {"HTTP/0.9 200 OK\r\n\r\nold", "old"},
		"no number":               {"HTTP/1.1 abc OK\r\n\r\n", ""},
		"a number out of range":   {"HTTP/1.1 99999 OK\r\n\r\n", ""},
		"half a head":             {ok + "A: b", ""},
		"an endless line":         {ok + "A: " + strings.Repeat("b", 1<<20), ""},
		"endless lines":           {ok + strings.Repeat("A: b\r\n", 1<<17), ""},
		"a line that is none":     {ok + "no colon\r\n\r\n", ""},
		"a broken line":           {ok + "A: b\rInjected: c\r\nContent-Length: 1\r\n\r\nx", ""},
		"two lengths":             {ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy", ""},
		"a negative length":       {ok + "Content-Length: -1\r\n\r\nx", ""},
		"a length that is none":   {ok + "Content-Length: 0x1\r\n\r\nx", ""},
		"both framings":           {ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", "x"},
		"an unknown framing":      {ok + "Transfer-Encoding: gzip\r\n\r\nx", ""},
		"more than it said":       {ok + "Content-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond", "x"},
		"a chunk that is none":    {ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n", broken},
		"an endless chunk size":   {ok + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("0", 1<<16), broken},
		"endless chunk notes":     {ok + "Transfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("a", 1<<16), broken},
		"a switch nobody asked":   {"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nx", ""},
		"a word ahead":            {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok + "Content-Length: 1\r\n\r\nx", "x"},
		"words ahead without end": {strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 1<<15), ""},
		"a hop's own fields":      {ok + "Connection: X-Secret\r\nX-Secret: a\r\nProxy-Authenticate: Basic\r\nPaddock-Refused: forged\r\nContent-Length: 1\r\n\r\nx", "x"},
	}
	var send atomic.Pointer[string]
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var serving sync.WaitGroup
	defer serving.Wait()
	defer l.Close()
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(patience))
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					io.WriteString(c, *send.Load()) // the proxy may have had enough
				}
			})
		}
	})
	f := start(t, Options{
		Policy: Policy{Allow: set(t, "net:site.example:80")}, Resolve: map[string]string{"site.example:80": l.Addr().String()},
		Limits: Limits{ResponseTimeout: 20 * time.Second},
	})
	ask := func() (*http.Response, string, error) {
		c := f.dial(t)
		defer c.Close()
		io.WriteString(c, "GET http://site.example/ HTTP/1.1\r\n\r\n")
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("no answer at all: %v", err)
		}
		body, err := io.ReadAll(response.Body)
		return response, string(body), err
	}
	good := ok + "Content-Length: 4\r\n\r\ngood"
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			send.Store(&c.send)
			response, body, err := ask()
			e := f.event(t)
			switch c.pass {
			case "":
				if response.StatusCode < 500 || response.Header.Get(refusedHeader) == "" || e.Reason == "" || err != nil {
					t.Errorf("%d %v %.200q, %v; %+v", response.StatusCode, response.Header, body, err, e)
				}
			case broken:
				if err == nil {
					t.Errorf("%d %.200q passes for whole", response.StatusCode, body)
				}
			default:
				if response.StatusCode != http.StatusOK || body != c.pass || err != nil {
					t.Errorf("%d %.200q, %v, want %q", response.StatusCode, body, err, c.pass)
				}
				for _, name := range []string{refusedHeader, "X-Secret", "Proxy-Authenticate", "Injected"} {
					if response.Header.Get(name) != "" {
						t.Errorf("the app is told %s: %s", name, response.Header.Get(name))
					}
				}
			}
			send.Store(&good)
			if response, body, err := ask(); response.StatusCode != http.StatusOK || body != "good" || err != nil {
				t.Errorf("after that: %d %.200q, %v", response.StatusCode, body, err)
			}
			f.event(t)
		})
	}
}

// broken stands for an answer that the app must not take for whole.
const broken = "broken"

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
