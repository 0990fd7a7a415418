package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// upload sends a request body to the app while the answer is awaited. It reads only as fast as the app takes it.
type upload struct {
	link    *link
	from    *browserConn // nil where it is none of ours
	control *http.ResponseController
	start   chan struct{} // closed when the body may go
	once    sync.Once
	done    chan struct{}
	whole   atomic.Bool // all of the body was read from the client
	over    atomic.Bool // the exchange has come to its end

	mu      sync.Mutex
	replied bool // the answer has come: no deadline for it any more
	broken  bool // the client's body was at fault
	err     error
}

// bodyError is what was wrong with the client's body, other than that the client left.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "body of the request: " + e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

func newUpload(w http.ResponseWriter, r *http.Request, l *link, a asked) *upload {
	u := &upload{link: l, from: browserOf(r), control: http.NewResponseController(w), start: make(chan struct{}), done: make(chan struct{})}
	// The documented way to read on after the first byte of the answer. Today "Connection: close", which an answer
	// to an unfinished body carries, has the same effect in net/http; that is not promised.
	_ = u.control.EnableFullDuplex()
	if !a.expects {
		u.proceed()
	}
	go u.run(r)
	return u
}

func (u *upload) proceed() { u.once.Do(func() { close(u.start) }) }

func (u *upload) run(r *http.Request) {
	defer close(u.done)
	timer := time.NewTimer(continueTimeout)
	select {
	case <-u.start:
	case <-timer.C:
	}
	timer.Stop()
	u.mu.Lock()
	skip := u.replied // a final answer instead of 100: the client need not send the body
	u.mu.Unlock()
	if skip {
		u.fail(errors.New("answered without the body"))
		return
	}
	if err := u.send(r); err != nil {
		u.fail(err)
		return
	}
	_ = u.link.conn.SetWriteDeadline(time.Time{})
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.replied {
		_ = u.link.conn.SetReadDeadline(time.Now().Add(answerTimeout))
	}
}

// fail ends the exchange where the answer has not come: there is no way to take back a begun request.
func (u *upload) fail(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.err = err
	u.broken = errors.As(err, new(*bodyError))
	switch {
	case u.replied:
	case u.broken:
		_ = u.link.conn.SetReadDeadline(time.Now())
	default:
		_ = u.link.conn.SetReadDeadline(time.Now().Add(2 * time.Second)) // an early answer may be on its way
	}
}

// faulty reports whether it was the client's body that ended the exchange.
func (u *upload) faulty() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.broken
}

// cut reports whether the app broke the body off. One that it did not take in time is not cut.
func (u *upload) cut() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err != nil && !errors.Is(u.err, os.ErrDeadlineExceeded)
}

func (u *upload) send(r *http.Request) error {
	buffer := newPieceBuffer(max(r.ContentLength, piece))
	defer buffer.free()
	if r.ContentLength > 0 {
		return u.sendLength(r, buffer.bytes)
	}
	return u.sendChunks(r, buffer.bytes)
}

// sendLength sends a body of a known length.
func (u *upload) sendLength(r *http.Request, buffer []byte) error {
	out := stallWriter{u.link}
	var pass *conduit
	if len(buffer) == largePiece {
		u.link.widen()
		var done func()
		pass, done = u.passBy(buffer)
		defer done()
	}
	for left := r.ContentLength; left > 0; {
		held := pass.holds()
		n, err := r.Body.Read(buffer)
		if left -= int64(n); left == 0 {
			u.whole.Store(true) // before the app can know, and answer
		}
		if moved := pass.holds() - held; moved != 0 && moved != n {
			return fmt.Errorf("a read of %d bytes moved %d", n, moved)
		} else if moved == n && n > 0 && err == nil && left >= piece && !pass.full() {
			continue // a Read of less than a buffer's length could wait, and must not while there is something to pass on
		} else if err := out.forward(pass, buffer[:n-moved]); err != nil {
			return err
		}
		if err != nil && left > 0 {
			return &bodyError{err}
		}
		if n == 0 && u.over.Load() {
			return errOver
		}
	}
	return nil
}

var errOver = errors.New("nobody waits for the rest of the body")

// passBy has what is read of the body with this buffer go through a conduit, where both connections allow it, until
// done is called. The conduit is nil where not.
func (u *upload) passBy(buffer []byte) (pass *conduit, done func()) {
	if _, ok := u.link.conn.(syscall.Conn); !ok || u.from == nil {
		return nil, func() {}
	}
	if pass = newConduit(buffer); pass == nil {
		return nil, func() {}
	}
	u.from.pass.Store(pass)
	return pass, func() {
		u.from.pass.Store(nil)
		pass.close()
	}
}

// sendChunks sends a body whose length nobody knows yet.
func (u *upload) sendChunks(r *http.Request, buffer []byte) error {
	out := stallWriter{u.link}
	chunks := httputil.NewChunkedWriter(u.link.bw)
	for {
		n, err := r.Body.Read(buffer)
		if n > 0 {
			out.extend()
			if _, err := chunks.Write(buffer[:n]); err != nil {
				return err
			}
			if err := u.link.bw.Flush(); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return &bodyError{err}
		}
	}
	u.whole.Store(true)
	out.extend()
	if err := chunks.Close(); err != nil {
		return err
	}
	for name, values := range r.Trailer {
		for _, value := range values {
			if trailerPasses(name) {
				writeLine(u.link.bw, name, value)
			}
		}
	}
	u.link.bw.WriteString("\r\n")
	return u.link.bw.Flush()
}

// answered notes that the header of the answer is there.
func (u *upload) answered() {
	u.mu.Lock()
	u.replied = true
	u.mu.Unlock()
	u.proceed()
}

// end stops an upload that still runs and waits for it. It reports whether all of the body was sent.
func (u *upload) end() bool {
	select {
	case <-u.done:
		return u.err == nil
	default:
	}
	u.answered()
	u.over.Store(true)
	_ = u.link.conn.SetWriteDeadline(time.Now())
	if !u.whole.Load() {
		if u.from != nil {
			u.from.woken.Store(true)
			defer u.from.woken.Store(false)
		}
		_ = u.control.SetReadDeadline(time.Now()) // wakes a read of the client's body
	}
	<-u.done
	_ = u.link.conn.SetWriteDeadline(time.Time{})
	return u.err == nil // nil where only the last word of it was missing
}

// stallWriter writes to the app with a deadline for each piece.
type stallWriter struct{ *link }

func (w stallWriter) extend() { _ = w.conn.SetWriteDeadline(time.Now().Add(stallTimeout)) }

// forward sends what is in the conduit, and then what was read with a buffer.
func (w stallWriter) forward(pass *conduit, got []byte) error {
	if pass.holds() > 0 {
		w.extend()
		if err := pass.drain(w.conn.(syscall.Conn)); err != nil {
			return err
		}
	}
	if len(got) == 0 {
		return nil
	}
	w.extend()
	_, err := w.conn.Write(got)
	return err
}
