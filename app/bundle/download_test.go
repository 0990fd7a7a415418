package bundle

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// quick are limits for servers that misbehave on purpose; impatient are for those that must be found too slow. A busy
// machine makes every server slow.
var (
	quick     = Limits{Retries: 3}
	impatient = Limits{Stall: 300 * time.Millisecond, StallMin: 1 << 10, Retries: 3}
)

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// serveRaw answers each connection with what talk writes, HTTP or not.
func serveRaw(t *testing.T, talk func(c net.Conn, n int)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	wait.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			wait.Go(func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for { // read the request's head
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					if strings.TrimSpace(line) == "" {
						break
					}
				}
				talk(c, n)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		wait.Wait()
	})
	return "http://" + l.Addr().String()
}

// bigBundle is a signed bundle of about a megabyte, so that cuts fall in the middle.
func bigBundle(t *testing.T) []byte {
	noise := make([]byte, 1<<20)
	for i, x := 0, uint32(7); i < len(noise); i++ {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	return sampleBundle(t, sampleZip(t, rawEntry{name: "noise.bin", body: noise}))
}

func assertDownload(t *testing.T, err error, reason string) *DownloadError {
	t.Helper()
	var failed *DownloadError
	if !errors.As(err, &failed) {
		t.Fatalf("want a download error %q, got %T: %v", reason, err, err)
	}
	if failed.Reason != reason || failed.Why == "" || failed.Hint == "" {
		t.Fatalf("want the reason %q with words, got %+v", reason, failed)
	}
	return failed
}

func TestDownload(t *testing.T) {
	body := bigBundle(t)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") != "" || r.Header.Get("Accept-Encoding") != "identity" || !strings.HasPrefix(r.UserAgent(), "Paddock/0.1.0") {
			t.Errorf("request headers %v", r.Header)
		}
		http.ServeContent(w, r, "x.paddock", time.Time{}, bytes.NewReader(body))
	})
	var steps []Progress
	staged, err := openSource(t, s.URL+"/a/x.paddock", Options{Paddock: "0.1.0", Progress: func(p Progress) { steps = append(steps, p) }})
	if err != nil {
		t.Fatal(err)
	}
	if staged.Origin != s.URL || staged.Source != s.URL+"/a/x.paddock" || staged.Bytes != int64(len(body)) || !staged.Signed {
		t.Errorf("staged %+v", staged)
	}
	last := map[string]Progress{}
	for _, p := range steps {
		if p.Step == StepDownload && p.Total != int64(len(body)) || p.Bytes < last[p.Step].Bytes {
			t.Errorf("progress %+v after %+v", p, last[p.Step])
		}
		last[p.Step] = p
	}
	if last[StepDownload].Bytes != int64(len(body)) || last[StepUnpack].Bytes != staged.Unpacked {
		t.Errorf("last reports %+v", last)
	}
	localhost := strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	if _, err := openSource(t, localhost, Options{Paddock: "0.1.0"}); err != nil {
		t.Errorf("by localhost: %v", err)
	}
	// A bare zip comes the same way, with Dev only.
	zip := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(sampleZip(t)) })
	_, err = openSource(t, zip.URL, Options{})
	assertRefused(t, err, RuleUnsigned, "")
	if _, err := openSource(t, zip.URL, Options{Dev: true}); err != nil {
		t.Errorf("a bare zip: %v", err)
	}
}

