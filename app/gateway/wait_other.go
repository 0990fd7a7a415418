//go:build !unix

package gateway

import (
	"net"
	"net/http"
)

// waiter flushes an answer before each read, since it cannot tell whether there will be a wait.
type waiter struct {
	flusher http.Flusher // nil: nothing to flush
}

func (*waiter) init(net.Conn) {}

// quiet cannot look at a socket without waiting on this system; a link that the app closed is found out by use,
// and the request is sent again where that is safe.
func (*waiter) quiet() bool { return true }

func (w *waiter) read(c net.Conn, p []byte) (int, error) {
	if w.flusher != nil {
		w.flusher.Flush()
	}
	return c.Read(p)
}

// readReady keeps a buffer while it waits.
func readReady(c net.Conn) (buffer *[tunnelBuffer]byte, n int, err error) { return readWaiting(c) }
