package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// withOther adds a second app to a rig and returns how to ask it.
func (r *rig) withOther() (ask func() answer) {
	r.t.Helper()
	r.back.set("i2", serveApp(r.t, hello("other")))
	r.g.Set(App{Install: "i2", Label: "other-abcdefgh", Name: "Other", Mode: ModeServer})
	host := "other-abcdefgh.localhost:" + r.g.port
	cookie := r.letIn("i2", host)
	return func() answer {
		r.t.Helper()
		return r.raw("GET / HTTP/1.1\r\nHost: " + host + "\r\nCookie: " + cookie + "\r\nConnection: close\r\n\r\n")
	}
}

// TestSlowClients: who sends a header byte by byte is cut off, who sends or takes a body that way keeps a slot of that
// app, and nobody else notices either.
func TestSlowClients(t *testing.T) {
	old := headerTimeout
	headerTimeout = 300 * time.Millisecond
	defer func() { headerTimeout = old }()
	up := serveApp(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		_, _ = io.Copy(w, io.LimitReader(zeros{}, 64<<20))
	}))
	r := newRig(t, up)
	other := r.withOther()

	var slow []net.Conn
	for range 20 {
		c := r.dial()
		_, _ = io.WriteString(c, r.lines("POST /", "Content-Length: 100")+"beginning")
		slow = append(slow, c)
		c = r.dial()
		_, _ = io.WriteString(c, r.lines("GET /")) // and never reads
		slow = append(slow, c)
	}
	await(t, "all are in", func() bool { return up.busy.Load() == 40 })

	c := r.dial()
	defer c.Close()
	var writer sync.WaitGroup
	writer.Go(func() {
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\n")
		for begin := time.Now(); time.Since(begin) < patience; {
			if _, err := io.WriteString(c, "X: y\r\n"); err != nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	if got, _ := io.ReadAll(c); len(got) > 0 && !strings.HasPrefix(string(got), "HTTP/1.1 4") {
		t.Errorf("a header without end was answered: %q", got)
	}
	_ = c.Close()
	writer.Wait()

	if res := other(); res.body != "other" {
		t.Errorf("the other app: %s", res.Status)
	}
	for _, c := range slow {
		_ = c.Close()
	}
	await(t, "all slots free", func() bool { return up.busy.Load() == 0 && len(r.g.site("i1").open) == 0 })
}

// TestStuckBrowser: a browser that stops reading in the middle of a stream cannot hold up the end of its session, nor
// other requests to the app.
func TestStuckBrowser(t *testing.T) {
	var written atomic.Int64
	r := newRig(t, serveApp(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/stream" {
			return
		}
		piece := make([]byte, 1<<10) // small: the front door writes when it has nothing more to read
		for begin := time.Now(); time.Since(begin) < patience; time.Sleep(20 * time.Microsecond) {
			if _, err := w.Write(piece); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			written.Add(1)
		}
	})))
	c := r.dial()
	defer c.Close()
	_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
	_, _ = io.WriteString(c, r.lines("GET /stream"))
	last, since := int64(-1), time.Now()
	await(t, "the app is stopped", func() bool {
		if now := written.Load(); now != last {
			last, since = now, time.Now()
		}
		return last > 0 && time.Since(since) > 300*time.Millisecond
	})
	if res := r.get("/"); res.StatusCode != 200 {
		t.Error(res.Status)
	}
	ended := make(chan struct{})
	go func() {
		r.g.EndSessions("i1")
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(patience / 2):
		t.Error("the end of the sessions waits for the browser")
		_ = c.Close()
		<-ended
	}
}

// TestEndlessHeader: a header that never ends costs a few packets.
func TestEndlessHeader(t *testing.T) {
	r := newRig(t, serveApp(t, hello("x")))
	for name, more := range map[string]string{"one line": strings.Repeat("a", 4096), "many lines": strings.Repeat("A: b\r\n", 700), "target": ""} {
		c := r.dial()
		begin := "GET / HTTP/1.1\r\nHost: " + r.host + "\r\nX: "
		if more == "" {
			begin, more = "GET /", strings.Repeat("b", 4096)
		}
		var sent int
		var writer sync.WaitGroup
		writer.Go(func() {
			_, err := io.WriteString(c, begin)
			for err == nil && sent < 64<<20 {
				var n int
				n, err = io.WriteString(c, more)
				sent += n
			}
		})
		first, _ := bufio.NewReader(c).ReadString('\n')
		_ = c.Close()
		writer.Wait()
		if first != "" && !strings.HasPrefix(first, "HTTP/1.1 431 ") { // nothing, where the reset overtook the answer
			t.Errorf("%s: %q", name, first)
		}
		if sent > 16<<20 {
			t.Errorf("%s: %d MB were taken", name, sent>>20)
		}
	}
	if res := r.get("/"); res.StatusCode != 200 {
		t.Error(res.Status)
	}
}

