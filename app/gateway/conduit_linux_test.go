package gateway

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// sockets returns two connected pairs: what is written to in comes out of from, what is written to to comes out of out.
func sockets(t *testing.T) (in, from, to, out *net.UnixConn) {
	t.Helper()
	pair := func() (*net.UnixConn, *net.UnixConn) {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		var ends [2]*net.UnixConn
		for i, fd := range fds {
			f := os.NewFile(uintptr(fd), "socket")
			c, err := net.FileConn(f)
			_ = f.Close()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			ends[i] = c.(*net.UnixConn)
		}
		return ends[0], ends[1]
	}
	in, from = pair()
	to, out = pair()
	return in, from, to, out
}

func TestConduit(t *testing.T) {
	in, from, to, out := sockets(t)
	buffer := make([]byte, largePiece)
	c := newConduit(buffer)
	if c == nil {
		t.Fatal("no pipe")
	}
	defer c.close()
	if !c.takes(buffer) || !c.takes(buffer[:10]) || c.takes(buffer[1:]) || c.takes(nil) || c.takes(make([]byte, 10)) || (*conduit)(nil).takes(buffer) {
		t.Error("it takes another read than one with its buffer")
	}
	want := noise(3*largePiece + 5)
	if _, err := in.Write(want[:1]); err != nil {
		t.Fatal(err)
	}
	if n, err := c.fill(from, len(buffer)); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := c.fill(from, len(buffer)); n != 0 || err != nil || !c.full() { // it neither waits for more, nor thinks that worth it
		t.Fatal(n, err)
	}
	if err := c.drain(to); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = in.Write(want[1:]); _ = in.CloseWrite() }()
	got := make(chan []byte, 1)
	go func() { all, _ := io.ReadAll(out); got <- all }()
	for left := len(want) - 1; left > 0; {
		held := c.holds()
		n, err := c.fill(from, min(left, len(buffer)))
		if err != nil || n == 0 && held == 0 || n != c.holds()-held {
			t.Fatal(n, held, c.holds(), err)
		}
		if left -= n; n > 0 && left > 0 && !c.full() {
			continue
		}
		if err := c.drain(to); err != nil || c.holds() != 0 {
			t.Fatal(c.holds(), err)
		}
	}
	if n, err := c.fill(from, len(buffer)); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
	_ = to.CloseWrite()
	if all := <-got; !bytes.Equal(all, want) {
		t.Errorf("%d bytes came through, %d went in", len(all), len(want))
	}
	for i, b := range buffer {
		if b != 0 {
			t.Fatalf("byte %d of the buffer was written to", i)
		}
	}
}

// TestConduitElsewhere: where the kernel cannot splice, it says so before anything has moved.
func TestConduitElsewhere(t *testing.T) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "not a socket")
	defer f.Close()
	c := newConduit(make([]byte, 10))
	defer c.close()
	if n, err := c.fill(f, 10); n != 0 || err != errUseless || c.takes(c.buffer) {
		t.Errorf("%d, %v", n, err)
	}
}

// pipes is how many ends of pipes this process has open.
func pipes(t *testing.T) (n int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name())); err == nil && strings.HasPrefix(to, "pipe:") {
			n++
		}
	}
	return n
}

// TestConduitUsed: a long body of a known length comes by a conduit, which is gone with it. The app that reads nothing is
// also the one that a browser leaves.
func TestConduitUsed(t *testing.T) {
	begun, read := make(chan struct{}), make(chan struct{})
	up := serveApp(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		begun <- struct{}{}
		<-read
		_, _ = io.Copy(io.Discard, req.Body)
	}))
	r := newRig(t, up)
	before := pipes(t)
	for _, leaves := range []bool{false, true} {
		for _, long := range []bool{false, true} {
			size := longBody - 1
			if long {
				size = 16 * longBody
			}
			c := r.dial()
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				_, _ = io.WriteString(c, r.lines("POST /", "Origin: http://"+r.host, fmt.Sprintf("Content-Length: %d", size)))
				_, _ = c.Write(noise(size))
			}()
			<-begun
			if long {
				await(t, "a pipe is there", func() bool { return pipes(t) == before+2 })
			} else if n := pipes(t); n != before {
				t.Errorf("a short body: %d pipe ends, %d before", n, before)
			}
			if leaves {
				_ = c.Close()
			}
			read <- struct{}{}
			if !leaves {
				if _, err := c.Read(make([]byte, 1)); err != nil {
					t.Error(err)
				}
			}
			<-sent
			_ = c.Close()
			await(t, "everything is gone", func() bool { return up.busy.Load() == 0 && pipes(t) == before })
		}
	}
}

// TestConduitOfAnswer: a long answer comes by a conduit, which is gone with it, also when the browser leaves in the middle;
// that is nobody's fault.
func TestConduitOfAnswer(t *testing.T) {
	const size = 16 << 20
	up := serveApp(t, bodyApp(nil))
	r := newRig(t, up)
	before := pipes(t)
	for _, leaves := range []bool{true, false} {
		c := r.dial()
		if _, err := io.WriteString(c, r.lines(fmt.Sprintf("GET /%d", size))); err != nil {
			t.Fatal(err)
		}
		await(t, "a pipe is there", func() bool { return pipes(t) == before+2 })
		if !leaves {
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(res.Body); err != nil || !bytes.Equal(got, noise(size)) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		}
		_ = c.Close()
		await(t, "everything is gone", func() bool { return up.busy.Load() == 0 && pipes(t) == before })
	}
	if log := r.log.String(); strings.Contains(log, "level=WARN") {
		t.Errorf("log:\n%s", log)
	}
}
