package gateway

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// Sizes of the pieces in which bodies are passed on. A socket of an app holds about 200 KB, and the kernel lets the app
// go on writing when three quarters of that are taken: a piece that takes all of it lets app and front door work at
// the same time. Answers are copied: to pass their pages on (splice, as long uploads go) took 1.5 to 2 times as long
// with every size that was tried, and the browser's end went to sleep, to be woken again, up to three times as often.
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
func copyAnswer(w http.ResponseWriter, l *link, resp *http.Response) error {
	if resp.Body == http.NoBody || resp.ContentLength == 0 {
		return nil
	}
	l.flusher, _ = w.(http.Flusher)
	defer func() { l.flusher = nil }()
	buffer := newPieceBuffer(resp.ContentLength)
	defer func() { buffer.free() }()
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
