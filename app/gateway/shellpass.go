package gateway

import (
	"sync"
	"time"
)

// framePasses carry a session from the shell page to its frame: the two have different origins, and cookies for one each.
type framePasses struct {
	mu   sync.Mutex
	held map[[32]byte]pass
}

type pass struct {
	session string
	expiry  time.Time
}

// issue makes a pass for a session, good once and as long as a link.
func (p *framePasses) issue(session string, now time.Time) string {
	secret, hash := newSecret()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held == nil {
		p.held = map[[32]byte]pass{}
	}
	if len(p.held) >= maxTokens {
		var oldest [32]byte
		var at time.Time
		for h, one := range p.held {
			if at.IsZero() || one.expiry.Before(at) {
				oldest, at = h, one.expiry
			}
		}
		delete(p.held, oldest)
	}
	p.held[hash] = pass{session, now.Add(tokenAge)}
	return secret
}

// spend returns the session of a pass, which it does once.
func (p *framePasses) spend(sent string, now time.Time) (session string, ok bool) {
	hash, ok := hashSecret(sent)
	if !ok {
		return "", false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	one, ok := p.held[hash]
	delete(p.held, hash)
	return one.session, ok && good(one.expiry, now)
}

func (p *framePasses) expire(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for hash, one := range p.held {
		if !good(one.expiry, now) {
			delete(p.held, hash)
		}
	}
}

func (p *framePasses) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.held)
}