func TestResume(t *testing.T) {
	body := bigBundle(t)
	for name, c := range map[string]struct {
		etag    string // of each connection
		cuts    int
		change  bool // the file changes after the first cut
		ignore  bool // ranges are ignored
		ranges  int  // requests that must have asked for a part
		wantErr string
	}{
		"cut twice":                {etag: `"v1"`, cuts: 2, ranges: 2},
		"cut too often":            {etag: `"v1"`, cuts: 99, ranges: 3, wantErr: ReasonCut},
		"no validator: start over": {cuts: 2, ranges: 0},
		"weak validator":           {etag: `W/"v1"`, cuts: 1, ranges: 0},
		"no validator, too often":  {cuts: 99, wantErr: ReasonCut},
		"changed":                  {etag: `"v1"`, cuts: 1, change: true, ranges: 1},
		"ranges ignored":           {etag: `"v1"`, cuts: 1, ignore: true, ranges: 1},
	} {
		t.Run(name, func(t *testing.T) {
			var requests, parts atomic.Int32
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				n := int(requests.Add(1))
				etag := c.etag
				if c.change && n > 1 {
					etag = `"v2"`
				}
				start := 0
				if rng := r.Header.Get("Range"); rng != "" {
					parts.Add(1)
					if r.Header.Get("If-Range") != `"v1"` {
						t.Errorf("If-Range is %q", r.Header.Get("If-Range"))
					}
					if etag == r.Header.Get("If-Range") && !c.ignore {
						start, _ = strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(rng, "bytes="), "-"))
					}
				}
				if etag != "" {
					w.Header().Set("ETag", etag)
				}
				w.Header().Set("Content-Length", fmt.Sprint(len(body)-start))
				if start > 0 {
					w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, len(body)-1, len(body)))
					w.WriteHeader(http.StatusPartialContent)
				}
				if n <= c.cuts {
					_, _ = w.Write(body[start : start+(len(body)-start)/3])
					_ = http.NewResponseController(w).Flush()
					panic(http.ErrAbortHandler)
				}
				_, _ = w.Write(body[start:])
			})
			_, err := openSource(t, s.URL, Options{Limits: quick})
			if c.wantErr != "" {
				assertDownload(t, err, c.wantErr)
				if got := int(requests.Load()); got != quick.Retries+1 {
					t.Errorf("%d requests, want %d", got, quick.Retries+1)
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if got := int(parts.Load()); got != c.ranges {
				t.Errorf("%d requests for a part, want %d", got, c.ranges)
			}
		})
	}
}

