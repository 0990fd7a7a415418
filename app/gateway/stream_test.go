package gateway

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// client speaks to the app through the front door with the standard library's client.
func (r *rig) client(t testing.TB) *http.Client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", r.g.Addr())
		},
		DisableCompression: true, ExpectContinueTimeout: patience,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func (r *rig) request(t testing.TB, method, path string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+r.host+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", r.cookie)
	return req
}

func TestEventStreamArrivesPiecewise(t *testing.T) {
	next := make(chan string)
	up := serveApp(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		for {
			select {
			case piece, ok := <-next:
				if !ok {
					return
				}
				_, _ = io.WriteString(w, piece)
				w.(http.Flusher).Flush()
			case <-req.Context().Done():
				return
			}
		}
	}))
	r := newRig(t, up)
	res, err := r.client(t).Do(r.request(t, "GET", "/", nil)) // the head comes before any piece
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if up.busy.Load() != 1 {
		t.Errorf("busy %d while a stream is open", up.busy.Load())
	}
	br := bufio.NewReader(res.Body)
	for i := range 5 {
		want := fmt.Sprintf("data: %d\n", i)
		next <- want
		if got, err := br.ReadString('\n'); got != want { // the app waits: nothing else can push it on
			t.Fatalf("piece %q, %v", got, err)
		}
	}
	close(next)
	if rest, err := io.ReadAll(br); len(rest) > 0 || err != nil {
		t.Errorf("end: %q %v", rest, err)
	}
	await(t, "not busy any more", func() bool { return up.busy.Load() == 0 })
}

// TestSlowKnownLength: an answer whose length is known may come slowly too.
func TestSlowKnownLength(t *testing.T) {
	next := make(chan struct{})
	r := newRig(t, serveApp(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "2")
		for range 2 {
			<-next
			_, _ = io.WriteString(w, "x")
			w.(http.Flusher).Flush()
		}
	})))
	res := make(chan *http.Response, 1)
	client := r.client(t)
	req := r.request(t, "GET", "/", nil)
	go func() {
		got, err := client.Do(req)
		if err != nil {
			t.Error(err)
		}
		res <- got
	}()
	next <- struct{}{}
	got := <-res
	defer got.Body.Close()
	one := make([]byte, 1)
	if _, err := io.ReadFull(got.Body, one); err != nil {
		t.Fatal(err)
	}
	next <- struct{}{}
	if _, err := io.ReadFull(got.Body, one); err != nil {
		t.Fatal(err)
	}
}

func TestCancelReachesTheApp(t *testing.T) {
	for _, when := range []string{"before the answer", "during the answer", "during the upload"} {
		arrived, gone := make(chan struct{}), make(chan struct{})
		up := serveApp(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if when == "during the answer" {
				w.(http.Flusher).Flush()
			}
			close(arrived)
			if when == "during the upload" {
				if _, err := io.Copy(io.Discard, req.Body); err == nil {
					t.Error("half of the body passes for the whole")
				}
			} else {
				<-req.Context().Done()
			}
			close(gone)
		}))
		r := newRig(t, up)
		c := r.dial()
		request := "GET / HTTP/1.1\r\nHost: " + r.host + "\r\nCookie: " + r.cookie + "\r\n\r\n"
		if when == "during the upload" {
			request = r.lines("POST /", "Content-Length: 100000") + "beginning"
		}
		_, _ = io.WriteString(c, request)
		<-arrived
		_ = c.Close()
		select {
		case <-gone:
		case <-time.After(patience):
			t.Fatalf("%s: the app never heard of it", when)
		}
		await(t, "not busy any more", func() bool { return up.busy.Load() == 0 })
	}
}

