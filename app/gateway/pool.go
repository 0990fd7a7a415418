package gateway

import (
	"bufio"
	"context"
	"errors"
	"math"
	"net"
	"sync"
	"syscall"
	"time"
)

// Limits of connections to one instance.
const (
	maxIdle     = 64               // kept open for reuse
	idleAge     = 60 * time.Second // kept unused; shorter when the app announces less
	dialTimeout = 5 * time.Second
	bufferSize  = 4 << 10
	// maxAnswerHeader bounds the header of an answer; the reader may take up to a buffer of body on top.
	maxAnswerHeader = 64 << 10
)

// link is one connection to an instance. Between exchanges it lies in a pool; one goroutine uses it at a time,
// besides the one that sends a request body.
type link struct {
	conn net.Conn
	key  string // Upstream.Key it was dialled under
	br   *bufio.Reader
	bw   *bufio.Writer
	room int64    // bytes that may still be read; see limit
	pass *conduit // of the answer that is being read, if it goes through one
	waiter
	reused bool
	wide   bool      // see widen
	until  time.Time // when an idle link is too old
}

// widen lets the kernel hold more of a long request body than the usual 200 KB, as far as the system allows, so that
// the app has something to read while the next piece is on its way: uploads took a fifth less time. Only who holds
// one of the few large pieces asks for it.
func (l *link) widen() {
	if c, ok := l.conn.(interface{ SetWriteBuffer(bytes int) error }); ok && !l.wide {
		l.wide = true
		_ = c.SetWriteBuffer(4 * largePiece)
	}
}

var errAnswerHeader = errors.New("the header of the answer is too large")

// Read feeds br from the connection and fails once the limit set for a header is used up.
func (l *link) Read(p []byte) (int, error) {
	if l.room <= 0 {
		return 0, errAnswerHeader
	}
	n, err := 0, errUseless
	if l.pass != nil && l.pass.takes(p) {
		n, err = l.pass.fill(l.conn.(syscall.Conn), len(p))
	}
	if err == errUseless { //nolint:errorlint // never wrapped
		n, err = l.waiter.read(l.conn, p)
	}
	l.room -= int64(n)
	return n, err
}

func (l *link) limit()   { l.room = maxAnswerHeader + bufferSize }
func (l *link) unlimit() { l.room = math.MaxInt64 }

// pool holds the links to the running instance of one app. Its zero value is not usable.
type pool struct {
	mu     sync.Mutex
	key    string  // of the instance that the idle links lead to
	idle   []*link // most recently used last
	inUse  map[*link]struct{}
	closed bool
}

func newPool() *pool { return &pool{inUse: map[*link]struct{}{}} }

var errPoolClosed = errors.New("the app was removed or the front door is closing")

// get returns a link to the instance with the given key: the idle one used last that still lives, else a new one.
func (p *pool) get(ctx context.Context, up Upstream, key string) (*link, error) {
	for {
		l, err := p.take(key)
		if err != nil {
			return nil, err
		}
		if l == nil {
			return p.dial(ctx, up, key)
		}
		if l.br.Buffered() == 0 && l.quiet() {
			l.reused = true
			return l, nil
		}
		p.drop(l) // closed, or it says something nobody asked for
	}
}

func (p *pool) take(key string) (*link, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errPoolClosed
	}
	if p.key != key { // another instance: what leads to the old one is of no use
		p.closeIdle()
		p.key = key
	}
	if len(p.idle) == 0 {
		return nil, nil
	}
	l := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	p.inUse[l] = struct{}{}
	return l, nil
}

func (p *pool) dial(ctx context.Context, up Upstream, key string) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := up.Dial(ctx)
	if err != nil {
		return nil, err
	}
	l := &link{conn: conn, key: key, bw: bufio.NewWriterSize(conn, bufferSize)}
	l.br = bufio.NewReaderSize(l, bufferSize)
	l.waiter.init(conn)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = conn.Close()
		return nil, errPoolClosed
	}
	p.inUse[l] = struct{}{}
	return l, nil
}

// put gives back a link whose exchange ended cleanly. keep is how long the app says it keeps it, 0 when it does
// not say.
func (p *pool) put(l *link, keep time.Duration) {
	age := idleAge
	if keep > 0 {
		age = min(age, keep)
	}
	l.until = time.Now().Add(age)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.inUse, l)
	if p.closed || l.key != p.key || len(p.idle) >= maxIdle {
		_ = l.conn.Close()
		return
	}
	p.idle = append(p.idle, l)
}

// drop closes a link that cannot be used again.
func (p *pool) drop(l *link) {
	_ = l.conn.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.inUse, l)
}

// expire closes idle links that are too old.
func (p *pool) expire(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.idle[:0]
	for _, l := range p.idle {
		if now.After(l.until) {
			_ = l.conn.Close()
			continue
		}
		kept = append(kept, l)
	}
	clear(p.idle[len(kept):])
	p.idle = kept
}

// cut ends every exchange and stream that is open; the pool stays usable.
func (p *pool) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closeIdle()
	for l := range p.inUse {
		_ = l.conn.Close()
	}
}

// close is cut for good.
func (p *pool) close() {
	p.cut()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.closeIdle()
	for l := range p.inUse {
		_ = l.conn.Close()
	}
}

func (p *pool) closeIdle() {
	for _, l := range p.idle {
		_ = l.conn.Close()
	}
	clear(p.idle)
	p.idle = p.idle[:0]
}