func TestLyingServers(t *testing.T) {
	body := bigBundle(t)
	small := quick
	small.File = 64 << 10
	head := func(c net.Conn, lines ...string) {
		_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\n%s\r\n\r\n", strings.Join(lines, "\r\n"))
	}
	length := func(n int) string { return fmt.Sprintf("Content-Length: %d", n) }
	endless := func(c net.Conn) {
		// A bundle whose content never ends; the tar says it is just within the limits.
		key, sig := signedParts(testKeys()[0], []byte("x"), honestComment([]byte("x")))
		tar := tarOf(t, key, sig, nil)
		tar = tar[:len(tar)-3*tarBlock]
		_, _ = c.Write(append(tar, tarHeader(entryContent, 64<<10)...))
		for {
			if _, err := c.Write(make([]byte, 32<<10)); err != nil {
				return
			}
		}
	}
	wait := func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) } // until the other side hangs up
	for name, c := range map[string]struct {
		talk   func(c net.Conn, n int)
		limits Limits
		rule   string // of a refusal
		reason string // of a download error
	}{
		"length too big, then cut":    {func(c net.Conn, _ int) { head(c, length(len(body)+5000)); _, _ = c.Write(body) }, quick, "", ReasonCut},
		"length too small":            {func(c net.Conn, _ int) { head(c, length(len(body)-5000)); _, _ = c.Write(body) }, quick, RuleTruncated, ""},
		"length of zero":              {func(c net.Conn, _ int) { head(c, length(0)); _, _ = c.Write(body) }, quick, RuleTruncated, ""},
		"length beyond the limit":     {func(c net.Conn, _ int) { head(c, length(1<<30)); wait(c) }, small, RuleFileSize, ""},
		"length negative":             {func(c net.Conn, _ int) { head(c, "Content-Length: -5"); wait(c) }, quick, "", ReasonProtocol},
		"two lengths":                 {func(c net.Conn, _ int) { head(c, length(5), length(6)); wait(c) }, quick, "", ReasonProtocol},
		"never ends":                  {func(c net.Conn, _ int) { head(c, "Connection: close"); endless(c) }, small, RuleTar, ""},
		"never ends, content too big": {func(c net.Conn, _ int) { head(c, "Connection: close"); _, _ = c.Write(body); wait(c) }, small, RuleFileSize, ""},
		"garbage without end": {func(c net.Conn, _ int) {
			head(c, "Connection: close")
			for {
				if _, err := c.Write(bytes.Repeat([]byte("x"), 4096)); err != nil {
					return
				}
			}
		}, small, RuleFormat, ""},
		"says nothing": {func(c net.Conn, _ int) { wait(c) }, Limits{Connect: 200 * time.Millisecond}, "", ReasonConnect},
		"head without end": {func(c net.Conn, _ int) {
			_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\n"))
			for {
				if _, err := c.Write([]byte("X: " + strings.Repeat("y", 1000) + "\r\n")); err != nil {
					return
				}
			}
		}, quick, "", ReasonProtocol},
		"stops in the middle": {func(c net.Conn, _ int) { head(c, length(len(body))); _, _ = c.Write(body[:100<<10]); wait(c) }, impatient, "", ReasonStalled},
		"a byte at a time": {func(c net.Conn, _ int) {
			head(c, length(len(body)))
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for i := range body {
				if _, err := c.Write(body[i : i+1]); err != nil {
					return
				}
				<-tick.C
			}
		}, impatient, "", ReasonStalled},
		"not HTTP":          {func(c net.Conn, _ int) { _, _ = c.Write([]byte("SSH-2.0-OpenSSH\r\n")) }, quick, "", ReasonProtocol},
		"hangs up":          {func(net.Conn, int) {}, quick, "", ReasonCut},
		"compressed anyway": {func(c net.Conn, _ int) { head(c, "Content-Encoding: gzip", length(5)); _, _ = c.Write([]byte("xxxxx")) }, quick, "", ReasonProtocol},
		"resumes elsewhere": {func(c net.Conn, n int) {
			if n == 0 {
				head(c, length(len(body)), `ETag: "a"`)
				_, _ = c.Write(body[:100<<10])
				return
			}
			_, _ = fmt.Fprintf(c, "HTTP/1.1 206 Partial Content\r\nETag: \"a\"\r\nContent-Range: bytes 5-%d/%d\r\nContent-Length: %d\r\n\r\n", len(body)-1, len(body), len(body)-5)
			_, _ = c.Write(body[5:])
		}, quick, "", ReasonProtocol},
		"resumes other bytes": {func(c net.Conn, n int) {
			at := 100 << 10
			if n == 0 {
				head(c, length(len(body)), `ETag: "a"`)
				_, _ = c.Write(body[:at])
				return
			}
			_, _ = fmt.Fprintf(c, "HTTP/1.1 206 Partial Content\r\nETag: \"a\"\r\nContent-Range: bytes %d-%d/%d\r\nContent-Length: %d\r\n\r\n", at, len(body)-1, len(body), len(body)-at)
			_, _ = c.Write(bytes.Repeat([]byte{0}, len(body)-at))
		}, quick, RuleSignature, ""},
		"part without being asked": {func(c net.Conn, _ int) {
			_, _ = fmt.Fprintf(c, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-9/10\r\nContent-Length: 10\r\n\r\n0123456789")
		}, quick, "", ReasonStatus},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := openSource(t, serveRaw(t, c.talk), Options{Limits: c.limits})
			if c.rule != "" {
				assertRefused(t, err, c.rule, "")
			} else {
				assertDownload(t, err, c.reason)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	for code, requests := range map[int]int32{404: 1, 403: 1, 500: 1, 204: 1, 429: 4, 503: 4} {
		var n atomic.Int32
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) { n.Add(1); w.WriteHeader(code) })
		_, err := openSource(t, s.URL, Options{Limits: quick})
		if failed := assertDownload(t, err, ReasonStatus); failed.Status != code {
			t.Errorf("status %d came as %d", code, failed.Status)
		}
		if n.Load() != requests {
			t.Errorf("status %d: asked %d times, want %d", code, n.Load(), requests)
		}
	}
	body := sampleBundle(t, sampleZip(t))
	var n atomic.Int32
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write(body)
	})
	if _, err := openSource(t, s.URL, Options{Limits: quick}); err != nil {
		t.Errorf("busy once: %v", err)
	}
}

func TestNoServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	_, err = openSource(t, "http://"+addr, Options{Limits: quick})
	assertDownload(t, err, ReasonConnect)
	_, err = openSource(t, "https://gone.example/x", Options{Limits: quick, Resolver: fakeDNS{}})
	assertDownload(t, err, ReasonResolve)
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it is told about our distrust
	s.StartTLS()
	t.Cleanup(s.Close)
	_, err = openSource(t, s.URL, Options{Limits: quick})
	assertDownload(t, err, ReasonTLS)
}

