package egress

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// refusedHeader tells the proxy's own answers from those of sites. It carries the reason.
const refusedHeader = "Paddock-Refused"

// refuse answers the app itself and ends the flow.
func (f *flow) refuse(r *refusal) {
	f.event.Reason = r.reason
	header := http.Header{}
	header.Set("Connection", "close")
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(len(r.text)+1))
	header.Set("Cache-Control", "no-store")
	header.Set(refusedHeader, r.reason)
	if r.allow != "" {
		header.Set("Allow", r.allow)
	}
	err := f.writeHead(r.status, header)
	if err == nil && f.event.Method != http.MethodHead {
		if _, err = f.w.WriteString(r.text + "\n"); err == nil {
			err = f.w.Flush()
		}
	}
	f.report()
	if err == nil {
		f.linger()
	}
}

// linger ends the answer and reads on for a moment: closing a connection with unread bytes would take the answer away
// from an app that is still sending its body.
func (f *flow) linger() {
	if half, ok := f.conn.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		return
	}
	f.conn.SetReadDeadline(time.Now().Add(lingerTime))
	const most = 256 << 10
	buf := make([]byte, 4<<10)
	for total := 0; total < most; {
		n, err := f.conn.Read(buf)
		if err != nil {
			return
		}
		total += n
	}
}

const lingerTime = 500 * time.Millisecond

// fail answers for an error of the way out, before any of the response was sent.
func (f *flow) fail(err error, host string) {
	if stopped := f.stopped.Load(); stopped != nil || f.ctx.Err() != nil {
		f.finish(context.Canceled)
		return
	}
	r := explain(err, host)
	if r == nil {
		f.finish(err)
		return
	}
	f.event.Allowed = !r.byRule() // a rule may refuse only when the name is resolved: nothing went out
	f.refuse(r)
}

// finish reports a request that was passed on. An app that gives up has not failed.
func (f *flow) finish(err error) {
	if stopped := f.stopped.Load(); stopped != nil {
		f.event.Reason = *stopped
	} else if err != nil && f.ctx.Err() == nil && !errors.Is(err, context.Canceled) {
		f.event.Reason = ReasonConnect
	}
	f.report()
}

// report counts the flow and tells of it. Refusals are told no faster than requests may be sent.
func (f *flow) report() {
	f.event.BytesIn, f.event.BytesOut = f.in.Load(), f.out.Load()
	f.p.stats.add(f.event)
	if f.p.options.OnEvent != nil && (f.event.Allowed || f.p.refusals.Allow()) {
		f.p.options.OnEvent(f.event)
	}
}

// touch says that something moves.
func (f *flow) touch() {
	if f.ctx.Err() == nil {
		f.idle.Reset(f.p.limits.IdleTimeout)
	}
}

// flowReader and flowWriter are the app's connection, counted.
type (
	flowReader struct{ f *flow }
	flowWriter struct{ f *flow }
)

func (r flowReader) Read(b []byte) (int, error) {
	n, err := r.f.conn.Read(b)
	r.f.out.Add(int64(n))
	if n > 0 {
		r.f.touch()
	}
	return n, err
}

func (w flowWriter) Write(b []byte) (int, error) {
	n, err := w.f.conn.Write(b)
	w.f.in.Add(int64(n))
	if n > 0 {
		w.f.touch()
	}
	return n, err
}

// splitList goes through a comma-separated list of names.
func splitList(value string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for name := range strings.SplitSeq(value, ",") {
			if !yield(http.CanonicalHeaderKey(strings.TrimSpace(name))) {
				return
			}
		}
	}
}
