package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

var (
	errEnded      = errors.New("the process ended")
	errNoAnswer   = errors.New("no answer on its socket")
	errNotHealthy = errors.New("its health check failed")
)

// listeningWord is the first thing that the entry module writes to standard output, once its socket listens and before
// any code of the app runs. It is no proof of anything and needs to be none: without it the host asks all the same.
const listeningWord = "\x00listening\n"

// readyWord begins the line that the entry module writes when the app has a server; the kind of server and the end of the
// line follow. The app runs by then and can write the same, or keep it from being written. The first only harms it, as
// its requests wait in the entry module all the same; for the second there is readyAsk.
const readyWord = "\x00ready "

// readyAsk is how long the word is waited for before the entry module is asked, which costs a request of its own.
const readyAsk = 50 * time.Millisecond

// maxKind bounds what follows readyWord.
const maxKind = 16

// wordReader passes output on without the first readyWord in it, and tells the kind that came with it. A word that a
// read cuts in two is not found.
type wordReader struct {
	from io.Reader
	tell func(kind string) // nil once it was called
}

func (w *wordReader) Read(p []byte) (int, error) {
	for {
		n, err := w.from.Read(p)
		if w.tell != nil {
			n = w.find(p[:n])
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// find takes the word out of text and returns the length of what is left.
func (w *wordReader) find(text []byte) int {
	before, after, found := bytes.Cut(text, []byte(readyWord))
	end := bytes.IndexByte(after, '\n')
	if !found || end < 0 || end > maxKind {
		return len(text)
	}
	w.tell(string(after[:end]))
	w.tell = nil
	return len(before) + copy(text[len(before):], after[end+1:])
}

// Phases are moments of a start, counted from when the process was forked.
type Phases struct {
	Prepare   time.Duration // what came before the fork: checks, folders, sockets, log
	Fork      time.Duration // until the launcher had its plan
	Walls     time.Duration // until it had put up the walls and become Deno
	Listening time.Duration // until the entry module listened
	Ready     time.Duration // until the app had a server and was healthy
}

// afterWord takes listeningWord off the front of the output and tells those who wait for it. Whatever else comes
// first, the end included, lets them go on too.
func (in *Instance) afterWord(from io.Reader) io.Reader {
	heard := make([]byte, len(listeningWord))
	n, err := io.ReadFull(from, heard)
	in.phases.Listening = time.Since(in.startedAt)
	close(in.listening)
	from = &wordReader{from, func(kind string) { in.told <- kind }}
	if err == nil && string(heard) == listeningWord {
		return from
	}
	return io.MultiReader(bytes.NewReader(heard[:n]), from)
}

// untilListening waits until there is something to connect to.
func (in *Instance) untilListening(ctx context.Context) error {
	select {
	case <-in.listening:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// awaitReady returns when the entry module says that the app has a server, and the health check passes where there is
// one. What does not say so soon is asked: one request then waits inside it.
func (in *Instance) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(in.ctx, cancel)
	defer stop()
	err := in.askReady(ctx)
	if in.ctx.Err() != nil {
		return errEnded
	}
	return err
}

func (in *Instance) askReady(ctx context.Context) error {
	if err := in.untilListening(ctx); err != nil {
		return errNoAnswer
	}
	kind, err := in.kindOfServer(ctx)
	if err != nil {
		return errNoAnswer
	}
	if strings.TrimSpace(kind) == APINode && in.paths.NodeSocket != "" {
		in.socket = in.paths.NodeSocket
	}
	if in.spec.Health == "" {
		return nil
	}
	_, err = retry(ctx, func() (string, error) {
		status, _, err := in.get(ctx, in.socket, in.spec.Health)
		if err == nil && status >= http.StatusInternalServerError {
			err = fmt.Errorf("status %d", status)
		}
		return "", err
	})
	if err != nil {
		return errNotHealthy
	}
	return nil
}

// kindOfServer waits until the app has a server.
func (in *Instance) kindOfServer(ctx context.Context) (string, error) {
	soon := time.NewTimer(readyAsk)
	defer soon.Stop()
	select {
	case kind := <-in.told:
		return kind, nil
	case <-ctx.Done():
		return "", ctx.Err()
	case <-soon.C:
	}
	return retry(ctx, func() (string, error) {
		status, text, err := in.get(ctx, in.paths.Socket, "/.paddock/ready")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("status %d", status)
		}
		return text, err
	})
}

// retry calls fn until it succeeds or ctx ends, first every millisecond, later every 20.
func retry[T any](ctx context.Context, fn func() (T, error)) (T, error) {
	for pause := time.Millisecond; ; pause = min(pause+pause/8, 20*time.Millisecond) {
		result, err := fn()
		if err == nil {
			return result, nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return result, ctx.Err()
		case <-timer.C:
		}
	}
}

// get asks the app for one path over its socket.
func (in *Instance) get(ctx context.Context, socket, path string) (status int, text string, err error) {
	return in.do(ctx, socket, http.MethodGet, path, nil)
}

// do makes one request on a connection of its own and returns at most 4 KiB of the answer.
func (in *Instance) do(ctx context.Context, socket, method, path string, body []byte) (status int, text string, err error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://paddock.invalid"+path, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	request.Close = true
	conn, err := dialUnix(ctx, socket)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := request.Write(conn); err != nil {
		return 0, "", err
	}
	response, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn, 64<<10)), request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	return response.StatusCode, string(answer), err
}

func dialUnix(ctx context.Context, socket string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", socket)
}