// TestUploadBackPressure: while the app does not read, the browser's writes stop, and no memory fills up.
func TestUploadBackPressure(t *testing.T) {
	start := make(chan struct{})
	var sum [32]byte
	r := newRig(t, serveApp(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		<-start
		h := sha256.New()
		n, err := io.Copy(h, req.Body)
		copy(sum[:], h.Sum(nil))
		_, _ = fmt.Fprint(w, n, err)
	})))
	const size = 64 << 20
	for _, chunked := range []bool{false, true} {
		source := &countingReader{r: io.LimitReader(rand.NewChaCha8([32]byte{1}), size)}
		req := r.request(t, "POST", "/", source)
		if !chunked {
			req.ContentLength = size
		}
		req.Header.Set("Origin", "http://"+r.host)
		answered := make(chan answer, 1)
		client := r.client(t)
		go func() {
			res, err := client.Do(req)
			if err != nil {
				t.Error(err)
				answered <- answer{}
				return
			}
			defer res.Body.Close()
			body, _ := io.ReadAll(res.Body)
			answered <- answer{res, string(body)}
		}()
		await(t, "the browser is stopped", source.stalled)
		if taken := source.count(); taken > size/2 {
			t.Errorf("%d MB taken while the app reads nothing", taken>>20)
		}
		start <- struct{}{}
		if got := <-answered; got.body != fmt.Sprint(size, nil) {
			t.Errorf("the app says %q", got.body)
		}
		want := sha256.New()
		_, _ = io.Copy(want, io.LimitReader(rand.NewChaCha8([32]byte{1}), size))
		if !bytes.Equal(sum[:], want.Sum(nil)) {
			t.Error("the body changed on its way")
		}
	}
}

func TestDownload(t *testing.T) {
	const size = 32 << 20
	r := newRig(t, serveApp(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/length" {
			w.Header().Set("Content-Length", fmt.Sprint(size))
		}
		_, _ = io.Copy(w, io.LimitReader(rand.NewChaCha8([32]byte{2}), size))
	})))
	want := sha256.New()
	_, _ = io.Copy(want, io.LimitReader(rand.NewChaCha8([32]byte{2}), size))
	for _, path := range []string{"/length", "/chunks"} {
		res, err := r.client(t).Do(r.request(t, "GET", path, nil))
		if err != nil {
			t.Fatal(err)
		}
		got := sha256.New()
		n, err := io.Copy(got, res.Body)
		_ = res.Body.Close()
		if err != nil || n != size || !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
			t.Errorf("%s: %d bytes, %v", path, n, err)
		}
	}
}

// expecting is the head of a request whose body of four bytes waits for a word of the app.
func expecting(r *rig, path string) string {
	return r.lines("POST "+path, "Expect: 100-continue", "Content-Length: 4")
}

// bodyAfterContinue sends a body once it is asked for, to an app that answers with what it got.
func bodyAfterContinue(t *testing.T, r *rig) {
	t.Helper()
	c := r.dial()
	defer c.Close()
	_, _ = io.WriteString(c, expecting(r, "/yes"))
	br := bufio.NewReader(c)
	if first, _ := br.ReadString('\n'); first != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q", first)
	}
	_, _ = br.ReadString('\n')
	_, _ = io.WriteString(c, "body")
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(res.Body); string(body) != "body" {
		t.Errorf("%q", body)
	}
}

// TestContinue: a client that asks before it sends a body is answered by the app.
func TestContinue(t *testing.T) {
	r := newRig(t, serveApp(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/no" {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		body, _ := io.ReadAll(req.Body)
		_, _ = w.Write(body)
	})))
	t.Run("yes", func(t *testing.T) { bodyAfterContinue(t, r) })
	t.Run("no", func(t *testing.T) {
		if res := r.raw(expecting(r, "/no")); res.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s", res.Status)
		}
	})
}

// TestContinueUnsaid: an app that does not know of 100-continue gets the body after a while.
func TestContinueUnsaid(t *testing.T) {
	old := continueTimeout
	continueTimeout = 50 * time.Millisecond
	defer func() { continueTimeout = old }()
	r := newRig(t, serveRaw(t, func(c net.Conn, br *bufio.Reader) {
		req, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		body, _ := io.ReadAll(req.Body)
		_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}))
	bodyAfterContinue(t, r)
}

// TestEarlyAnswer: an app may answer before it has read the body, and the next request still works.
func TestEarlyAnswer(t *testing.T) {
	up := serveApp(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusForbidden)
	}))
	r := newRig(t, up)
	c := r.dial()
	defer c.Close()
	_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: "+r.host+"\r\nCookie: "+r.cookie+"\r\nContent-Length: 1000000\r\n\r\nbegin")
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || res.StatusCode != http.StatusForbidden || !res.Close {
		t.Fatalf("%v %v", res, err)
	}
	await(t, "not busy any more", func() bool { return up.busy.Load() == 0 })
	if res := r.get("/"); res.StatusCode != http.StatusForbidden {
		t.Errorf("%s", res.Status)
	}
}

