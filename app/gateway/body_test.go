package gateway

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// noise is a body of which no part repeats.
func noise(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{3}).Read(b)
	return b
}

// bodyApp answers a POST with the length and sum of its body, and a GET of /SIZE with noise of that length.
func bodyApp(asked chan<- struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodGet {
			size, _ := strconv.Atoi(req.URL.Path[1:])
			w.Header().Set("Content-Length", fmt.Sprint(size))
			_, _ = w.Write(noise(size))
			return
		}
		if asked != nil {
			asked <- struct{}{}
		}
		h := sha256.New()
		n, err := io.Copy(h, req.Body)
		_, _ = fmt.Fprintf(w, "%d %x %v", n, h.Sum(nil), err)
	})
}

func told(body []byte) string { return fmt.Sprintf("%d %x %v", len(body), sha256.Sum256(body), nil) }

// TestLongBodies: bodies of every length around the sizes of buffers arrive as they were sent, in both directions and
// over one connection, whether they come with their head or after it; a request right behind a body is none of it.
func TestLongBodies(t *testing.T) {
	asked := make(chan struct{}, 1)
	r := newRig(t, serveApp(t, bodyApp(asked)))
	c := r.dial()
	defer c.Close()
	br := bufio.NewReader(c)
	head := func(first, more string) string {
		return first + " HTTP/1.1\r\nHost: " + r.host + "\r\nCookie: " + r.cookie + "\r\nOrigin: http://" + r.host + "\r\n" + more + "\r\n"
	}
	read := func(request string) string {
		t.Helper()
		method, _, _ := strings.Cut(request, " ")
		res, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			t.Fatal(request, err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(request, err)
		}
		return string(body)
	}
	var sizes []int
	for _, border := range []int{smallPiece, longBody, longBody + bufferSize, longBody + largePiece, 4 * longBody} {
		sizes = append(sizes, border-1, border, border+1)
	}
	for i, size := range sizes {
		body := noise(size)
		first := head("POST /", "Content-Length: "+fmt.Sprint(size)+"\r\n")
		next := head("GET /"+fmt.Sprint(size), "")
		sent := make(chan error, 1)
		go func() {
			// With the head come none of the body, a little of it, more than a buffer of it.
			with := []int{0, 10, 2 * bufferSize}[i%3]
			if _, err := c.Write(append([]byte(first), body[:with]...)); err != nil {
				sent <- err
				return
			}
			<-asked
			_, err := c.Write(append(body[with:], next...))
			sent <- err
		}()
		if got := read(first); got != told(body) {
			t.Errorf("%d bytes: the app got %q, want %q", size, got, told(body))
		}
		if got := read(next); got != string(body) {
			t.Errorf("%d bytes: got %d others", size, len(got))
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
}

// TestLongUploadCutShort: a browser that leaves in the middle of a long body, an app that does, and one that answers
// without reading on. Nothing is left over, and the next upload works.
func TestLongUploadCutShort(t *testing.T) {
	const size = 8 * longBody
	var half atomic.Bool // the app ends the connection after half of it
	ended := make(chan error, 1)
	up := serveRaw(t, func(c net.Conn, br *bufio.Reader) {
		for {
			req, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			if req.URL.Path == "/no" {
				_, _ = io.WriteString(c, "HTTP/1.1 413 x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
				return
			}
			if half.Load() {
				_, _ = io.CopyN(io.Discard, req.Body, size/2)
				return
			}
			h := sha256.New()
			n, err := io.Copy(h, req.Body)
			if ended <- err; err != nil {
				return
			}
			text := fmt.Sprintf("%d %x %v", n, h.Sum(nil), err)
			_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
		}
	})
	r := newRig(t, up)
	body := noise(size)
	begin := func(path string, bytes int) net.Conn {
		c := r.dial()
		go func() { // until the front door has had enough
			_, _ = io.WriteString(c, r.lines("POST "+path, "Origin: http://"+r.host, "Content-Length: "+fmt.Sprint(size)))
			_, _ = c.Write(body[:bytes])
			if bytes < size {
				_ = c.Close()
			}
		}()
		return c
	}
	status := func(c net.Conn) int {
		t.Helper()
		defer c.Close()
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode
	}

	begin("/", size/2)
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the app took half a body for a whole one")
		}
	case <-time.After(patience):
		t.Fatal("the app never heard that the browser left")
	}
	half.Store(true)
	if got := status(begin("/", size)); got != http.StatusBadGateway {
		t.Errorf("an app that left: %d", got)
	}
	half.Store(false)
	if got := status(begin("/no", size)); got != http.StatusRequestEntityTooLarge {
		t.Errorf("an early answer: %d", got)
	}
	await(t, "not busy any more", func() bool { return up.busy.Load() == 0 })
	if n := len(largeTaken); n != 0 {
		t.Errorf("%d large pieces are still taken", n)
	}
	res := r.raw(r.lines("POST /", "Origin: http://"+r.host, "Content-Length: "+fmt.Sprint(size)) + string(body))
	if err := <-ended; err != nil || res.body != told(body) {
		t.Errorf("the next upload: %q, %v", res.body, err)
	}
}

// TestLongAnswerTooLong: what an app sends behind the length it announced goes to nobody.
func TestLongAnswerTooLong(t *testing.T) {
	body := noise(2 * longBody)
	r := newRig(t, serveRaw(t, func(c net.Conn, br *bufio.Reader) {
		if _, err := http.ReadRequest(br); err != nil {
			return
		}
		_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%sHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", len(body), body)
		_, _ = br.ReadByte()
	}))
	c := r.dial()
	defer c.Close()
	br := bufio.NewReader(c)
	for range 3 { // over one connection of the browser
		_, _ = io.WriteString(c, strings.Replace(r.lines("GET /"), "Connection: close\r\n", "", 1))
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(res.Body); err != nil || !bytes.Equal(got, body) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
}

// TestLongAnswerTooShort: a browser can tell that a long answer broke off.
func TestLongAnswerTooShort(t *testing.T) {
	r := newRig(t, serveRaw(t, func(c net.Conn, br *bufio.Reader) {
		if _, err := http.ReadRequest(br); err == nil {
			_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", 3*longBody, noise(2*longBody))
		}
	}))
	c := r.dial()
	defer c.Close()
	_, _ = io.WriteString(c, r.lines("GET /"))
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, res.Body); err == nil || n > 2*longBody {
		t.Errorf("%d bytes, %v", n, err)
	}
}