// TestFraming: whatever a request says about its length, the app sees requests that passed the checks and no other.
// Each row hides a second request where some parser might begin to read one.
func TestFraming(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	r := newRig(t, serveApp(t, http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, fmt.Sprintf("%s %s %d", req.Method, req.URL.Path, len(body)))
	})))
	hidden := "GET /hidden HTTP/1.1\r\nHost: " + r.host + "\r\nX: "
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden)
	head := func(first string, more ...string) string {
		return first + " HTTP/1.1\r\nHost: " + r.host + "\r\nCookie: " + r.cookie + "\r\n" + strings.Join(append(more, ""), "\r\n") + "\r\n"
	}
	length := fmt.Sprintf("Content-Length: %d", len(hidden))
	for i, row := range []struct{ name, request string }{
		{"length, then chunks", head("POST /a", "Content-Length: 4", "Transfer-Encoding: chunked") + chunk + hidden},
		{"chunks, then length", head("POST /a", "Transfer-Encoding: chunked", length) + "0\r\n\r\n" + hidden},
		{"chunks in capitals", head("POST /a", "TRANSFER-ENCODING: Chunked", "Content-Length: 3") + chunk + hidden},
		{"chunks with a tab", head("POST /a", "Transfer-Encoding:\tchunked", "Content-Length: 3") + chunk},
		{"chunks with a vertical tab", head("POST /a", "Transfer-Encoding: \x0bchunked", "Content-Length: 3") + "0\r\n\r\n" + hidden},
		{"chunks, folded", head("POST /a", "Transfer-Encoding:\r\n chunked", "Content-Length: 3") + "0\r\n\r\n" + hidden},
		{"chunks, quoted", head("POST /a", "Transfer-Encoding: \"chunked\"", length) + hidden},
		{"chunks and identity", head("POST /a", "Transfer-Encoding: chunked, identity", length) + hidden},
		{"identity and chunks", head("POST /a", "Transfer-Encoding: identity", "Transfer-Encoding: chunked", length) + "0\r\n\r\n" + hidden},
		{"a space before the colon", head("POST /a", "Transfer-Encoding : chunked", "Content-Length: 5") + "0\r\n\r\n" + hidden},
		{"a space before the name", head("POST /a", " Transfer-Encoding: chunked", "Content-Length: 5") + "0\r\n\r\n" + hidden},
		{"a list of lengths", head("POST /a", "Content-Length: 0, 5") + hidden},
		{"the same length twice", head("POST /a", "Content-Length: 1", "Content-Length: 1") + "x" + hidden},
		{"a length in hexadecimal", head("POST /a", "Content-Length: 0x10") + hidden},
		{"a negative length", head("POST /a", "Content-Length: -1") + hidden},
		{"a huge length", head("POST /a", "Content-Length: 99999999999999999999") + hidden},
		{"length with an underscore", head("POST /a", "Content_Length: 100", "Content-Length: 0") + hidden},
		{"a body with GET", head("GET /a", length) + hidden},
		{"a chunked body with GET", head("GET /a", "Transfer-Encoding: chunked") + chunk},
		{"a chunk size with a sign", head("POST /a", "Transfer-Encoding: chunked") + "+1\r\nx\r\n0\r\n\r\n" + hidden},
		{"a chunk size with 0x", head("POST /a", "Transfer-Encoding: chunked") + "0x1\r\nx\r\n0\r\n\r\n" + hidden},
		{"a chunk size too large", head("POST /a", "Transfer-Encoding: chunked") + "fffffffffffffffff\r\nx\r\n0\r\n\r\n" + hidden},
		{"a chunk with more than it says", head("POST /a", "Transfer-Encoding: chunked") + "1\r\nxx\r\n0\r\n\r\n" + hidden},
		{"a chunk extension without end", head("POST /a", "Transfer-Encoding: chunked") + "1;" + strings.Repeat("a", 20000) + "\r\nx\r\n0\r\n\r\n"},
		{"a length in the trailer", head("POST /a", "Transfer-Encoding: chunked", "Trailer: Content-Length") + "0\r\nContent-Length: 50\r\n\r\n" + hidden},
		{"lines that end in a line feed", strings.ReplaceAll(head("POST /a", "Content-Length: 0"), "\r\n", "\n") + hidden},
		{"a bare return", head("POST /a", "X: a\rTransfer-Encoding: chunked", "Content-Length: 5") + "0\r\n\r\n" + hidden},
		{"HTTP/1.0 with chunks", strings.Replace(head("POST /a", "Transfer-Encoding: chunked", "Content-Length: 5"), "HTTP/1.1", "HTTP/1.0", 1) + "0\r\n\r\n" + hidden},
		{"HTTP/0.9", "GET /a\r\n" + hidden},
		{"an upgrade with a body", head("GET /a", "Connection: Upgrade", "Upgrade: websocket", length) + hidden},
	} {
		t.Run(row.name, func(t *testing.T) {
			mu.Lock()
			seen = nil
			mu.Unlock()
			c := r.dial()
			defer c.Close()
			_, _ = io.WriteString(c, row.request)
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
			after := fmt.Sprintf("/after%d", i)
			if res := r.get(after); res.StatusCode != 200 { // over the same link, if it was kept
				t.Errorf("afterwards: %s", res.Status)
			}
			mu.Lock()
			defer mu.Unlock()
			// The app may notice the end of a broken body after the next request, and even in the next row.
			if all := strings.Join(seen, ", "); strings.Contains(all, "hidden") || strings.Count(all, "GET "+after+" 0") != 1 {
				t.Errorf("the app saw %s", all)
			}
		})
	}
}

