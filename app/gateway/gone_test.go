package gateway

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestWhoBrokeOff: an answer without an end is the app's fault, and a warning, unless the browser left first.
func TestWhoBrokeOff(t *testing.T) {
	for _, browserLeaves := range []bool{false, true} {
		end := make(chan struct{})
		r := newRig(t, serveRaw(t, func(c net.Conn, br *bufio.Reader) {
			if _, err := http.ReadRequest(br); err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
			<-end
		}))
		c := r.dial()
		if _, err := io.WriteString(c, r.lines("GET /")); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(res.Body, make([]byte, 4)); err != nil { // the answer has begun
			t.Fatal(err)
		}
		if browserLeaves {
			_ = c.Close()
			await(t, "the log says that the browser left", func() bool {
				return strings.Contains(r.log.String(), `level=DEBUG msg="browser left during an answer"`)
			})
			close(end)
		} else {
			close(end)
			await(t, "the log says that the app broke off", func() bool {
				return strings.Contains(r.log.String(), `level=WARN msg="answer of an app broke off"`)
			})
			_ = c.Close()
		}
		if log := r.log.String(); strings.Contains(log, "level=WARN") == browserLeaves {
			t.Errorf("browser leaves: %v, log:\n%s", browserLeaves, log)
		}
	}
}
