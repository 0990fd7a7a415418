package loadtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// patience bounds one connection of a measurement, and with it everything that could hang.
const patience = 60 * time.Second

// Target is where requests go, and what they say besides the first line.
type Target struct {
	Network, Address string // as for net.Dial
	Head             string // header lines, each with its line end
}

// Get is a request for a path.
func (t Target) Get(path string) []byte {
	return []byte("GET " + path + " HTTP/1.1\r\n" + t.Head + "\r\n")
}

// Post is the head of a request with a body of so many bytes.
func (t Target) Post(path string, bytes int) []byte {
	return []byte("POST " + path + " HTTP/1.1\r\n" + t.Head + "Content-Type: application/octet-stream\r\nContent-Length: " + strconv.Itoa(bytes) + "\r\n\r\n")
}

// Upgrade is a request for a WebSocket.
func (t Target) Upgrade(path string) []byte {
	return []byte("GET " + path + " HTTP/1.1\r\n" + t.Head + "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
}

// Conn is one kept connection that always asks the same.
type Conn struct {
	conn   net.Conn
	buffer []byte
	length int // of the whole answer, learned from the first one
}

// Dial connects.
func (t Target) Dial(ctx context.Context) (*Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, t.Network, t.Address)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &Conn{conn: conn, buffer: make([]byte, 64<<10)}, nil
}

// Close ends the connection.
func (c *Conn) Close() { _ = c.conn.Close() }

var (
	good    = []byte("HTTP/1.1 200 ")
	headEnd = []byte("\r\n\r\n")
)

// Do sends a request with its body, if any, and reads the whole answer, which is a 200 as long as the first one was.
// Each Conn asks one request only, so that an answer need not be parsed to find its end.
func (c *Conn) Do(request, body []byte) error {
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	if len(body) > 0 {
		if _, err := c.conn.Write(body); err != nil {
			return err
		}
	}
	got, err := c.conn.Read(c.buffer)
	if err != nil {
		return err
	}
	if c.length == 0 {
		if got, err = c.learn(got); err != nil {
			return err
		}
	}
	if got < len(good) || !bytes.Equal(c.buffer[:len(good)], good) {
		return fmt.Errorf("the answer is %q", line(c.buffer[:got]))
	}
	for got < c.length {
		n, err := c.conn.Read(c.buffer)
		if err != nil {
			return err
		}
		got += n
	}
	if got > c.length {
		return fmt.Errorf("the answer has %d bytes, the first one had %d", got, c.length)
	}
	return nil
}

// learn reads the head of the first answer, of which got bytes are there, and works out the length of the whole.
func (c *Conn) learn(got int) (int, error) {
	for !bytes.Contains(c.buffer[:got], headEnd) {
		if got == len(c.buffer) {
			return 0, errors.New("the head of the answer has no end")
		}
		n, err := c.conn.Read(c.buffer[got:])
		if err != nil {
			return 0, err
		}
		got += n
	}
	head, _, _ := bytes.Cut(c.buffer[:got], headEnd)
	for text := range strings.SplitSeq(string(head), "\r\n") {
		name, value, _ := strings.Cut(text, ":")
		if !strings.EqualFold(name, "Content-Length") {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSpace(value))
		if err != nil {
			return 0, fmt.Errorf("length of the answer: %w", err)
		}
		c.length = len(head) + len(headEnd) + n
		return got, nil
	}
	return 0, fmt.Errorf("an answer without a length: %q", line(head))
}

func line(b []byte) string {
	first, _, _ := strings.Cut(string(b[:min(len(b), 200)]), "\r\n")
	return first
}

// Result is what one or more spans of requests gave.
type Result struct {
	Times []time.Duration // of each request, until its whole answer was there
	Took  time.Duration   // on the clock
}

// PerSecond is the rate over all spans.
func (r *Result) PerSecond() float64 {
	if r.Took <= 0 {
		return 0
	}
	return float64(len(r.Times)) / r.Took.Seconds()
}

