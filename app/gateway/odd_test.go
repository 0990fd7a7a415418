package gateway

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestOddAnswers: whatever an app says instead of HTTP, the browser gets a host page, or an answer that visibly
// breaks off, and the next request works.
func TestOddAnswers(t *testing.T) {
	var say atomic.Value
	r := newRig(t, serveRaw(t, func(c net.Conn, br *bufio.Reader) {
		for {
			if _, err := http.ReadRequest(br); err != nil {
				return
			}
			text := say.Load().(string)
			if _, err := io.WriteString(c, text); err != nil || text != proper {
				return
			}
		}
	}))
	for _, row := range []struct {
		name, answer string
		status       int
		breaks       bool // the body ends before it should
	}{
		{"nothing", "", 502, false},
		{"noise", "\x00\x01\x02 hello\r\n\r\n", 502, false},
		{"SSH", "SSH-2.0-OpenSSH\r\n\r\n", 502, false},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 502, false},
		{"another version", "HTTP/2.0 200 OK\r\n\r\n", 502, false},
		{"a request", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 502, false},
		{"cut in the header", "HTTP/1.1 200 OK\r\nA: b\r\n", 502, false},
		{"no colon", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", 502, false},
		{"status of letters", "HTTP/1.1 abc OK\r\n\r\n", 502, false},
		{"status too high", "HTTP/1.1 999 OK\r\n\r\n", 502, false},
		{"status too low", "HTTP/1.1 000 OK\r\n\r\n", 502, false},
		{"unasked switch", "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 502, false},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 502, false},
		{"negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", 502, false},
		{"unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", 502, false},
		{"large header", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", 100<<10) + "\r\n\r\n", 502, false},
		{"endless headers", "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 20000), 502, false},
		{"endless interim", strings.Repeat("HTTP/1.1 102 x\r\n\r\n", 50), 502, false},
		{"short body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", 200, true},
		{"bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 200, true},
		{"cut chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 200, true},
		{"two answers", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirstHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond", 200, false},
		{"no end", "HTTP/1.0 200 OK\r\n\r\nuntil closed", 200, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			say.Store(row.answer)
			c := r.dial()
			defer c.Close()
			_, _ = io.WriteString(c, r.lines("GET /"))
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				if !row.breaks {
					t.Fatal(err)
				}
			} else {
				body, err := io.ReadAll(res.Body)
				if res.StatusCode != row.status || (err != nil) != row.breaks {
					t.Errorf("%s, %v", res.Status, err)
				}
				if row.status == 502 && !strings.Contains(string(body), "stopped answering") {
					t.Errorf("page %q", body)
				}
				if strings.Contains(string(body), "second") {
					t.Error("the second answer passed as part of the first")
				}
			}
			say.Store(proper)
			if res := r.get("/"); res.body != "fine" {
				t.Errorf("afterwards: %s %q", res.Status, res.body)
			}
		})
	}
	if !strings.Contains(r.log.String(), "app gave no proper answer") {
		t.Error("nothing was logged")
	}
}

const proper = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"

// TestAnswerOutOfTurn: bytes that an app sends between two requests never become the answer to the second one.
func TestAnswerOutOfTurn(t *testing.T) {
	sent := make(chan struct{}, 1)
	r := newRig(t, serveRaw(t, func(c net.Conn, br *bufio.Reader) {
		if _, err := http.ReadRequest(br); err != nil {
			return
		}
		_, _ = io.WriteString(c, proper)
		if len(sent) == 0 {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
			sent <- struct{}{}
			_, _ = br.ReadByte()
		}
	}))
	r.get("/")
	<-sent
	for range 5 {
		if res := r.get("/"); res.body != "fine" {
			t.Fatalf("got %q", res.body)
		}
	}
}

// TestStaleConnection: an app may close an idle connection; the next request does not notice.
func TestStaleConnection(t *testing.T) {
	up := serveRaw(t, func(c net.Conn, br *bufio.Reader) {
		if _, err := http.ReadRequest(br); err == nil {
			_, _ = io.WriteString(c, proper)
		}
	})
	r := newRig(t, up)
	links := r.g.site("i1").pool
	for range 10 {
		await(t, "the app has closed it", func() bool {
			links.mu.Lock()
			defer links.mu.Unlock()
			return len(links.idle) == 0 || !links.idle[0].quiet()
		})
		if res := r.raw(r.lines("POST /", "Content-Length: 2") + "ab"); res.body != "fine" {
			t.Fatalf("%s %q", res.Status, res.body)
		}
		if res := r.get("/"); res.body != "fine" {
			t.Fatalf("%s %q", res.Status, res.body)
		}
	}
}

// TestSocketGone: the socket file vanished or leads nowhere.
func TestSocketGone(t *testing.T) {
	up := serveApp(t, hello("x"))
	r := newRig(t, up)
	if err := os.Remove(up.path); err != nil {
		t.Fatal(err)
	}
	if res := r.get("/"); res.StatusCode != 502 || !strings.Contains(res.body, `value="restart"`) {
		t.Errorf("%s %q", res.Status, res.body)
	}
}

// TestReplaced: an instance that ends under a request which may be repeated is woken again, once.
func TestReplaced(t *testing.T) {
	var asked atomic.Int32
	dying := serveRaw(t, func(_ net.Conn, br *bufio.Reader) {
		if _, err := http.ReadRequest(br); err == nil {
			asked.Add(1)
		}
	})
	living := serveApp(t, hello("new"))
	r := newRig(t, dying)
	r.back.wake = func(context.Context, string) (Upstream, error) {
		if asked.Load() > 0 {
			return living, nil
		}
		return dying, nil
	}
	if res := r.get("/"); res.body != "new" || asked.Load() != 1 {
		t.Errorf("%s %q after %d", res.Status, res.body, asked.Load())
	}
	asked.Store(0)
	if res := r.raw(r.lines("POST /", "Content-Length: 0")); res.StatusCode != 502 || asked.Load() != 1 {
		t.Errorf("a write was sent again: %s after %d", res.Status, asked.Load())
	}
}

// dyingInstance is one whose socket still takes a connection that nobody will ever look at.
type dyingInstance struct {
	instance
	once     sync.Once
	listener net.Listener
	dead     atomic.Bool
}

func (d *dyingInstance) Dial(ctx context.Context) (net.Conn, error) {
	c, err := d.instance.Dial(ctx)
	if err != nil {
		d.dead.Store(true)
		return nil, err
	}
	d.once.Do(func() { err = d.listener.Close() })
	return c, err
}

// TestDying: a request that an app never saw, because it came in the moment of its death, is for the next instance.
func TestDying(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	dying := &dyingInstance{instance: instance{path: path, key: "dying"}, listener: l}
	living := serveApp(t, hello("new"))
	r := newRig(t, living)
	r.back.wake = func(context.Context, string) (Upstream, error) {
		if dying.dead.Load() {
			return living, nil
		}
		return dying, nil
	}
	if res := r.get("/"); res.body != "new" {
		t.Errorf("%s %q", res.Status, res.body)
	}
}

func TestAnswerDeadline(t *testing.T) {
	old := answerTimeout
	answerTimeout = 50 * time.Millisecond
	defer func() { answerTimeout = old }()
	up := serveRaw(t, func(_ net.Conn, br *bufio.Reader) { _, _ = io.Copy(io.Discard, br) })
	r := newRig(t, up)
	for _, request := range []string{r.lines("GET /"), r.lines("POST /", "Content-Length: 2") + "ab"} {
		if res := r.raw(request); res.StatusCode != 504 || !strings.Contains(res.body, "does not answer") {
			t.Errorf("%s", res.Status)
		}
	}
	if up.busy.Load() != 0 {
		t.Error("still busy")
	}
}

// TestIsolation: one app that answers nothing takes all its slots, and no slot of another.
func TestIsolation(t *testing.T) {
	release := make(chan struct{})
	var stuck atomic.Int32
	hanging := serveApp(t, http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		stuck.Add(1)
		select {
		case <-release:
		case <-req.Context().Done():
		}
	}))
	r := newRig(t, hanging)
	r.back.set("i2", serveApp(t, hello("other")))
	r.g.Set(App{Install: "i2", Label: "other-abcdefgh", Name: "Other", Mode: ModeServer})
	otherHost := "other-abcdefgh.localhost:" + r.g.port
	otherCookie := r.letIn("i2", otherHost)

	// Take all slots but a few by hand, then fill the rest and the queue with real requests.
	s := r.g.site("i1")
	for range maxOpen - 4 {
		s.open <- struct{}{}
	}
	var clients sync.WaitGroup
	var conns []net.Conn
	for range 8 {
		c := r.dial()
		conns = append(conns, c)
		clients.Go(func() { _, _ = io.WriteString(c, r.lines("GET /")); _, _ = io.Copy(io.Discard, c) })
	}
	await(t, "four stuck, four waiting", func() bool { return stuck.Load() == 4 && s.queued.Load() == 4 })
	s.queued.Add(maxQueue)
	if res := r.get("/"); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || !strings.Contains(res.body, "busy") {
		t.Errorf("beyond the queue: %s %v", res.Status, res.Header)
	}
	s.queued.Add(-maxQueue)
	for range 20 {
		res := r.raw("GET / HTTP/1.1\r\nHost: " + otherHost + "\r\nCookie: " + otherCookie + "\r\nConnection: close\r\n\r\n")
		if res.body != "other" {
			t.Fatalf("the other app: %s", res.Status)
		}
	}
	close(release)
	clients.Wait()
	for _, c := range conns {
		_ = c.Close()
	}
	for range maxOpen - 4 {
		<-s.open
	}
	await(t, "all slots free", func() bool { return len(s.open) == 0 && s.queued.Load() == 0 })
}

// TestStarting: requests wait for a start; too many are turned away; each state has its page.
func TestStarting(t *testing.T) {
	up := serveApp(t, hello("started"))
	r := newRig(t, up)
	started := make(chan struct{})
	r.back.mu.Lock()
	r.back.wake = func(ctx context.Context, _ string) (Upstream, error) {
		select {
		case <-started:
			return up, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	r.back.mu.Unlock()
	got := make(chan string)
	go func() { got <- r.get("/").body }()
	s := r.g.site("i1")
	await(t, "waiting for the start", func() bool { return s.waking.Load() == 1 })
	s.waking.Add(maxQueue)
	if res := r.get("/"); res.StatusCode != 503 || res.Header.Get("Retry-After") != "2" {
		t.Errorf("%s", res.Status)
	}
	s.waking.Add(-maxQueue)
	gone := r.dial()
	_, _ = io.WriteString(gone, r.lines("GET /"))
	await(t, "a second waits", func() bool { return s.waking.Load() == 2 })
	_ = gone.Close()
	await(t, "the second gave up", func() bool { return s.waking.Load() == 1 })
	close(started)
	if body := <-got; body != "started" {
		t.Errorf("%q", body)
	}
}

func TestStatePages(t *testing.T) {
	r := newRig(t, nil)
	r.back.state = &StateError{
		Code: "over_budget", Title: "Notes <b> used too much memory", Text: "It was ended & can start again.", RetryAfter: 1500 * time.Millisecond, Status: 503,
		Actions: []Action{{"restart", "Start it again"}, {"ask_window", "Change its limits"}},
	}
	res := r.get("/folder/page?x=1")
	if res.StatusCode != 503 || res.Header.Get("Retry-After") != "2" || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s %v", res.Status, res.Header)
	}
	for _, want := range []string{
		"Notes &lt;b&gt; used too much memory", "ended &amp; can", `action="/.paddock/act"`, `value="restart"`, "Change its limits",
		`name="to" value="/folder/page?x=1"`,
	} {
		if !strings.Contains(res.body, want) {
			t.Errorf("page lacks %q", want)
		}
	}
	if data := r.get("/api", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"); !strings.HasPrefix(data.Header.Get("Content-Type"), "text/plain") || strings.Contains(data.body, "<html") {
		t.Errorf("a script gets %q", data.body)
	}
	r.back.state = errors.New("secret detail")
	if res := r.get("/"); res.StatusCode != 503 || strings.Contains(res.body, "secret detail") || !strings.Contains(r.log.String(), "secret detail") {
		t.Errorf("%s %q", res.Status, res.body)
	}
	r.back.state = nil // and no instance either
	if res := r.get("/"); res.StatusCode != 503 {
		t.Errorf("%s", res.Status)
	}
}

func TestSlowHeaderLimit(t *testing.T) {
	r := newRig(t, serveApp(t, hello("x")))
	if got := r.g.server.ReadHeaderTimeout; got <= 0 || got > 30*time.Second {
		t.Errorf("header timeout %v", got)
	}
	r.g.conns.Add(maxConns)
	c := r.dial()
	defer c.Close()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d, %v: one connection too many was kept", n, err)
	}
	r.g.conns.Add(-maxConns)
	if res := r.get("/"); res.StatusCode != 200 {
		t.Error(res.Status)
	}
}

// TestCloseEndsStreams: Close leaves nothing open, whatever is going on.
func TestCloseEndsStreams(t *testing.T) {
	r := newRig(t, serveApp(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Upgrade") != "" {
			echo(t).ServeHTTP(w, req)
			return
		}
		w.(http.Flusher).Flush()
		<-req.Context().Done()
	})))
	var all sync.WaitGroup
	for i := range 6 {
		c := r.dial()
		request := r.lines("GET /")
		if i%2 == 0 {
			request = strings.Replace(r.lines("GET /", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"), "Connection: close", "Connection: Upgrade", 1)
		}
		_, _ = io.WriteString(c, request)
		br := bufio.NewReader(c)
		if first, err := br.ReadString('\n'); err != nil {
			t.Fatal(first, err)
		}
		all.Go(func() { _, _ = io.Copy(io.Discard, br); _ = c.Close() })
	}
	if err := r.g.Close(); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	if n := r.g.running.n; n != 0 {
		t.Errorf("%d handlers left", n)
	}
	if _, err := net.Dial("tcp", r.g.Addr()); err == nil {
		t.Error("still listening")
	}
}
