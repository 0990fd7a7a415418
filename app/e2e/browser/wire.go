package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// wire is a connection on which both protocols speak: requests with an id, answers with the same id, events without.
type wire struct {
	conn   net.Conn
	onto   func(event)   // called in order, from one goroutine; must not call back and wait
	closed chan struct{} // when nothing is read any more

	writing sync.Mutex
	mu      sync.Mutex
	last    int64
	waiting map[int64]pending
}

// event is something that the browser says unasked.
type event struct {
	method  string
	session string // DevTools only
	params  json.RawMessage
}

// message is every message that a browser sends, in either protocol.
type message struct {
	ID        int64           `json:"id"`
	Method    string          `json:"method"`
	SessionID string          `json:"sessionId"`
	Params    json.RawMessage `json:"params"`
	Result    json.RawMessage `json:"result"`
	Error     json.RawMessage `json:"error"`   // DevTools: an object; BiDi: a code
	Message   string          `json:"message"` // BiDi, with Error
}

func dial(ctx context.Context, url string, onto func(event)) (*wire, error) {
	conn, early, _, err := ws.Dial(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", url, err)
	}
	w := &wire{conn: conn, onto: onto, closed: make(chan struct{}), waiting: map[int64]pending{}}
	var from io.Reader = conn
	if early != nil {
		from = early
	}
	go w.read(bufio.NewReaderSize(from, 64<<10))
	return w, nil
}

func (w *wire) read(from io.Reader) {
	defer close(w.closed)
	for {
		text, err := wsutil.ReadServerText(struct {
			io.Reader
			io.Writer
		}{from, w})
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(text, &m) != nil {
			continue
		}
		if m.Method != "" && m.ID == 0 {
			w.onto(event{m.Method, m.SessionID, m.Params})
			continue
		}
		w.mu.Lock()
		answer := w.waiting[m.ID].answer
		delete(w.waiting, m.ID)
		w.mu.Unlock()
		if answer != nil {
			answer <- m
		}
	}
}

// Write keeps frames whole: the reader answers pings on the same connection.
func (w *wire) Write(frame []byte) (int, error) {
	w.writing.Lock()
	defer w.writing.Unlock()
	return w.conn.Write(frame)
}

// send asks without waiting; the answer arrives on the channel, which holds one.
func (w *wire) send(session, method string, params any) (int64, chan message, error) {
	if params == nil {
		params = struct{}{}
	}
	answer := make(chan message, 1)
	w.mu.Lock()
	w.last++
	id := w.last
	w.waiting[id] = pending{session, answer}
	w.mu.Unlock()
	text, err := json.Marshal(struct {
		ID        int64  `json:"id"`
		SessionID string `json:"sessionId,omitempty"`
		Method    string `json:"method"`
		Params    any    `json:"params"`
	}{id, session, method, params})
	if err == nil {
		var frame []byte
		if frame, err = ws.CompileFrame(ws.MaskFrameInPlace(ws.NewTextFrame(text))); err == nil {
			_, err = w.Write(frame)
		}
	}
	if err != nil {
		w.forget(id)
		return 0, nil, fmt.Errorf("%s: %w", method, err)
	}
	return id, answer, nil
}

// pending is a question without an answer yet.
type pending struct {
	session string
	answer  chan message
}

// drop fails what was asked in a session that has ended: the browser answers none of it.
func (w *wire) drop(session string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, p := range w.waiting {
		if p.session == session {
			delete(w.waiting, id)
			p.answer <- message{Error: json.RawMessage(`"the session has ended"`)}
		}
	}
}

func (w *wire) forget(id int64) {
	w.mu.Lock()
	delete(w.waiting, id)
	w.mu.Unlock()
}

var errClosed = errors.New("the browser ended")

// call asks, waits and decodes the result into one, which may be nil.
func (w *wire) call(ctx context.Context, session, method string, params, into any) error {
	id, answer, err := w.send(session, method, params)
	if err != nil {
		return err
	}
	var m message
	select {
	case m = <-answer:
	case <-w.closed:
		return fmt.Errorf("%s: %w", method, errClosed)
	case <-ctx.Done():
		w.forget(id)
		return fmt.Errorf("%s: no answer: %w", method, context.Cause(ctx))
	}
	if m.Error != nil {
		return fmt.Errorf("%s: %s %s", method, m.Error, m.Message)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(m.Result, into); err != nil {
		return fmt.Errorf("%s: result: %w", method, err)
	}
	return nil
}

func (w *wire) close() {
	_ = w.conn.Close()
	<-w.closed
}
