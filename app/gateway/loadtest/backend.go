package loadtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
)

// BodySize is how many bytes the server answers with at /download.
const BodySize = 10 << 20

const small = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"

// serveBackend is the server behind the socket, until the listener closes and its connections end. It knows just
// enough HTTP for the requests of this package: their heads come whole and below 4 KB, and nothing is pipelined.
func serveBackend(l net.Listener) {
	large := append([]byte(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", BodySize)), make([]byte, BodySize)...)
	var all sync.WaitGroup
	defer all.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		all.Go(func() {
			defer c.Close()
			_ = answerAll(c, large)
		})
	}
}

func answerAll(c net.Conn, large []byte) error {
	buffer := make([]byte, 4<<10) // small: a thousand WebSockets may be open
	ok := []byte(small)
	for {
		got := 0
		end := -1
		for end < 0 {
			if got == len(buffer) {
				return errors.New("the head of a request has no end")
			}
			n, err := c.Read(buffer[got:])
			if err != nil {
				return err
			}
			got += n
			end = bytes.Index(buffer[:got], headEnd)
		}
		if bytes.HasPrefix(buffer, []byte("GET / ")) {
			if _, err := c.Write(ok); err != nil {
				return err
			}
			continue
		}
		if err := answerOther(c, string(buffer[:end]), got-end-len(headEnd), buffer, large); err != nil {
			return err
		}
	}
}

// answerOther answers everything but the small answer. early is how many bytes of the body came with the head.
func answerOther(c net.Conn, head string, early int, buffer, large []byte) error {
	path, _, _ := strings.Cut(head[strings.IndexByte(head, ' ')+1:], " ")
	switch path {
	case "/download":
		_, err := c.Write(large)
		return err
	case "/upload":
		length := 0
		for text := range strings.SplitSeq(head, "\r\n") {
			if name, value, _ := strings.Cut(text, ":"); strings.EqualFold(name, "Content-Length") {
				length, _ = strconv.Atoi(strings.TrimSpace(value))
			}
		}
		part := make([]byte, 256<<10)
		for left := length - early; left > 0; {
			n, err := c.Read(part[:min(left, len(part))])
			if err != nil {
				return err
			}
			left -= n
		}
		_, err := io.WriteString(c, small)
		return err
	case "/socket":
		_, err := io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
		if err != nil {
			return err
		}
		for { // no frames: whatever comes goes back
			n, err := c.Read(buffer)
			if err != nil {
				return err
			}
			if _, err := c.Write(buffer[:n]); err != nil {
				return err
			}
		}
	}
	_, err := io.WriteString(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
	return err
}
