package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"syscall"
)

// Sizes of the pieces in which bodies are passed on. A socket of an app holds about 200 KB, and the kernel lets the app
// go on writing when three quarters of that are taken: a piece that takes all of it lets app and front door work at
// the same time.
const (
	smallPiece = 8 << 10   // streams, which keep theirs for hours, and short bodies
	piece      = 64 << 10  //
	largePiece = 256 << 10 // for long bodies, maxLarge of them at once in all apps together
	maxLarge   = 32
	longBody   = 1 << 20 // from here on a body is long
	fullPieces = 4       // so many full pieces in a row, and a stream is a download
)

var (
	smallPieces = sync.Pool{New: func() any { return new([smallPiece]byte) }}
	pieces      = sync.Pool{New: func() any { return new([piece]byte) }}
	largePieces = sync.Pool{New: func() any { return new([largePiece]byte) }}
	largeTaken  = make(chan struct{}, maxLarge)
)

// pieceBuffer is a buffer from one of the pools; free gives it back.
type pieceBuffer struct {
	bytes []byte
	free  func()
}

// newPieceBuffer takes a buffer that fits a body of the given length, negative when that is not known.
func newPieceBuffer(length int64) pieceBuffer {
	switch {
	case length <= smallPiece:
		b := smallPieces.Get().(*[smallPiece]byte)
		return pieceBuffer{b[:], func() { smallPieces.Put(b) }}
	case length >= longBody:
		select {
		case largeTaken <- struct{}{}:
			b := largePieces.Get().(*[largePiece]byte)
			return pieceBuffer{b[:], func() { largePieces.Put(b); <-largeTaken }}
		default:
		}
	}
	b := pieces.Get().(*[piece]byte)
	return pieceBuffer{b[:], func() { pieces.Put(b) }}
}

// copyAnswer passes a body on as it comes. What was taken is flushed before a read that has to wait, so that event
// streams and slow answers arrive at once and everything else in large pieces; the last piece goes out with the end of
// the answer.
func copyAnswer(w http.ResponseWriter, r *http.Request, l *link, resp *http.Response) error {
	if resp.Body == http.NoBody || resp.ContentLength == 0 {
		return nil
	}
	l.flusher, _ = w.(http.Flusher)
	defer func() { l.flusher = nil }()
	buffer := newPieceBuffer(resp.ContentLength)
	defer func() { buffer.free() }()
	if len(buffer.bytes) == largePiece {
		if done, err := passAnswer(w, r, l, resp, buffer.bytes); done {
			return err
		}
	}
	full := 0 // pieces in a row that filled the buffer
	for {
		n, readErr := resp.Body.Read(buffer.bytes)
		if n > 0 {
			if _, err := w.Write(buffer.bytes[:n]); err != nil {
				return err
			}
		}
		if errors.Is(readErr, io.EOF) {
			return nil
		}
		if readErr != nil {
			return readErr
		}
		if n < len(buffer.bytes) {
			full = 0
		} else if full++; full == fullPieces && resp.ContentLength < 0 {
			buffer.free()
			buffer = newPieceBuffer(piece)
		}
	}
}

// passAnswer has a long answer of a known length go through a conduit. It reports false, with nothing done, where
// that is not possible.
func passAnswer(w http.ResponseWriter, r *http.Request, l *link, resp *http.Response, buffer []byte) (done bool, err error) {
	to, direct := w.(io.ReaderFrom)
	if _, ok := l.conn.(syscall.Conn); !ok || !direct || l.flusher == nil || browserOf(r) == nil {
		return false, nil
	}
	if l.pass = newConduit(buffer); l.pass == nil {
		return false, nil
	}
	defer func() {
		l.pass.close()
		l.pass = nil
	}()
	l.flusher.Flush() // the header; ReadFrom would wait for some of the body to send with it
	n, err := to.ReadFrom(&passing{Reader: resp.Body, pass: l.pass, buffer: buffer})
	if err == nil && n != resp.ContentLength {
		err = io.ErrUnexpectedEOF
	}
	return true, err
}

// passing is an answer on its way to the browser's connection, which the standard library hands it to.
type passing struct {
	io.Reader // what the standard library makes of it: the body of the answer
	pass      *conduit
	buffer    []byte
}

// errLeft is in errors that come from the browser's connection and not the app's.
var errLeft = errors.New("the browser takes no more")

// ReadFrom sends what the standard library hands over as a whole: a file, or an answer on its way through a conduit.
func (b *browserConn) ReadFrom(from io.Reader) (sent int64, err error) {
	p, ok := from.(*passing)
	if !ok {
		return b.TCPConn.ReadFrom(from)
	}
	for {
		n, readErr := p.Read(p.buffer)
		moved := p.pass.holds()
		if moved != 0 && moved != n {
			return sent, fmt.Errorf("a read of %d bytes moved %d", n, moved)
		}
		if moved > 0 {
			err = p.pass.drain(b.TCPConn)
		} else if n > 0 {
			_, err = b.TCPConn.Write(p.buffer[:n])
		}
		if err != nil {
			return sent, fmt.Errorf("%w: %w", errLeft, err)
		}
		sent += int64(n)
		if errors.Is(readErr, io.EOF) {
			return sent, nil
		}
		if readErr != nil {
			return sent, readErr
		}
	}
}