func TestCancel(t *testing.T) {
	body := bigBundle(t)
	begun := make(chan struct{})
	url := serveRaw(t, func(c net.Conn, _ int) {
		_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body))
		_, _ = c.Write(body[:len(body)/2])
		close(begun)
		_, _ = c.Read(make([]byte, 1))
	})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { <-begun; cancel() }()
	staging := t.TempDir()
	if _, err := Open(ctx, url, Options{Staging: staging}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled in the middle: %v", err)
	}
	assertEmpty(t, staging)

	// And while unpacking.
	ctx, cancel = context.WithCancel(context.Background())
	defer cancel()
	_, err := Open(ctx, writeTemp(t, "a", body), Options{Staging: staging, Progress: func(p Progress) {
		if p.Step == StepUnpack {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled while unpacking: %v", err)
	}
	assertEmpty(t, staging)
}

func TestRedirects(t *testing.T) {
	body := sampleBundle(t, sampleZip(t))
	final := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
	var seen []string
	hop := func(to string) string {
		return serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }).URL
	}
	s, err := openSource(t, hop(final.URL+"/there"), Options{Progress: func(p Progress) {
		if p.Redirect != "" {
			seen = append(seen, p.Redirect)
		}
	}})
	if err != nil || s.Origin != final.URL || len(seen) != 1 || seen[0] != final.URL+"/there" {
		t.Errorf("one redirect: %v, seen %v", err, seen)
	}
	loop := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"x", http.StatusFound) })
	_, err = openSource(t, loop.URL+"/", Options{Limits: quick})
	assertDownload(t, err, ReasonRedirect)
	for _, to := range []string{"https://example.org/x", "http://example.org/x", "http://192.168.1.1/", "http://127.1/", "ftp://localhost/", "http://u:p@localhost/", "file:///etc/passwd"} {
		_, err = openSource(t, hop(to), Options{Limits: quick})
		assertRefused(t, err, RuleSource, "")
	}
	_, err = openSource(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusFound) }).URL, Options{Limits: quick})
	assertDownload(t, err, ReasonRedirect)
}

// publicClient trusts and reaches a local TLS server under the name of an internet host, as if DNS and
// the internet were there.
func publicClient(t *testing.T, s *httptest.Server) *http.Client {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, s.Listener.Addr().String())
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// TestRedirectsFromTheInternet starts at an https address of the internet.
func TestRedirectsFromTheInternet(t *testing.T) {
	body := sampleBundle(t, sampleZip(t))
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(s.Close)
	o := Options{HTTP: publicClient(t, s), Limits: quick}
	from := func(to string) string { return "https://apps.example.org/x?to=" + url.QueryEscape(to) }
	for _, source := range []string{
		"https://apps.example.org/x", from("https://cdn.example.net/y"), from("/y"),
		"paddock://install?url=" + url.QueryEscape("https://apps.example.org/x"), "paddock://install?url=" + url.QueryEscape(from("https://cdn.example.net/y")),
	} {
		if _, err := openSource(t, source, o); err != nil {
			t.Errorf("%s: %v", source, err)
		}
	}
	for _, to := range []string{
		"http://apps.example.org/", "http://localhost/", "https://localhost/", "http://127.0.0.1:80/", "https://[::1]/", "https://127.1/", "https://0x7f000001/",
		"https://10.0.0.1/", "https://192.168.0.1/", "https://169.254.169.254/latest", "https://100.64.0.1/", "https://[fe80::1]/", "https://[fd00::1]/",
		"https://[::ffff:10.0.0.1]/", "https://224.0.0.1/", "https://0.0.0.0/", "https://app.localhost/", "https://u@example.org/", "data:text/plain,x",
	} {
		for _, source := range []string{from(to), "paddock://install?url=" + url.QueryEscape(from(to))} {
			_, err := openSource(t, source, o)
			assertRefused(t, err, RuleSource, "")
		}
	}
}

// fakeDNS answers from a table.
type fakeDNS map[string][]string

func (d fakeDNS) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	var addrs []netip.Addr
	for _, a := range d[host] {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	if len(addrs) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addrs, nil
}

// TestAddressesAfterResolution shows that names are judged by where they lead, before a byte is sent.
func TestAddressesAfterResolution(t *testing.T) {
	for _, addrs := range [][]string{
		{"127.0.0.1"},
		{"::1"},
		{"10.1.2.3"},
		{"172.16.0.1"},
		{"192.168.1.1"},
		{"169.254.169.254"},
		{"100.64.1.1"},
		{"224.0.0.251"},
		{"0.0.0.0"},
		{"255.255.255.255"},
		{"fe80::1"},
		{"fd12::1"},
		{"ff02::1"},
		{"::"},
		{"::ffff:127.0.0.1"},
		{"64:ff9b::7f00:1"},
		{"2002:7f00:1::"},
		{"93.184.216.34", "127.0.0.1"}, // one bad one is enough
	} {
		_, err := openSource(t, "https://rebind.example/x", Options{Limits: quick, Resolver: fakeDNS{"rebind.example": addrs}})
		assertRefused(t, err, RuleSource, "rebind.example")
	}
	own := ownAddrs()
	if len(own) == 0 {
		t.Fatal("this machine tells no addresses of its own")
	}
	for _, addr := range own {
		if err := publicAddr(addr); err == nil {
			t.Errorf("%s is this machine's own, and passes", addr)
		}
	}
	if err := publicAddr(netip.MustParseAddr("93.184.216.34")); err != nil {
		t.Errorf("an address of the internet: %v", err)
	}
}

