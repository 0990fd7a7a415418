package egress

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// reply passes the response on, as it comes.
func (f *flow) reply(h *head, response *http.Response) error {
	header := endToEnd(response.Header)
	header.Set("Connection", "close")
	length := response.ContentLength
	empty := h.method == http.MethodHead || response.StatusCode == http.StatusNoContent || response.StatusCode == http.StatusNotModified
	switch {
	case empty && response.Header.Get("Content-Length") != "":
		header["Content-Length"] = response.Header["Content-Length"][:1]
	case empty:
	case length >= 0:
		header.Set("Content-Length", strconv.FormatInt(length, 10))
	default:
		header.Set("Transfer-Encoding", "chunked")
	}
	if err := f.writeHead(response.StatusCode, header); err != nil || empty {
		return err
	}
	if length >= 0 {
		return f.stream(response.Body, func(b []byte) error { _, err := f.w.Write(b); return err })
	}
	err := f.stream(response.Body, func(b []byte) error {
		if _, err := fmt.Fprintf(f.w, "%x\r\n", len(b)); err != nil {
			return err
		}
		if _, err := f.w.Write(b); err != nil {
			return err
		}
		_, err := f.w.WriteString("\r\n")
		return err
	})
	if err != nil {
		return err // without the last chunk, so that the app sees that something is missing
	}
	if _, err := f.w.WriteString("0\r\n\r\n"); err != nil {
		return err
	}
	return f.w.Flush()
}

// stream copies a body to the app, each piece as soon as it is there.
func (f *flow) stream(body io.Reader, write func([]byte) error) error {
	piece := pieces.Get().(*[pieceSize]byte)
	defer pieces.Put(piece)
	buf := piece[:]
	for {
		n, err := body.Read(buf)
		if n > 0 {
			f.touch()
			if err := write(buf[:n]); err != nil {
				return err
			}
			if err := f.w.Flush(); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the response: %w", err)
		}
	}
}

// endToEnd copies the fields of a response that are meant for the app. Paddock-Refused is the proxy's own word.
func endToEnd(from http.Header) http.Header {
	header := from.Clone()
	if header == nil {
		header = http.Header{}
	}
	for _, value := range from["Connection"] {
		for name := range splitList(value) {
			header.Del(name)
		}
	}
	for name := range hopByHop {
		delete(header, name)
	}
	delete(header, refusedHeader)
	return header
}

// writeHead sends a status line and header. The version is HTTP/1.1 whatever the site speaks: Deno takes no other.
func (f *flow) writeHead(status int, header http.Header) error {
	if _, err := fmt.Fprintf(f.w, "HTTP/1.1 %03d %s\r\n", status, http.StatusText(status)); err != nil {
		return err
	}
	if err := header.Write(f.w); err != nil {
		return err
	}
	if _, err := f.w.WriteString("\r\n"); err != nil {
		return err
	}
	return f.w.Flush()
}
