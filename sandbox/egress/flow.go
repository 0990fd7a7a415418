package egress

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// flow is one connection of the app, which carries one request.
type flow struct {
	p     *Proxy
	conn  net.Conn
	r     *bufio.Reader
	w     *bufio.Writer
	began time.Time

	ctx      context.Context
	cancel   context.CancelFunc
	idle     *time.Timer
	in, out  atomic.Int64           // bytes towards the app, and from it
	stopped  atomic.Pointer[string] // why the proxy itself cut the flow off
	target   target                 // guarded by Proxy.mu once the flow is registered
	bodyDone atomic.Bool            // all of the request's body has been read
	hasBody  bool                   // there is a body, which the transport may read even after the flow has ended

	mu       sync.Mutex
	ended    bool           // no more goroutines may be started; guarded by mu
	watching sync.WaitGroup // goroutines that read from the app

	event Event
}

func (p *Proxy) newFlow(c net.Conn) *flow {
	f := &flow{p: p, conn: c, began: p.options.Now()}
	f.r = p.readers.Get().(*bufio.Reader)
	f.r.Reset(flowReader{f})
	f.w = writers.Get().(*bufio.Writer)
	f.w.Reset(flowWriter{f})
	f.event.At = f.began
	return f
}

// writers and pieces are buffers that serve one flow after the other.
var (
	writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, pieceSize) }}
	pieces  = sync.Pool{New: func() any { return new([pieceSize]byte) }}
)

const pieceSize = 32 << 10

// release gives the buffers back, unless somebody may still use them.
func (f *flow) release() {
	f.w.Reset(nil)
	writers.Put(f.w)
	if !f.hasBody {
		f.r.Reset(nil)
		f.p.readers.Put(f.r)
	}
}

// run serves the connection to its end.
func (f *flow) run() {
	f.ctx, f.cancel = context.WithCancel(f.p.ctx)
	f.idle = time.AfterFunc(f.p.limits.IdleTimeout, func() { f.stop(ReasonTimeout) })
	// Whatever ends the flow also wakes reads and writes on the connection.
	unhook := context.AfterFunc(f.ctx, func() { f.conn.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		f.cancel()
		unhook()
		f.idle.Stop()
		f.conn.Close()
		f.mu.Lock()
		f.ended = true
		f.mu.Unlock()
		f.watching.Wait()
		f.release()
	}()
	if !f.takeSlot() {
		return
	}
	defer func() { <-f.p.slots }()
	f.serve()
}

// stop cuts the flow off for a reason of the proxy's own.
func (f *flow) stop(reason string) {
	f.stopped.CompareAndSwap(nil, &reason)
	f.cancel()
}

// takeSlot waits for one of the open connections that the app may have.
func (f *flow) takeSlot() bool {
	select {
	case f.p.slots <- struct{}{}:
		return true
	default:
	}
	wait := time.NewTimer(f.p.limits.WaitTimeout)
	defer wait.Stop()
	select {
	case f.p.slots <- struct{}{}:
		return true
	case <-f.ctx.Done():
	case <-wait.C:
		f.refuse(refuse(http.StatusServiceUnavailable, ReasonBusy,
			"This app has %d connections open, which is as many as it may have. Close some, or wait for them to end.", f.p.limits.Connections))
	}
	return false
}

// serve reads the request, decides, and passes it on.
func (f *flow) serve() {
	f.conn.SetReadDeadline(time.Now().Add(f.p.limits.HeadTimeout))
	raw, err := readHead(f.r)
	switch {
	case errors.Is(err, io.EOF), err != nil && f.ctx.Err() != nil:
		return // opened and closed without a word, or the proxy closes
	case errors.Is(err, errHeadTooLong):
		f.refuse(refuse(http.StatusRequestHeaderFieldsTooLarge, ReasonBadRequest, "The head of the request is longer than %d bytes.", f.p.limits.RequestBytes))
		return
	case errors.Is(err, os.ErrDeadlineExceeded):
		f.refuse(refuse(http.StatusRequestTimeout, ReasonTimeout, "The head of the request did not arrive in time."))
		return
	case err != nil:
		f.refuse(bad("The request ends before its head does."))
		return
	}
	f.conn.SetReadDeadline(time.Time{})
	if f.ctx.Err() != nil { // the line above may have undone the deadline that wakes us
		return
	}
	h, refused := parseHead(raw)
	if h != nil {
		f.event.Method = h.method
		f.event.Path = h.target.path
	}
	if refused == nil && h.length == 0 && f.r.Buffered() > 0 {
		refused = bad("More bytes follow a request that has no body. One connection carries one request.")
	}
	tooMany := !f.p.rate.Allow()
	if tooMany {
		f.slowDown()
	}
	if refused != nil {
		f.refuse(refused)
		return
	}
	if f.admit(h, tooMany) {
		f.forward(h)
	}
}

// slowDown keeps an app that is told to send less from asking again at once: answering would cost more than asking.
func (f *flow) slowDown() {
	pause := time.NewTimer(200 * time.Millisecond)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-f.ctx.Done():
	}
}

