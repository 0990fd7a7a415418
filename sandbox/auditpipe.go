package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Bounds on what an app reports. The pipe is emptied at most every auditPause, so that who fills it waits for the host,
// and the host wakes for many lines at once: 6 MB/s, or what Deno writes when it opens 30,000 files a second. Of that,
// so many lines are looked at as cost little, and the others only counted.
const (
	auditPause      = 40 * time.Millisecond
	auditBuffer     = 256 << 10 // what the pipe holds, where the system lets it
	auditLinesPerS  = 1000      // lines that are taken apart; one counts once more for each auditLineUnit bytes of it
	auditLinesBurst = 2000
	auditLineUnit   = 512
	auditLine       = 16 << 10 // longer ones are not looked at; Deno's longest have a path of 4 KB, escaped
	auditEndGrace   = time.Second
)

// auditPipe is the host's end of the pipe on which one instance's Deno reports. It is a pipe with a name rather than
// an inherited descriptor, so that Deno alone holds the other end: closing it is then seen, whoever does it. The name
// is gone before the app answers for the first time.
type auditPipe struct {
	path string
	read *os.File

	mu   sync.Mutex
	keep *os.File // a writing end, so that reading does not end before Deno has opened the pipe; nil afterwards
}

// settle ends the time in which the pipe can be opened. It may be called more than once.
func (p *auditPipe) settle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keep != nil {
		_ = os.Remove(p.path)
		_ = p.keep.Close()
		p.keep = nil
	}
}

// finish is settle for a process that has ended: what it left in the pipe is read, and nothing waited for.
func (p *auditPipe) finish() {
	p.settle()
	_ = p.read.SetReadDeadline(time.Now().Add(auditEndGrace))
}

func (p *auditPipe) close() {
	p.settle()
	_ = p.read.Close()
}

// auditReader turns the bytes of the pipe into uses.
type auditReader struct {
	rules *auditRules
	tell  func(Use)
	now   func() time.Time
	lines *rate.Limiter

	line    []byte // the beginning of a line whose end has not come yet
	skip    bool   // the rest of this line is too long to be looked at
	dropped int64  // since the last tell
	foreign int64  // lines that Deno did not write, likewise
}

func newAuditReader(rules *auditRules, tell func(Use)) *auditReader {
	return &auditReader{rules: rules, tell: tell, now: time.Now, lines: rate.NewLimiter(auditLinesPerS, auditLinesBurst)}
}

// drain reads until the end, without pauses once ctx has ended. It returns nil when the writing end was closed.
func (r *auditReader) drain(ctx context.Context, from io.Reader) error {
	buf := make([]byte, 16<<10)
	for taken := 0; ; {
		n, err := from.Read(buf)
		r.take(buf[:n])
		if err != nil {
			if len(r.line) > 0 || r.skip { // torn: Deno writes whole lines
				r.foreign++
			}
			r.flush()
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if taken += n; n == len(buf) && taken < auditBuffer {
			continue // there is more
		}
		taken = 0
		pause := time.NewTimer(auditPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
	}
}

// take looks at the next bytes.
func (r *auditReader) take(text []byte) {
	for len(text) > 0 {
		end := bytes.IndexByte(text, '\n')
		part := text
		if end >= 0 {
			part, text = text[:end], text[end+1:]
		} else {
			text = nil
		}
		if !r.skip && len(r.line)+len(part) > auditLine {
			r.skip, r.line = true, r.line[:0]
			r.dropped++
		}
		switch {
		case r.skip:
		case end >= 0 && len(r.line) == 0:
			r.look(part)
		default:
			r.line = append(r.line, part...)
			if end >= 0 {
				r.look(r.line)
				r.line = r.line[:0]
			}
		}
		if end >= 0 {
			r.skip = false
		}
	}
	r.flush()
}

// look takes one line apart, if there is still time for it.
func (r *auditReader) look(line []byte) {
	if r.rules.dull(line) {
		return
	}
	if !r.lines.AllowN(r.now(), 1+len(line)/auditLineUnit) {
		r.dropped++
		return
	}
	check, ok := parseAudit(line)
	if !ok {
		r.foreign++
		return
	}
	if name, allowed, ok := r.rules.use(check); ok {
		r.tell(Use{Permission: name, Allowed: allowed, Count: 1})
	}
}

// flush tells what was not looked at or not understood.
func (r *auditReader) flush() {
	if r.dropped > 0 {
		r.tell(Use{Permission: AuditDropped, Count: r.dropped})
	}
	if r.foreign > 0 {
		r.tell(Use{Permission: AuditUnreadable, Count: r.foreign})
	}
	r.dropped, r.foreign = 0, 0
}

// listen drains the instance's pipe until it ends, and takes note when that is before the process does.
func (in *Instance) listen() {
	tell := func(u Use) {
		if told := in.sup.options.OnUse; told != nil {
			told(in.spec.ID, u)
		}
	}
	err := newAuditReader(newAuditRules(in.spec, in.paths), tell).drain(in.ctx, in.audit.read)
	grace := time.NewTimer(auditEndGrace)
	defer grace.Stop()
	select {
	case <-in.ctx.Done(): // the process closed the pipe by ending
		return
	case <-grace.C:
	}
	why := "it closed the pipe on which Deno reports what it uses"
	if err != nil {
		why = fmt.Sprintf("the pipe on which Deno reports what it uses cannot be read (%v)", err)
	}
	in.output.note(why + ": from now on its activity shows its use of the network only")
	tell(Use{Permission: AuditEnded, Count: 1})
}