func TestTrailers(t *testing.T) {
	r := newRig(t, serveApp(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		w.Header().Set("Trailer", "X-Sum, Set-Cookie")
		_, _ = w.Write(body)
		w.Header().Set("X-Sum", req.Trailer.Get("X-Count"))
		w.Header().Set("Set-Cookie", "a=b")
	})))
	req := r.request(t, "POST", "/", struct{ io.Reader }{strings.NewReader("four")})
	req.Trailer = http.Header{"X-Count": {"4"}, "X-Forwarded-For": {"1"}}
	res, err := r.client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); string(body) != "four" {
		t.Errorf("body %q", body)
	}
	if res.Trailer.Get("X-Sum") != "4" || res.Trailer.Get("Set-Cookie") != "" {
		t.Errorf("trailers %v", res.Trailer)
	}
}

// TestInterim: the headers of a 103 pass by no rule, so it does not pass at all.
func TestInterim(t *testing.T) {
	r := newRig(t, serveApp(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "<https://evil.example>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(200)
	})))
	c := r.dial()
	defer c.Close()
	_, _ = io.WriteString(c, r.lines("GET /"))
	all, _ := io.ReadAll(c)
	if !bytes.HasPrefix(all, []byte("HTTP/1.1 200 ")) || bytes.Contains(all, []byte("evil.example")) {
		t.Errorf("%s", all)
	}
}

func TestHeadAndRanges(t *testing.T) {
	r := newRig(t, serveApp(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		http.ServeContent(w, req, "a.txt", time.Unix(1e9, 0), strings.NewReader("0123456789"))
	})))
	if res := r.raw(r.lines("HEAD /")); res.StatusCode != 200 || res.ContentLength != 10 || res.body != "" {
		t.Errorf("HEAD: %s, length %d, %q", res.Status, res.ContentLength, res.body)
	}
	if res := r.get("/", "Range: bytes=2-4"); res.StatusCode != 206 || res.body != "234" || res.Header.Get("Content-Range") != "bytes 2-4/10" {
		t.Errorf("range: %s %q %v", res.Status, res.body, res.Header)
	}
	if res := r.get("/", "Range: bytes=0-0,9-9"); res.StatusCode != 206 || !strings.HasPrefix(res.Header.Get("Content-Type"), "multipart/byteranges") || !strings.Contains(res.body, "bytes 9-9/10") {
		t.Errorf("two ranges: %s %q %v", res.Status, res.body, res.Header)
	}
	if res := r.get("/", "Range: bytes=10-"); res.StatusCode != 416 || res.Header.Get("Content-Range") != "bytes */10" {
		t.Errorf("range out of it: %s %v", res.Status, res.Header)
	}
	if res := r.get("/", "If-Modified-Since: "+time.Unix(1e9, 0).UTC().Format(http.TimeFormat)); res.StatusCode != 304 || res.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("conditional: %s", res.Status)
	}
}

// echo is a WebSocket server.
func echo(t testing.TB) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		conn, _, _, err := ws.HTTPUpgrader{Protocol: func(p string) bool { return p == "echo" }}.Upgrade(req, w)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		for {
			message, op, err := wsutil.ReadClientData(conn)
			if err != nil {
				return
			}
			if err := wsutil.WriteServerMessage(conn, op, message); err != nil {
				return
			}
		}
	})
}

func (r *rig) webSocket(t testing.TB, headers http.Header) (net.Conn, *bufio.Reader, error) {
	t.Helper()
	dialer := ws.Dialer{
		Header: ws.HandshakeHeaderHTTP(headers), Protocols: []string{"echo"}, Timeout: patience,
		NetDial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", r.g.Addr())
		},
	}
	conn, br, _, err := dialer.Dial(t.Context(), "ws://"+r.host+"/")
	return conn, br, err
}