// admit holds the request against the rules and the rate, and answers when it is refused.
func (f *flow) admit(h *head, tooMany bool) bool {
	p := f.p
	p.mu.Lock()
	f.target = h.target
	p.flows[f] = struct{}{}
	v := p.rules.Load().judge(h.target.host, h.target.port)
	p.mu.Unlock()
	f.event.Target, f.event.Permission = h.target.key(), v.permission
	refused := v.refusal
	if refused == nil && tooMany {
		refused = refuse(http.StatusTooManyRequests, ReasonRate,
			"This app sends more than %v requests a second. Send fewer, or wait between them.", p.limits.RequestsPerSecond)
	}
	if refused != nil {
		f.leave()
		f.refuse(refused)
		return false
	}
	return true
}

// leave takes the flow off the list that SetPolicy goes through.
func (f *flow) leave() {
	f.p.mu.Lock()
	defer f.p.mu.Unlock()
	delete(f.p.flows, f)
}

// forward passes an admitted request on and its answer back.
func (f *flow) forward(h *head) {
	defer f.leave()
	f.event.Allowed = true
	request, err := f.request(h)
	if err != nil {
		f.refuse(bad("The request cannot be passed on: %v.", err))
		return
	}
	if h.length == 0 {
		f.watch()
	}
	f.p.mu.Lock()
	transport := f.p.transport
	f.p.mu.Unlock()
	response, err := transport.RoundTrip(request)
	if err != nil {
		f.fail(err, h.target.host)
		return
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusSwitchingProtocols {
		f.switched(h, response)
		return
	}
	err = f.reply(h, response)
	f.finish(err)
	if err == nil && h.length != 0 && !f.bodyDone.Load() {
		f.linger() // the site answered before it had heard everything
	}
}

// request builds what goes out from the target, and nothing about where it goes from anything else.
func (f *flow) request(h *head) (*http.Request, error) {
	u, err := h.target.url()
	if err != nil {
		return nil, err
	}
	request := (&http.Request{Method: h.method, URL: u, Host: u.Host, Header: h.header, ContentLength: h.length}).WithContext(f.ctx)
	if h.header["User-Agent"] == nil {
		h.header["User-Agent"] = []string{""} // keeps the transport from naming itself
	}
	if h.webSocket {
		h.header["Connection"], h.header["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	}
	if h.length != 0 {
		f.hasBody = true
		body := newRequestBody(f.r, h.length, func() {
			f.bodyDone.Store(true)
			f.watch()
		})
		if h.wantsGo {
			if _, err := f.w.WriteString("HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
				return nil, err
			}
			if err := f.w.Flush(); err != nil {
				return nil, err
			}
		}
		request.Body = body
	}
	return request, nil
}

// watch notices that the app gives up while it waits for the answer. Nothing may come from it meanwhile: bytes after
// the request end the flow as well.
func (f *flow) watch() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended { // the transport may read a body to its end after the flow is over
		return
	}
	f.watching.Go(func() {
		if _, err := f.r.Peek(1); err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			f.cancel()
		}
	})
}

// unwatch ends watch, and says whether the app is still there.
func (f *flow) unwatch() bool {
	f.conn.SetReadDeadline(time.Unix(1, 0))
	f.watching.Wait()
	f.conn.SetReadDeadline(time.Time{})
	return f.ctx.Err() == nil
}

// switched passes a WebSocket both ways until either side ends it.
func (f *flow) switched(h *head, response *http.Response) {
	remote, ok := response.Body.(io.ReadWriteCloser)
	if !h.webSocket || !ok {
		f.fail(errors.New("the site switched protocols without being asked"), h.target.host)
		return
	}
	if !f.unwatch() {
		f.finish(context.Canceled)
		return
	}
	header := endToEnd(response.Header)
	header.Set("Connection", "Upgrade")
	header.Set("Upgrade", "websocket")
	if err := f.writeHead(response.StatusCode, header); err != nil {
		f.finish(err)
		return
	}
	closeRemote := context.AfterFunc(f.ctx, func() { remote.Close() })
	defer closeRemote()
	f.watching.Go(func() {
		defer f.cancel() // one direction is no WebSocket: its closing handshake is over, or never will be
		piece := pieces.Get().(*[pieceSize]byte)
		defer pieces.Put(piece)
		buf := piece[:]
		for {
			n, err := f.r.Read(buf)
			if n > 0 {
				if _, err := remote.Write(buf[:n]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	})
	err := f.stream(remote, func(b []byte) error { _, err := f.w.Write(b); return err })
	if f.stopped.Load() == nil {
		err = nil // every end of a WebSocket is somebody's wish
	}
	f.finish(err)
}
