package egress

import (
	"bufio"
	"errors"
	"io"
	"net/http/httputil"
	"sync"
)

// requestBody is the body of a request as the app sends it, without its framing. It calls ended once, when the last
// byte has been read.
type requestBody struct {
	r      *bufio.Reader
	inner  io.Reader
	left   int64 // bytes to come; chunked when the body ends with itself
	ended  func()
	finish sync.Once
}

// maxTrailer bounds the trailer section of a chunked body, which is read and dropped.
const maxTrailer = 8 << 10

var errBody = errors.New("the body of the request is not framed correctly")

func newRequestBody(r *bufio.Reader, length int64, ended func()) *requestBody {
	b := &requestBody{r: r, left: length, ended: ended}
	if length == chunked {
		b.inner = httputil.NewChunkedReader(r)
	} else {
		b.inner = io.LimitReader(r, length)
	}
	return b
}

func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.inner.Read(p)
	if b.left == chunked {
		if errors.Is(err, io.EOF) {
			if terr := b.trailer(); terr != nil {
				return n, terr
			}
			b.finish.Do(b.ended)
		}
		return n, err
	}
	b.left -= int64(n)
	if b.left == 0 {
		b.finish.Do(b.ended)
		return n, err
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// trailer reads the lines after the last chunk, up to the empty one.
func (b *requestBody) trailer() error {
	for total := 0; total <= maxTrailer; {
		line, err := b.r.ReadSlice('\n')
		if err != nil {
			return errBody
		}
		if string(line) == "\r\n" {
			return nil
		}
		total += len(line)
	}
	return errBody
}

// Close does not read the rest: a connection carries one request, and is closed after the answer.
func (b *requestBody) Close() error { return nil }
