package gateway

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// tunnel answers an accepted WebSocket and then passes bytes both ways until either end closes.
func (s *site) tunnel(w http.ResponseWriter, r *http.Request, l *link, resp *http.Response) error {
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
		return &failure{err: fmt.Errorf("take over the connection: %w", err)}
	}
	defer client.Close()
	_ = client.SetDeadline(time.Time{})
	buffered.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	if err := header.Write(buffered); err != nil {
		return nil
	}
	buffered.WriteString("\r\n")
	if err := moveBuffered(buffered.Writer, l.br); err != nil {
		return nil
	}
	if err := buffered.Flush(); err != nil {
		return nil
	}
	if err := moveBuffered(l.bw, buffered.Reader); err != nil {
		return nil
	}
	if err := l.bw.Flush(); err != nil {
		return nil
	}
	l.br, l.bw = nil, nil // both are empty, and a thousand idle sockets should not keep them
	buffered = nil
	relay(client, l.conn)
	return nil
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

// tunnelBuffer keeps an idle WebSocket small: two of these and two goroutines.
const tunnelBuffer = 4 << 10

var tunnelBuffers = sync.Pool{New: func() any { return new([tunnelBuffer]byte) }}

// relay copies both ways until one way ends, then closes both connections and waits for the other way.
func relay(a, b net.Conn) {
	var other sync.WaitGroup
	other.Go(func() { relayOne(a, b) })
	relayOne(b, a)
	other.Wait()
}

func relayOne(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buffer := tunnelBuffers.Get().(*[tunnelBuffer]byte)
	defer tunnelBuffers.Put(buffer)
	for {
		n, err := from.Read(buffer[:])
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
