package gateway

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestDownloadBackPressure: while the browser does not read, the app's writes stop, and no memory fills up.
func TestDownloadBackPressure(t *testing.T) {
	const size = 64 << 20
	for _, framing := range []string{"Content-Length: " + fmt.Sprint(size), "Transfer-Encoding: chunked"} {
		source := &countingReader{r: io.LimitReader(zeros{}, size)}
		r := newRig(t, serveRaw(t, func(c net.Conn, br *bufio.Reader) {
			if _, err := http.ReadRequest(br); err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+framing+"\r\n\r\n")
			piece := make([]byte, 64<<10)
			for {
				n, err := source.Read(piece)
				if err != nil {
					break
				}
				if strings.HasPrefix(framing, "Transfer") {
					_, _ = fmt.Fprintf(c, "%x\r\n%s\r\n", n, piece[:n])
				} else if _, err := c.Write(piece[:n]); err != nil {
					return
				}
			}
			if strings.HasPrefix(framing, "Transfer") {
				_, _ = io.WriteString(c, "0\r\n\r\n")
			}
		}))
		c := r.dial()
		_, _ = io.WriteString(c, r.lines("GET /"))
		await(t, "the app is stopped", source.stalled)
		if taken := source.count(); taken > size/2 {
			t.Errorf("%s: %d MB taken while the browser reads nothing", framing, taken>>20)
		}
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, res.Body); n != size || err != nil {
			t.Errorf("%s: %d bytes, %v", framing, n, err)
		}
		_ = c.Close()
	}
}

// TestChunksArriveAtOnce: a chunk arrives although what follows it, even the end of its line, is still to come, also once
// the stream has turned out to be a long one.
func TestChunksArriveAtOnce(t *testing.T) {
	const long = 2 << 20
	next := make(chan struct{}, 1)
	r := newRig(t, serveRaw(t, func(c net.Conn, br *bufio.Reader) {
		if _, err := http.ReadRequest(br); err != nil {
			return
		}
		for _, text := range []string{
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
			"5\r\nfirst", fmt.Sprintf("\r\n%x\r\n%s", long, strings.Repeat("x", long)), "\r\n1\r\nx\r\n0\r\n\r\n",
		} {
			_, _ = io.WriteString(c, text)
			select {
			case <-next: // it has arrived
			case <-time.After(patience):
				return
			}
		}
	}))
	c := r.dial()
	defer c.Close()
	_, _ = io.WriteString(c, r.lines("GET /"))
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int64{5, long, 1} {
		next <- struct{}{}
		if got, err := io.CopyN(io.Discard, res.Body, n); err != nil {
			t.Fatalf("%d bytes of %d: %v", got, n, err)
		}
	}
	if rest, err := io.ReadAll(res.Body); len(rest) > 0 || err != nil {
		t.Errorf("end: %q %v", rest, err)
	}
	next <- struct{}{}
}

// TestCompressionUntouched: an app compresses or not as it and the browser agree; the host takes no part in it.
func TestCompressionUntouched(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(bytes.Repeat([]byte("compress me "), 1000))
	_ = z.Close()
	var asked atomic.Value
	r := newRig(t, serveApp(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		asked.Store(fmt.Sprintf("%q", req.Header["Accept-Encoding"]))
		w.Header().Set("Content-Type", "text/plain")
		if req.Header.Get("Accept-Encoding") != "" {
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Vary", "Accept-Encoding")
			_, _ = w.Write(packed.Bytes())
		}
	})))
	res := r.get("/", "Accept-Encoding: gzip;q=0.5, br")
	if res.body != packed.String() || res.Header.Get("Content-Encoding") != "gzip" || res.Header.Get("Vary") != "Accept-Encoding" || res.ContentLength != int64(packed.Len()) {
		t.Errorf("%d bytes of %d, %v", len(res.body), packed.Len(), res.Header)
	}
	if asked.Load() != `["gzip;q=0.5, br"]` {
		t.Errorf("the app was asked for %s", asked.Load())
	}
	if res := r.get("/"); res.Header.Get("Content-Encoding") != "" || asked.Load() != "[]" {
		t.Errorf("the host asked for %s by itself", asked.Load())
	}
}

// TestUploadsKeepConnections: after an upload both connections serve the next request, however quickly the app answers.
func TestUploadsKeepConnections(t *testing.T) {
	up := serveRaw(t, func(c net.Conn, br *bufio.Reader) {
		for {
			req, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return
			}
			if _, err := io.WriteString(c, proper); err != nil {
				return
			}
		}
	})
	r := newRig(t, up)
	c := r.dial()
	defer c.Close()
	br := bufio.NewReader(c)
	for i, size := range []int{1, 100, 70000, 3 << 20, 1, 1, 1, 1, 1, 1, 1, 1} {
		_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: "+r.host+"\r\nCookie: "+r.cookie+"\r\nContent-Length: "+fmt.Sprint(size)+"\r\n\r\n")
		go func() { _, _ = c.Write(make([]byte, size)) }()
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatalf("upload %d: %v", i, err)
		}
		if body, _ := io.ReadAll(res.Body); string(body) != "fine" || res.Close {
			t.Fatalf("upload %d: %s %q, closes: %v", i, res.Status, body, res.Close)
		}
	}
	if n := up.dials.Load(); n != 1 {
		t.Errorf("%d connections to the app", n)
	}
}