// TestUpgradeWithBody: the body of a request that also asks for a WebSocket is a body to the app, and not its next request.
func TestUpgradeWithBody(t *testing.T) {
	got := make(chan string, 1)
	r := newRig(t, serveRaw(t, func(c net.Conn, br *bufio.Reader) {
		req, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		body, _ := io.ReadAll(req.Body)
		got <- fmt.Sprintf("%q %q", req.Header["Upgrade"], body)
		_, _ = io.WriteString(c, proper)
	}))
	const hidden = "GET /.paddock/host HTTP/1.1\r\n\r\n"
	for _, framing := range []string{fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(hidden), hidden), fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden)} {
		head := "GET / HTTP/1.1\r\nHost: " + r.host + "\r\nCookie: " + r.cookie + "\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
		if res := r.raw(head + framing); res.body != "fine" {
			t.Errorf("%s %q", res.Status, res.body)
		}
		if seen, want := <-got, fmt.Sprintf("[] %q", hidden); seen != want {
			t.Errorf("the app saw %s, want %s", seen, want)
		}
	}
}

// TestBrokenBody: a body that breaks off or has no proper chunks is the client's fault, is told at once and not laid to the
// app in the log.
func TestBrokenBody(t *testing.T) {
	up := serveApp(t, http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { _, _ = io.Copy(io.Discard, req.Body) }))
	r := newRig(t, up)
	for _, body := range []string{"zz\r\n", "-1\r\nx\r\n", "1\r\nxx\r\n0\r\n\r\n"} {
		if res := r.raw(r.lines("POST /", "Transfer-Encoding: chunked") + body); res.StatusCode != http.StatusBadRequest || !res.Close {
			t.Errorf("%q: %s", body, res.Status)
		}
	}
	await(t, "not busy any more", func() bool { return up.busy.Load() == 0 })
	if log := r.log.String(); strings.Contains(log, "level=WARN") {
		t.Errorf("log:\n%s", log)
	}
}

// TestBodyWhereNoneIs: an app that sends a body after an answer that has none cannot make it the next answer.
func TestBodyWhereNoneIs(t *testing.T) {
	const evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	for _, row := range []struct{ name, request, answer string }{
		{"HEAD", "HEAD /", "HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n" + evil},
		{"204", "GET /", "HTTP/1.1 204 No Content\r\n\r\n" + evil},
		{"204 with a length", "GET /", "HTTP/1.1 204 No Content\r\nContent-Length: 44\r\n\r\n" + evil},
		{"304", "GET /", "HTTP/1.1 304 Not Modified\r\nContent-Length: 44\r\n\r\n" + evil},
		{"length and chunks", "GET /", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + evil},
		{"empty", "GET /", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + evil},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t, serveRaw(t, func(c net.Conn, br *bufio.Reader) {
				for {
					req, err := http.ReadRequest(br)
					if err != nil {
						return
					}
					text := proper
					if req.URL.Path == "/" {
						text = row.answer
					}
					if _, err := io.WriteString(c, text); err != nil {
						return
					}
				}
			}))
			first := r.raw(r.lines(row.request))
			if strings.Contains(first.body, "evil") || first.StatusCode >= 500 {
				t.Errorf("%s %q", first.Status, first.body)
			}
			if res := r.get("/after"); res.body != "fine" {
				t.Errorf("afterwards: %s %q", res.Status, res.body)
			}
		})
	}
}

// TestSocketReplaced: what lies where the app's socket should be leads to a page and a line in the log, and to nothing
// for other apps. A link that leads to the app still serves.
func TestSocketReplaced(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"a file":             func(path string) error { return os.WriteFile(path, []byte("x"), 0o600) },
		"a folder":           func(path string) error { return os.Mkdir(path, 0o700) },
		"a link to nothing":  func(path string) error { return os.Symlink("nowhere", path) },
		"a link to itself":   func(path string) error { return os.Symlink(path, path) },
		"a socket of nobody": func(path string) error { return deadSocket(path) },
	} {
		t.Run(name, func(t *testing.T) {
			up := serveApp(t, hello("x"))
			r := newRig(t, up)
			other := r.withOther()
			if err := os.Remove(up.path); err != nil {
				t.Fatal(err)
			}
			if err := put(up.path); err != nil {
				t.Fatal(err)
			}
			if res := r.get("/"); res.StatusCode != 502 || !strings.Contains(res.body, "stopped answering") {
				t.Errorf("%s %q", res.Status, res.body)
			}
			if !strings.Contains(r.log.String(), "app gave no proper answer") {
				t.Error("nothing was logged")
			}
			if res := other(); res.body != "other" {
				t.Errorf("the other app: %s", res.Status)
			}
		})
	}
}

// deadSocket leaves a socket file that nobody listens to.
func deadSocket(path string) error {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false)
	return l.Close()
}
