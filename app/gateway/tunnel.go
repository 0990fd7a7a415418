package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// tunnel is an accepted WebSocket: bytes go both ways until either end closes.
type tunnel struct {
	client net.Conn
	link   *link
	open   atomic.Int32 // directions that still run
	ended  func()       // called once, after both ended
}

// accept answers a WebSocket that the app accepted and takes the browser's connection over. It returns nil when that
// connection is gone already.
func (s *site) accept(w http.ResponseWriter, r *http.Request, l *link, resp *http.Response) (*tunnel, error) {
	header := make(http.Header, 24)
	s.state.Load().fill(header, resp.Header, r, s.origin)
	delete(header, "Content-Type")
	delete(header, "Cache-Control")
	header.Set("Connection", "Upgrade")
	header.Set("Upgrade", "websocket")
	for _, name := range []string{"Sec-Websocket-Accept", "Sec-Websocket-Protocol", "Sec-Websocket-Extensions"} {
		if values := resp.Header[name]; values != nil && validValues(values) {
			header[name] = values
		}
	}
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, &failure{err: fmt.Errorf("take over the connection: %w", err)}
	}
	_ = client.SetDeadline(time.Time{})
	if err := greet(client, buffered, header, l); err != nil {
		_ = client.Close()
		return nil, nil //nolint:nilerr // there is nobody left to tell
	}
	l.br, l.bw = nil, nil // both are empty, and a thousand idle sockets should not keep them
	return &tunnel{client: client, link: l}, nil
}

// greet sends the answer, and then what each side said before it.
func greet(client net.Conn, buffered *bufio.ReadWriter, header http.Header, l *link) error {
	buffered.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	if err := header.Write(buffered); err != nil {
		return err
	}
	buffered.WriteString("\r\n")
	if err := moveBuffered(buffered.Writer, l.br); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	if err := moveBuffered(l.bw, buffered.Reader); err != nil {
		return err
	}
	return l.bw.Flush()
}

// run starts both directions and returns at once: the goroutine that served the request, with all that net/http keeps
// for it, can go. ended is called once both have come to their end.
func (t *tunnel) run(ended func()) {
	t.open.Store(2)
	t.ended = ended
	go t.relay(t.client, t.link.conn)
	go t.relay(t.link.conn, t.client)
}

// relay copies one direction until it ends, which ends the other one too.
func (t *tunnel) relay(to, from net.Conn) {
	for {
		buffer, n, err := readReady(from)
		if n > 0 {
			if _, writeErr := to.Write(buffer[:n]); err == nil {
				err = writeErr
			}
		}
		if buffer != nil {
			tunnelBuffers.Put(buffer)
		}
		if err != nil {
			break
		}
	}
	_ = t.client.Close()
	_ = t.link.conn.Close()
	if t.open.Add(-1) == 0 {
		t.ended()
	}
}

// moveBuffered writes out what a reader has already taken from its connection.
func moveBuffered(to io.Writer, from interface {
	Buffered() int
	Peek(int) ([]byte, error)
},
) error {
	waiting, err := from.Peek(from.Buffered())
	if err != nil {
		return err
	}
	_, err = to.Write(waiting)
	return err
}

// tunnelBuffer is what is passed on at once. On Unix no direction has one while it waits, so that an idle WebSocket
// is two small goroutines and two sockets.
const tunnelBuffer = 16 << 10

var tunnelBuffers = sync.Pool{New: func() any { return new([tunnelBuffer]byte) }}

// readWaiting reads with a buffer from tunnelBuffers, which the caller gives back when there is one.
func readWaiting(c net.Conn) (buffer *[tunnelBuffer]byte, n int, err error) {
	buffer = tunnelBuffers.Get().(*[tunnelBuffer]byte)
	n, err = c.Read(buffer[:])
	return buffer, n, err
}