// TestIdleSocketsAreSmall opens WebSockets that then say nothing, and looks at what each takes of this process: the front
// door's share, the app's goroutine and the client's connection together.
func TestIdleSocketsAreSmall(t *testing.T) {
	const count = 200
	up := serveRaw(t, func(c net.Conn, br *bufio.Reader) {
		if _, err := http.ReadRequest(br); err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		one := make([]byte, 1)
		for {
			if _, err := c.Read(one); err != nil {
				return
			}
			_, _ = c.Write(one)
		}
	})
	r := newRig(t, up)
	inUse := func() uint64 {
		runtime.GC()
		runtime.GC() // what pools hold goes with the second
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	before := inUse()
	var open []net.Conn
	for range count {
		c := r.dial()
		defer c.Close()
		open = append(open, c)
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+r.host+"\r\nCookie: "+r.cookie+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
		head := make([]byte, 0, 4096)
		for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
			n, err := c.Read(head[len(head):cap(head)])
			if err != nil {
				t.Fatal(err)
			}
			head = head[:len(head)+n]
		}
	}
	s := r.g.site("i1")
	if up.busy.Load() != count || len(s.open) != count {
		t.Errorf("busy %d, slots %d for %d sockets", up.busy.Load(), len(s.open), count)
	}
	// An app's goroutine with its reader is 10 kB of this; 60 MB for a thousand would be 60 kB.
	if each := (int64(inUse()) - int64(before)) / count; each > 30<<10 {
		t.Errorf("%d bytes for each idle WebSocket", each)
	}
	for _, c := range open {
		one := []byte{'x'}
		if _, err := c.Write(one); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, one); err != nil || one[0] != 'x' {
			t.Fatalf("%q %v", one, err)
		}
	}
	for _, c := range open {
		_ = c.Close()
	}
	await(t, "slots and leases are free", func() bool { return up.busy.Load() == 0 && len(s.open) == 0 })
	r.g.EndSessions("i1")
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	if len(s.pool.inUse) != 0 {
		t.Errorf("%d links are still held", len(s.pool.inUse))
	}
}

// TestHalfClosed: a socket of which one direction has ended is treated as gone by whoever notices, and nothing of it stays.
func TestHalfClosed(t *testing.T) {
	arrived, gone := make(chan struct{}, 1), make(chan struct{}, 1)
	up := serveApp(t, http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		arrived <- struct{}{}
		<-req.Context().Done()
		gone <- struct{}{}
	}))
	t.Run("browser", func(t *testing.T) {
		r := newRig(t, up)
		c := r.dial()
		defer c.Close()
		_, _ = io.WriteString(c, r.lines("GET /"))
		<-arrived
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-gone:
		case <-time.After(patience):
			t.Fatal("the app never heard of it")
		}
		if rest, err := io.ReadAll(c); len(rest) > 0 || err != nil {
			t.Errorf("%q %v", rest, err)
		}
		await(t, "not busy any more", func() bool { return up.busy.Load() == 0 && len(r.g.site("i1").open) == 0 })
	})
	t.Run("app, between requests", func(t *testing.T) {
		closed := make(chan struct{}) // while it closes, an app that is asked to act leaves open whether it did
		r := newRig(t, serveRaw(t, func(c net.Conn, br *bufio.Reader) {
			if _, err := http.ReadRequest(br); err != nil {
				return
			}
			_, _ = io.WriteString(c, proper)
			_ = c.(*net.UnixConn).CloseWrite()
			closed <- struct{}{}
			_, _ = br.ReadByte() // until the front door closes it
		}))
		for range 3 {
			if res := r.raw(r.lines("POST /", "Content-Length: 1") + "x"); res.body != "fine" {
				t.Fatalf("%s %q", res.Status, res.body)
			}
			<-closed
		}
	})
	t.Run("WebSocket", func(t *testing.T) {
		ended := make(chan struct{})
		r := newRig(t, serveRaw(t, func(c net.Conn, br *bufio.Reader) {
			if _, err := http.ReadRequest(br); err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
			_ = c.(*net.UnixConn).CloseWrite()
			_, _ = br.ReadByte()
			close(ended)
		}))
		c := r.dial()
		defer c.Close()
		_, _ = io.WriteString(c, strings.Replace(r.lines("GET /", "Upgrade: websocket"), "Connection: close", "Connection: Upgrade", 1))
		if _, err := io.ReadAll(c); err != nil {
			t.Error(err)
		}
		<-ended
	})
}
