package cli

import (
	"bufio"
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

// benchPatience bounds one connection of a measurement, and with it everything that could hang.
const benchPatience = 30 * time.Second

// benchTarget is where requests go and what they say: the front door, or the app's own socket.
type benchTarget struct {
	network, address string
	head             string // header lines, each with its line end
}

func (t benchTarget) get(path string) []byte {
	return []byte("GET " + path + " HTTP/1.1\r\n" + t.head + "\r\n")
}

func (t benchTarget) post(path string, bytes int) []byte {
	return []byte("POST " + path + " HTTP/1.1\r\n" + t.head + "Content-Type: application/octet-stream\r\nContent-Length: " + strconv.Itoa(bytes) + "\r\n\r\n")
}

// benchConn speaks HTTP on one kept connection with as little work of its own as it can: it runs on the processors that
// it measures.
type benchConn struct {
	conn net.Conn
	br   *bufio.Reader
}

func (t benchTarget) dial(ctx context.Context) (*benchConn, error) {
	d := net.Dialer{Timeout: benchPatience}
	conn, err := d.DialContext(ctx, t.network, t.address)
	if err != nil {
		return nil, err
	}
	return newBenchConn(conn)
}

func newBenchConn(conn net.Conn) (*benchConn, error) {
	if err := conn.SetDeadline(time.Now().Add(benchPatience)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &benchConn{conn: conn, br: bufio.NewReaderSize(conn, 64<<10)}, nil
}

func (c *benchConn) close() { _ = c.conn.Close() }

// do sends a request and its body, if any, and reads the whole answer. It returns the time to the first byte.
func (c *benchConn) do(request, body []byte) (time.Duration, error) {
	began := time.Now()
	if _, err := c.conn.Write(request); err != nil {
		return 0, err
	}
	if len(body) > 0 {
		if _, err := c.conn.Write(body); err != nil {
			return 0, err
		}
	}
	if _, err := c.br.Peek(1); err != nil {
		return 0, err
	}
	first := time.Since(began)
	line, err := c.br.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
		return 0, fmt.Errorf("the answer is %q", strings.TrimSpace(string(line)))
	}
	length := -1
	for {
		if line, err = c.br.ReadSlice('\n'); err != nil {
			return 0, err
		}
		if len(line) <= 2 {
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, fmt.Errorf("the answer's length: %w", err)
			}
		}
	}
	if length < 0 {
		return 0, errors.New("the answer has no length")
	}
	_, err = c.br.Discard(length)
	return first, err
}

// load is what one span of requests gave.
type load struct {
	times []time.Duration
	took  time.Duration
}

func (l *load) perS() float64 {
	if l.took <= 0 {
		return 0
	}
	return float64(len(l.times)) / l.took.Seconds()
}

// add runs requests over connections, each as fast as it is answered, for about span.
func (l *load) add(ctx context.Context, t benchTarget, connections int, span time.Duration) error {
	conns := make([]*benchConn, connections)
	for i := range conns {
		c, err := t.dial(ctx)
		if err != nil {
			return err
		}
		defer c.close()
		if _, err := c.do(t.get("/"), nil); err != nil {
			return err
		}
		conns[i] = c
	}
	var all sync.WaitGroup
	times, errs := make([][]time.Duration, connections), make([]error, connections)
	request := t.get("/")
	began := time.Now()
	for i, c := range conns {
		all.Go(func() {
			for last := began; last.Sub(began) < span && ctx.Err() == nil; {
				if _, errs[i] = c.do(request, nil); errs[i] != nil {
					return
				}
				now := time.Now()
				times[i] = append(times[i], now.Sub(last))
				last = now
			}
		})
	}
	all.Wait()
	l.took += time.Since(began)
	l.times = slices.Concat(append(times, l.times)...)
	return errors.Join(append(errs, ctx.Err())...)
}

// quantile is the value below which a share q of all lies; 0 of none.
func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// ratio is 0 where there is nothing to compare with.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// discard reads an answer that only its status matters of.
func discard(r io.ReadCloser) error {
	_, err := io.Copy(io.Discard, io.LimitReader(r, 1<<20))
	return errors.Join(err, r.Close())
}
