package gateway

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// landing is a place that counts what arrives at it, by name.
type landing struct {
	mu  sync.Mutex
	hit map[string]int
}

func (l *landing) note(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hit == nil {
		l.hit = map[string]int{}
	}
	l.hit[name]++
}

func (l *landing) count(name string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hit[name]
}

// serveHere runs a server on loopback that ends with the test.
func serveHere(t *testing.T, h http.Handler) (port string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL[strings.LastIndexByte(s.URL, ':')+1:]
}

// listenUDP notes under a name that anything was sent to a port.
func (l *landing) listenUDP(t *testing.T, name string) (port int) {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		b := make([]byte, 1500)
		for {
			if _, _, err := c.ReadFromUDP(b); err != nil {
				return
			}
			l.note(name)
		}
	})
	t.Cleanup(func() { _ = c.Close(); done.Wait() })
	return c.LocalAddr().(*net.UDPAddr).Port
}

// listenTCP notes under a name that anybody connected to a port.
func (l *landing) listenTCP(t *testing.T, name string) (port int) {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			l.note(name)
			_ = c.Close()
		}
	})
	t.Cleanup(func() { _ = listener.Close(); done.Wait() })
	return listener.Addr().(*net.TCPAddr).Port
}

// wait polls for something that happens outside the test.
func wait(d time.Duration, ok func() bool) bool {
	for until := time.Now().Add(d); time.Now().Before(until); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return true
		}
	}
	return ok()
}
