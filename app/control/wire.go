package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// MaxLine bounds one JSON line on the wire, in bytes: an icon of 512 KiB in base64 fits several times.
const MaxLine = 8 << 20

// Path of a method on the socket.
func Path(method string) string { return "/v1/" + method }

// frame is one line of an answer.
type frame struct {
	Event  json.RawMessage `json:"event,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *wireError      `json:"error,omitempty"`
}

// Stream writes an answer. It is the server's half of the wire format and not safe for concurrent use.
type Stream struct {
	w     io.Writer
	flush func()
}

// NewStream answers on w.
func NewStream(w http.ResponseWriter) *Stream {
	s := &Stream{w: w, flush: func() {}}
	if f, ok := w.(http.Flusher); ok {
		s.flush = f.Flush
	}
	return s
}

func (s *Stream) send(f frame) error {
	line, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	if _, err := s.w.Write(append(line, '\n')); err != nil {
		return err
	}
	s.flush()
	return nil
}

// Event sends one event.
func (s *Stream) Event(v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	return s.send(frame{Event: raw})
}

// Result ends the answer with v.
func (s *Stream) Result(v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return s.Fail(fmt.Errorf("encode result: %w", err))
	}
	return s.send(frame{Result: raw})
}

// Fail ends the answer with err.
func (s *Stream) Fail(err error) error {
	e := AsError(err)
	return s.send(frame{Error: &wireError{Error: *e, Exit: e.Exit}})
}

// Client calls an agent. Its methods may be used from several goroutines.
type Client struct {
	socket string
	http   *http.Client
}

// ErrUnreachable is wrapped by errors that mean that nobody answers on the socket.
var ErrUnreachable = errors.New("the agent cannot be reached")

// NewClient makes a client of the agent listening on the Unix socket at path. It does not connect yet.
func NewClient(path string) *Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	return &Client{socket: path, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		},
		DisableCompression: true,
		MaxIdleConns:       4,
		IdleConnTimeout:    30 * time.Second,
	}}}
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Call sends in to method and decodes the result into out (nil: ignored). Each event is given to
// onEvent as raw JSON (nil: ignored), which may return an error to end the call.
// A refusal by the agent comes back as *Error; no agent as an error wrapping ErrUnreachable.
func (c *Client) Call(ctx context.Context, method string, in, out any, onEvent func(json.RawMessage) error) error {
	if in == nil {
		in = Empty{}
	}
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode %s: %w", method, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // closes the connection, so an early return ends the call at the agent too
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://paddock"+Path(method), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 0, 64<<10), MaxLine)
	for lines.Scan() {
		var f frame
		if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
			return fmt.Errorf("%s: the agent answered with something that is not this protocol: %w", method, err)
		}
		switch {
		case f.Error != nil:
			e := f.Error.Error
			e.Exit = f.Error.Exit
			return &e
		case f.Result != nil:
			if out == nil {
				return nil
			}
			return json.Unmarshal(f.Result, out)
		case f.Event != nil && onEvent != nil:
			if err := onEvent(f.Event); err != nil {
				return err
			}
		}
	}
	if err := lines.Err(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%w: %s was cut off: %w", ErrUnreachable, method, err)
	}
	return fmt.Errorf("%w: the agent ended during %s", ErrUnreachable, method)
}

// Do is Call for methods without events.
func Do[Out any](ctx context.Context, c *Client, method string, in any) (Out, error) {
	var out Out
	err := c.Call(ctx, method, in, &out, nil)
	return out, err
}

// Events is Call for methods whose events are of type E.
func Events[E any](ctx context.Context, c *Client, method string, in, out any, on func(E) error) error {
	return c.Call(ctx, method, in, out, func(raw json.RawMessage) error {
		var e E
		if err := json.Unmarshal(raw, &e); err != nil {
			return fmt.Errorf("%s: event: %w", method, err)
		}
		return on(e)
	})
}