// Quantile is the time below which a share q of all requests took, 0 of none.
func (r *Result) Quantile(q float64) time.Duration {
	if len(r.Times) == 0 {
		return 0
	}
	slices.Sort(r.Times)
	return r.Times[min(int(q*float64(len(r.Times))), len(r.Times)-1)]
}

// Add counts another span in.
func (r *Result) Add(other Result) {
	r.Times = append(r.Times, other.Times...)
	r.Took += other.Took
}

// Run asks for "/" over a number of connections, each as fast as it is answered, for about span.
func Run(ctx context.Context, t Target, connections int, span time.Duration) (Result, error) {
	return RunRequest(ctx, t, t.Get("/"), nil, connections, span)
}

// RunRequest is Run with any request and body.
func RunRequest(ctx context.Context, t Target, request, body []byte, connections int, span time.Duration) (Result, error) {
	conns := make([]*Conn, connections)
	for i := range conns {
		c, err := t.Dial(ctx)
		if err != nil {
			return Result{}, err
		}
		defer c.Close()
		if err := c.Do(request, body); err != nil { // also fills the pool of whatever is between
			return Result{}, err
		}
		conns[i] = c
	}
	var all sync.WaitGroup
	times, errs := make([][]time.Duration, connections), make([]error, connections)
	began := time.Now()
	for i, c := range conns {
		all.Go(func() {
			mine := make([]time.Duration, 0, 4096)
			for last := began; last.Sub(began) < span && ctx.Err() == nil; {
				if errs[i] = c.Do(request, body); errs[i] != nil {
					return
				}
				now := time.Now()
				mine = append(mine, now.Sub(last))
				last = now
			}
			times[i] = mine
		})
	}
	all.Wait()
	result := Result{Took: time.Since(began), Times: slices.Concat(times...)}
	return result, errors.Join(append(errs, ctx.Err())...)
}

// RunBody moves bodies of BodySize one after the other over one connection for about span: from /download, or to /upload.
func RunBody(ctx context.Context, t Target, upload bool, span time.Duration) (Result, error) {
	if upload {
		return RunRequest(ctx, t, t.Post("/upload", BodySize), make([]byte, BodySize), 1, span)
	}
	return RunRequest(ctx, t, t.Get("/download"), nil, 1, span)
}

// Megabytes is the median rate of RunBody in MB a second.
func (r *Result) Megabytes() float64 {
	median := r.Quantile(0.5)
	if median <= 0 {
		return 0
	}
	return BodySize / 1e6 / median.Seconds()
}

// OpenSockets opens a number of WebSockets, sends one message over each and reads its echo. The connections are the
// caller's, also those that were opened before an error.
func OpenSockets(ctx context.Context, t Target, count int) (open []net.Conn, err error) {
	request := t.Upgrade("/socket")
	buffer := make([]byte, 4<<10)
	for range count {
		c, err := t.Dial(ctx)
		if err != nil {
			return open, err
		}
		open = append(open, c.conn)
		if _, err := c.conn.Write(request); err != nil {
			return open, err
		}
		got := 0
		for !bytes.HasSuffix(buffer[:got], headEnd) {
			n, err := c.conn.Read(buffer[got:])
			if err != nil {
				return open, err
			}
			if got += n; got == len(buffer) {
				return open, errors.New("the head of the answer has no end")
			}
		}
		if !bytes.HasPrefix(buffer, []byte("HTTP/1.1 101 ")) {
			return open, fmt.Errorf("the answer is %q", line(buffer[:got]))
		}
		if _, err := c.conn.Write([]byte("ping")); err != nil {
			return open, err
		}
		if _, err := io.ReadFull(c.conn, buffer[:4]); err != nil || string(buffer[:4]) != "ping" {
			return open, fmt.Errorf("echo %q: %w", buffer[:4], errors.Join(err))
		}
	}
	return open, nil
}
