package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/time/rate"
)

// Streams of a LogLine.
const (
	StreamOut  = "out"     // the app's standard output
	StreamErr  = "err"     // its standard error
	StreamHost = "paddock" // a remark of the host's
)

// LogLine is one line of an app's log. In the files it is one JSON object per line.
type LogLine struct {
	At     time.Time `json:"at"`
	Stream string    `json:"stream"`
	Text   string    `json:"text"` // printable; other characters are replaced
}

// Bounds on output. A pipe is emptied for ever, but at a pace: an app that floods it waits for the host, and costs
// neither the host's processor nor its disk more than this.
const (
	tailBytes     = 8 << 10
	lineBytes     = 8 << 10 // longer lines are cut into several
	drainPerS     = 1 << 20
	drainBurst    = 4 << 20
	keepPerS      = 256 << 10
	keepBurst     = 1 << 20
	drainBuffer   = 64 << 10
	logName       = "app.log"
	logNameBefore = "app.log.1"
)

// outputLog keeps an instance's output: the last part in memory, the rest in two files of half the budget each.
type outputLog struct {
	dir  string
	half int64 // bytes per file
	now  func() time.Time
	pace *rate.Limiter // bytes taken from the pipes
	keep *rate.Limiter // bytes written to files

	mu      sync.Mutex
	file    *os.File
	size    int64
	dropped int64 // bytes not written since the last remark
	tail    []byte
	failed  error
	closed  bool
}

// openLog opens the log in dir, which must exist, and goes on where an earlier instance stopped.
func openLog(dir string, budget int64) (*outputLog, error) {
	l := &outputLog{
		dir: dir, half: max(budget/2, 64<<10), now: time.Now,
		pace: rate.NewLimiter(drainPerS, drainBurst), keep: rate.NewLimiter(keepPerS, keepBurst),
	}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("open the app's log: %w", err)
	}
	return l, nil
}

func (l *outputLog) open() error {
	f, err := os.OpenFile(filepath.Join(l.dir, logName), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return err
	}
	l.file, l.size = f, info.Size()
	return nil
}

// drain copies one stream line by line until its end. Cancelling ctx lifts the pace, so that what an ended app left in
// the pipe is read at once.
func (l *outputLog) drain(ctx context.Context, stream string, from io.Reader) {
	buf := make([]byte, drainBuffer)
	var line []byte
	for {
		n, err := from.Read(buf)
		if n > 0 {
			l.remember(buf[:n])
			line = l.split(stream, append(line, buf[:n]...))
			_ = l.pace.WaitN(ctx, n)
		}
		if err != nil {
			break
		}
	}
	if len(line) > 0 {
		l.write(stream, line)
	}
}

// split writes the whole lines of text and returns the rest, which is shorter than lineBytes.
func (l *outputLog) split(stream string, text []byte) []byte {
	for {
		end := bytes.IndexByte(text, '\n')
		switch {
		case end >= 0 && end <= lineBytes:
			l.write(stream, bytes.TrimSuffix(text[:end], []byte{'\r'}))
			text = text[end+1:]
		case len(text) > lineBytes:
			l.write(stream, text[:lineBytes])
			text = text[lineBytes:]
		default:
			return append([]byte(nil), text...)
		}
	}
}

func (l *outputLog) remember(text []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail = append(l.tail, text...)
	if len(l.tail) > 2*tailBytes {
		l.tail = append([]byte(nil), l.tail[len(l.tail)-tailBytes:]...)
	}
}

// note adds a remark of the host's.
func (l *outputLog) note(text string) {
	l.remember([]byte("paddock: " + text + "\n"))
	l.write(StreamHost, []byte(text))
}

func (l *outputLog) write(stream string, text []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if !l.keep.AllowN(now, len(text)+64) {
		l.dropped += int64(len(text)) + 1
		return
	}
	if l.dropped > 0 {
		l.append(now, StreamHost, fmt.Sprintf("%d bytes of output were not kept: the app wrote too fast", l.dropped))
		l.dropped = 0
	}
	l.append(now, stream, printable(string(text)))
}

func (l *outputLog) append(now time.Time, stream, text string) {
	if l.closed || l.failed != nil {
		return
	}
	encoded, err := json.Marshal(LogLine{At: now.UTC(), Stream: stream, Text: text})
	if err != nil {
		return // cannot happen: the text is valid UTF-8
	}
	encoded = append(encoded, '\n')
	if l.size > 0 && l.size+int64(len(encoded)) > l.half {
		_ = l.file.Close()
		err := os.Rename(filepath.Join(l.dir, logName), filepath.Join(l.dir, logNameBefore))
		if err == nil {
			err = l.open()
		}
		if err != nil {
			l.failed = err // output goes on being drained and remembered
			return
		}
	}
	n, err := l.file.Write(encoded)
	l.size += int64(n)
	if err != nil {
		l.failed = err
	}
}

// text is the end of the output, printable.
func (l *outputLog) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	tail := l.tail
	if len(tail) > tailBytes {
		tail = tail[len(tail)-tailBytes:]
		if cut := bytes.IndexByte(tail, '\n'); cut >= 0 && cut < len(tail)-1 {
			tail = tail[cut+1:]
		}
	}
	return printable(string(tail))
}

func (l *outputLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if l.dropped > 0 {
		l.append(l.now(), StreamHost, fmt.Sprintf("%d bytes of output were not kept: the app wrote too fast", l.dropped))
	}
	l.closed = true
	if l.failed == nil {
		_ = l.file.Close()
	}
}

// printable replaces what could steer a terminal; line ends and tabs stay.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))
}