func TestSources(t *testing.T) {
	for _, source := range []string{
		"http://example.org/x", "http://192.168.1.1/x", "http://127.1/x", "http://2130706433/x", "http://0x7f.1/x", "http://0/x", "http://[::ffff:127.0.0.1]/x",
		"http://[::]/x", "http://LOCALHOST./x", "http://app.localhost/x", "https://127.1/", "https://10.0.0.1/x", "https://[fe80::1%25eth0]/x", "https://metadata.localhost",
		"ftp://example.org/x", "file://example.org/etc/passwd", "file://", "file://u@localhost/x", "javascript://alert(1)", "https://user:secret@example.org/x", "https://user@example.org", "http://user@localhost/",
		"https://", "https:///x", "https://example.org:0/", "https://example.org:/", "https://exa mple.org/", "https://example.org/\u202ex", "https://ex\x00ample.org/", "://x", "https://a_b c",
	} {
		_, err := openSource(t, source, Options{Limits: quick, Resolver: fakeDNS{}})
		assertRefused(t, err, RuleSource, "")
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
	for source, loopback := range map[string]bool{
		"http://localhost:8080/x": true, "http://127.0.0.1/x": true, "http://127.8.8.8/x": true, "http://[::1]:99/x": true, "https://localhost/": true,
		"https://example.org/x?y#z": false, "HTTPS://Example.ORG": false, "https://1.1.1.1/": false, "https://[2606:4700::1111]/": false,
	} {
		s, err := parseSource(source)
		if err != nil || s.loopback != loopback || s.url.Fragment != "" {
			t.Errorf("%s: %+v, %v", source, s, err)
		}
	}
}

func TestParseLink(t *testing.T) {
	good, err := ParseLink("paddock://install?url=https%3A%2F%2Fexample.org%2Fa.paddock%3Fv%3D1")
	if err != nil || good.String() != "https://example.org/a.paddock?v=1" {
		t.Errorf("%v, %v", good, err)
	}
	if _, err := ParseLink("PADDOCK://install/?url=https://example.org/a"); err != nil {
		t.Errorf("as some browsers write it: %v", err)
	}
	for _, link := range []string{
		"", "paddock:install", "paddock://", "paddock://install", "paddock://install?", "paddock://install?url=", "paddock://open?url=https://example.org",
		"paddock://install?url=https://a.org&url=https://b.org", "paddock://install?url=https://a.org&grant=net:*", "paddock://install/x?url=https://a.org",
		"paddock://u@install?url=https://a.org", "paddock://install:80?url=https://a.org", "paddock://install?url=https://a.org#x", "https://example.org",
		"paddock://install?url=http://example.org", "paddock://install?url=http://localhost/", "paddock://install?url=https://localhost/", "paddock://install?url=https://127.0.0.1/",
		"paddock://install?url=https://127.1/", "paddock://install?url=https://[::1]/", "paddock://install?url=https://10.0.0.1/", "paddock://install?url=https://u:p@example.org/",
		"paddock://install?url=file:///etc/passwd", "paddock://install?url=paddock://install", "paddock://install?url=/etc/passwd", "paddock://install?url=--dev",
		"paddock://install?url=https://example.org/" + strings.Repeat("x", 5000),
	} {
		_, err := ParseLink(link)
		assertRefused(t, err, RuleSource, "")
	}
}

func FuzzParseLink(f *testing.F) {
	f.Add("paddock://install?url=https://example.org/a")
	f.Add("paddock://install?url=http://127.0.0.1/")
	f.Add("paddock://install?url=https://%6cocalhost/")
	f.Fuzz(func(t *testing.T, link string) {
		u, err := ParseLink(link)
		if err != nil {
			return
		}
		if u.Scheme != "https" || u.User != nil || loopbackAsWritten(u.Hostname()) || publicHost(u.Hostname()) != nil {
			t.Fatalf("%q leads to %s", link, u)
		}
	})
}
