package sandbox

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Bounds on the host channel: the lines come from the app.
const (
	maxMessageBytes = 4 << 10
	maxPending      = 8  // questions being answered at once
	messagesPerS    = 50 // sustained; as many may come at once
)

// openChannel holds one request open through which the app asks and the host answers. The entry module waits for it
// before it loads the app. That it breaks later is the app's loss only.
func (in *Instance) openChannel() {
	if in.sup.options.OnMessage == nil {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.ctx.Err() != nil {
		return // it has ended and nobody would wait for the goroutine any more
	}
	in.helper.Go(func() {
		conn, err := retry(in.ctx, func() (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(in.ctx, "unix", in.paths.Socket)
		})
		if err != nil {
			return // the process has ended
		}
		if err := in.holdChannel(conn); err != nil && in.ctx.Err() == nil {
			in.sup.log.Debug("host channel ended", "app", in.spec.ID, "error", err)
		}
	})
}

func (in *Instance) holdChannel(conn net.Conn) error {
	defer func() { _ = conn.Close() }()
	stop := make(chan struct{})
	defer close(stop)
	in.helper.Go(func() {
		select {
		case <-in.ctx.Done():
			_ = conn.Close()
		case <-stop:
		}
	})
	// Written by hand because both directions stay open: HTTP/1.1 allows it, net/http's client does not promise it.
	_, err := io.WriteString(conn, "POST /.paddock/host HTTP/1.1\r\nHost: paddock.invalid\r\n"+
		"Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")
	if err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	reply := &replies{conn: conn, to: httputil.NewChunkedWriter(conn)}
	return in.readMessages(response.Body, reply)
}

// replies writes answers, one at a time.
type replies struct {
	mu   sync.Mutex
	conn net.Conn
	to   io.Writer
}

func (r *replies) send(m Message) error {
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.conn.SetWriteDeadline(time.Now().Add(10 * time.Second)) // an app that does not read its answers
	_, err = r.to.Write(append(line, '\n'))
	return err
}

// readMessages answers questions until the stream ends, a few at a time.
func (in *Instance) readMessages(from io.Reader, to *replies) error {
	scanner := bufio.NewScanner(from)
	scanner.Buffer(make([]byte, 0, 1024), maxMessageBytes)
	limit := rate.NewLimiter(messagesPerS, messagesPerS)
	pending := make(chan struct{}, maxPending)
	for scanner.Scan() {
		if err := limit.Wait(in.ctx); err != nil {
			return err
		}
		var m Message
		if json.Unmarshal(scanner.Bytes(), &m) != nil || m.ID <= 0 {
			continue
		}
		answer := Message{ID: m.ID, Kind: m.Kind}
		if m.Kind != "permissions.query" && m.Kind != "permissions.request" {
			answer.Error = "unknown question"
			if err := to.send(answer); err != nil {
				return err
			}
			continue
		}
		select {
		case pending <- struct{}{}:
		default:
			answer.Error = "too many questions at once: wait for the answers first"
			if err := to.send(answer); err != nil {
				return err
			}
			continue
		}
		go func() { // not waited for: a person may take hours to answer, and the app may be gone by then
			defer func() { <-pending }()
			answer := in.sup.options.answer(in.ctx, in.spec.ID, m)
			answer.ID, answer.Kind = m.ID, m.Kind
			_ = to.send(answer)
		}()
	}
	return scanner.Err()
}