func TestWebSocket(t *testing.T) {
	up := serveApp(t, echo(t))
	r := newRig(t, up)
	conn, _, err := r.webSocket(t, http.Header{"Cookie": {r.cookie}, "Origin": {"http://" + r.host}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	for _, size := range []int{1, 100, 70000, 3 << 20} {
		want := bytes.Repeat([]byte("x"), size)
		go func() { _ = wsutil.WriteClientBinary(conn, want) }()
		got, err := wsutil.ReadServerBinary(conn)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes: got %d, %v", size, len(got), err)
		}
	}
	if up.busy.Load() != 1 {
		t.Errorf("busy %d", up.busy.Load())
	}
	_ = conn.Close()
	await(t, "not busy any more", func() bool { return up.busy.Load() == 0 })

	for name, headers := range map[string]http.Header{
		"no session":     {"Origin": {"http://" + r.host}},
		"another origin": {"Cookie": {r.cookie}, "Origin": {"http://evil.example"}},
	} {
		if conn, _, err := r.webSocket(t, headers); err == nil {
			_ = conn.Close()
			t.Errorf("%s: let in", name)
		}
	}
}

// TestWebSocketHeaders: the 101 passes the same rules as any answer.
func TestWebSocketHeaders(t *testing.T) {
	r := newRig(t, serveRaw(t, func(c net.Conn, br *bufio.Reader) {
		if _, err := http.ReadRequest(br); err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"+
			"Set-Cookie: paddock-notes-abcdefgh=x\r\nLink: <x>\r\n\r\nfirst bytes")
		_, _ = br.ReadByte()
	}))
	c := r.dial()
	defer c.Close()
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+r.host+"\r\nCookie: "+r.cookie+"\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
	br := bufio.NewReader(c)
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != 101 || res.Header.Get("Sec-Websocket-Accept") == "" || res.Header["Set-Cookie"] != nil || res.Header["Link"] != nil {
		t.Errorf("%s %v", res.Status, res.Header)
	}
	early := make([]byte, len("first bytes"))
	if _, err := io.ReadFull(br, early); err != nil || string(early) != "first bytes" {
		t.Errorf("%q %v", early, err)
	}
}

// TestKeepAlive: one connection to the app serves many requests, until the instance is another.
func TestKeepAlive(t *testing.T) {
	up := serveApp(t, hello("one"))
	r := newRig(t, up)
	for range 20 {
		r.get("/")
	}
	if n := up.dials.Load(); n != 1 {
		t.Errorf("%d connections for 20 requests", n)
	}
	second := serveApp(t, hello("two"))
	r.back.set("i1", second)
	if res := r.get("/"); res.body != "two" {
		t.Errorf("the old instance answered: %q", res.body)
	}
	if up.dials.Load() != 1 || second.dials.Load() != 1 {
		t.Errorf("connections: %d and %d", up.dials.Load(), second.dials.Load())
	}
}

// TestPoolIsBounded: what a crowd of requests opened is kept in part, and only for a while.
func TestPoolIsBounded(t *testing.T) {
	const crowd = maxIdle + 20
	var in sync.WaitGroup
	in.Add(crowd)
	up := serveApp(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		in.Done()
		in.Wait() // all at once, so on as many connections
	}))
	r := newRig(t, up)
	var all sync.WaitGroup
	for range crowd {
		all.Go(func() {
			if res := r.get("/"); res.StatusCode != 200 {
				t.Error(res.Status)
			}
		})
	}
	all.Wait()
	p := r.g.site("i1").pool
	idle := func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.idle)
	}
	await(t, "the answers are done with", func() bool { return up.busy.Load() == 0 })
	if n, dials := idle(), up.dials.Load(); dials != crowd || n != maxIdle {
		t.Errorf("%d connections for %d requests, %d kept", dials, crowd, n)
	}
	p.expire(time.Now().Add(idleAge + time.Second))
	if n := idle(); n != 0 {
		t.Errorf("%d kept after their time", n)
	}
}

// countingReader tells how much was taken from it, and when last.
type countingReader struct {
	r    io.Reader
	mu   sync.Mutex
	n    int64
	last time.Time
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += int64(n)
	c.last = time.Now()
	return n, err
}

func (c *countingReader) count() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// stalled reports that reading began and has stopped for a while.
func (c *countingReader) stalled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n > 0 && time.Since(c.last) > 300*time.Millisecond
}
