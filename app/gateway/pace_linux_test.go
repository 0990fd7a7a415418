package gateway

import (
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestUnpaced: connections get from their listener what keeps the kernel from spacing packets by a timer.
func TestUnpaced(t *testing.T) {
	ls, err := openListeners("", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range ls.held {
		defer l.Close()
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		raw, err := c.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var name string
		var failed error
		if err := raw.Control(func(fd uintptr) {
			name, failed = unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION)
		}); err != nil || failed != nil {
			t.Fatal(err, failed)
		}
		if name = strings.TrimRight(name, "\x00"); name != "reno" {
			t.Errorf("%s: congestion control is %q", l.Addr(), name)
		}
	}
}
