package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Deadlines of an exchange with an app. Variables only so that tests need not wait.
var (
	answerTimeout   = 120 * time.Second // from the end of the request to the header of the answer
	continueTimeout = time.Second       // how long a client that expects 100-continue waits for the app's word
)

const (
	stallTimeout = 120 * time.Second // an upload that the app does not take
	maxInterim   = 8                 // 1xx answers before the answer
	// maxAttempts is enough for an app that dies while it is asked: a connection of before, a new one that it never
	// looks at, none any more, the next instance.
	maxAttempts = 4
)

// failure says how far an exchange came, which decides whether it may be tried again.
type failure struct {
	err   error
	fresh bool // on a connection made for it that the app took, so neither idle for too long nor left by a dying app
	safe  bool // nothing of the body was read and the method may be repeated
	body  bool // the client's body was not well formed
	late  bool // the app had the whole request, or would not take it, and said nothing
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// forward sends a request to the app, waking it where needed, and its answer to the browser.
func (g *Gateway) forward(w http.ResponseWriter, r *http.Request, s *site, cookies string) {
	ctx := r.Context()
	a := newAsked(r, cookies)
	if err := s.enter(ctx); err != nil {
		g.refuse(w, r, s, err)
		return
	}
	leave := s.leave
	defer func() { leave() }()
	lastKey, why := "", errStopped
	for attempt := 1; ; attempt++ {
		up, err := s.wake(ctx, g.backend)
		if err != nil {
			g.refuse(w, r, s, err)
			return
		}
		key := up.Key()
		if key == lastKey { // the same instance failed on a fresh connection already
			g.refuse(w, r, s, why)
			return
		}
		release := up.Busy()
		socket, err := s.exchange(w, r, up, key, a)
		if socket != nil { // its slot and its hold on the instance are its own now
			leave = func() {}
			g.running.enter()
			socket.run(func() {
				s.pool.drop(socket.link)
				release()
				s.leave()
				g.running.leave()
			})
			return
		}
		release()
		if err == nil {
			return
		}
		failed := new(failure)
		if !errors.As(err, &failed) { // the answer has begun; end the connection so that nobody takes it for whole
			if ctx.Err() != nil || errors.Is(err, errLeft) { // the browser left before the end of the answer, as it may
				g.log.Debug("browser left during an answer", "app", s.state.Load().app.ID, "err", err)
			} else {
				s.odd.Do(func() { g.log.Warn("answer of an app broke off", "app", s.state.Load().app.ID, "err", err) })
			}
			panic(http.ErrAbortHandler)
		}
		if ctx.Err() != nil {
			panic(http.ErrAbortHandler)
		}
		if failed.body {
			g.log.Debug("body of a request not well formed", "app", s.state.Load().app.ID)
			g.show(w, r, s, http.StatusBadRequest, page{Title: "This request was not understood", Text: "Its body ended early, or was not well formed."})
			return
		}
		s.odd.Do(func() { g.log.Warn("app gave no proper answer", "app", s.state.Load().app.ID, "err", err) })
		if a.hasBody {
			w.Header().Set("Connection", "close") // part of the body may be unread
		}
		if why = errStopped; failed.late {
			why = errSilent
		}
		if !failed.safe || attempt == maxAttempts {
			g.refuse(w, r, s, why)
			return
		}
		if failed.fresh {
			lastKey = key
		}
	}
}

var (
	errStopped = errors.New("the app stopped answering")
	errSilent  = errors.New("the app did not answer in time")
)

// exchange does one request over one connection to the instance with the given key. A *failure means that nothing was
// sent to the browser yet. A WebSocket that was accepted is the caller's to run.
func (s *site) exchange(w http.ResponseWriter, r *http.Request, up Upstream, key string, a asked) (*tunnel, error) {
	ctx := r.Context()
	l, err := s.pool.get(ctx, up, key)
	if err != nil {
		return nil, &failure{err: fmt.Errorf("connect: %w", err), fresh: true, safe: true}
	}
	kept := false
	defer func() {
		if !kept {
			s.pool.drop(l)
		}
	}()
	stop := context.AfterFunc(ctx, func() { _ = l.conn.Close() })
	defer stop()

	writeHead(l.bw, r, a)
	if err := l.bw.Flush(); err != nil {
		return nil, &failure{err: fmt.Errorf("send request: %w", err), fresh: !l.reused && !unread(err), safe: true}
	}
	var body *upload
	if a.hasBody {
		body = newUpload(w, r, l, a)
		defer body.end()
	} else {
		_ = l.conn.SetReadDeadline(time.Now().Add(answerTimeout))
	}

	resp, err := readAnswer(l, r, a, body)
	if err != nil {
		if body != nil && body.faulty() {
			return nil, &failure{err: err, body: true}
		}
		safe := repeatable(r) && body == nil && !errors.Is(err, errOdd)
		late := errors.Is(err, os.ErrDeadlineExceeded) && (body == nil || !body.cut())
		return nil, &failure{err: fmt.Errorf("read answer: %w", err), fresh: !l.reused && !unread(err), safe: safe, late: late}
	}
	if body != nil {
		body.answered()
	}
	_ = l.conn.SetReadDeadline(time.Time{}) // a stream may be silent for as long as it likes
	if resp.StatusCode == http.StatusSwitchingProtocols {
		if !stop() {
			return nil, &failure{err: fmt.Errorf("pass on a WebSocket: %w", context.Canceled)} // the browser left
		}
		socket, err := s.accept(w, r, l, resp)
		kept = socket != nil
		return socket, err
	}
	// The body is never closed: Close would read on to the end of it, which a stream does not have. What is left
	// unread goes with the connection.

	header := w.Header()
	s.state.Load().fill(header, resp.Header, r, s.origin)
	if resp.ContentLength >= 0 && resp.StatusCode != http.StatusNoContent && resp.StatusCode != http.StatusNotModified {
		header["Content-Length"] = []string{strconv.FormatInt(resp.ContentLength, 10)}
	}
	for name := range resp.Trailer {
		if trailerPasses(name) {
			header.Add("Trailer", name)
		}
	}
	if body != nil && !body.whole.Load() {
		header.Set("Connection", "close") // what is left of the body will not be read
	}
	w.WriteHeader(resp.StatusCode)
	if err := copyAnswer(w, r, l, resp); err != nil {
		return nil, fmt.Errorf("pass on the body: %w", err)
	}
	for name, values := range resp.Trailer {
		if trailerPasses(name) && validValues(values) {
			header[name] = values
		}
	}

	uploaded := body == nil || body.end()
	if stop() && uploaded && !resp.Close && resp.ProtoAtLeast(1, 1) && l.br.Buffered() == 0 {
		kept = true
		s.pool.put(l, keepFor(resp.Header))
	}
	return nil, nil
}

// unread reports whether the app closed a connection with the request, or the rest of it, still in it. A Unix socket
// tells this from an app that took the request and ended: then there is an ordinary end (af_unix.c, unix_release_sock).
func unread(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// repeatable reports whether a request may be sent a second time when a connection ended before any answer.
func repeatable(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
}

var errOdd = errors.New("the answer is not proper HTTP/1.1")

// readAnswer reads the head of the answer. Interim answers stay here: 100 lets the body go, and the headers of a
// 103 would pass by every rule.
func readAnswer(l *link, r *http.Request, a asked, body *upload) (*http.Response, error) {
	for range maxInterim {
		l.limit()
		if _, err := l.br.Peek(1); err != nil { // nothing at all: the link was closed
			return nil, err
		}
		resp, err := http.ReadResponse(l.br, r)
		l.unlimit()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errOdd, err)
		}
		switch {
		case resp.ProtoMajor != 1 || resp.StatusCode < 100 || resp.StatusCode > 599:
			return nil, fmt.Errorf("%w: it begins with %q %d", errOdd, trimTo(resp.Proto, 16), resp.StatusCode)
		case resp.StatusCode == http.StatusSwitchingProtocols:
			if !a.webSocket || !strings.EqualFold(resp.Header.Get("Upgrade"), "websocket") {
				return nil, fmt.Errorf("%w: it switches to a protocol nobody asked for", errOdd)
			}
			return resp, nil
		case resp.StatusCode == http.StatusContinue:
			if body != nil {
				body.proceed()
			}
		case resp.StatusCode >= 200:
			return resp, nil
		}
	}
	return nil, fmt.Errorf("%w: more than %d interim answers", errOdd, maxInterim)
}

func trimTo(s string, n int) string { return s[:min(len(s), n)] }

// keepFor reads "Keep-Alive: timeout=5": the app closes the connection after that, so it is not used in the last
// second of it.
func keepFor(h http.Header) time.Duration {
	for part := range strings.SplitSeq(h.Get("Keep-Alive"), ",") {
		if text, ok := strings.CutPrefix(strings.TrimSpace(part), "timeout="); ok {
			if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 && seconds < 3600 {
				return max(time.Duration(seconds-1)*time.Second, time.Millisecond)
			}
		}
	}
	return 0
}
