package gateway

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Session is a browser that was let in. Only the hash of its cookie is kept, so that whoever reads the store
// cannot use it.
type Session struct {
	Hash    [32]byte // SHA-256 of the cookie's value
	Install string
	Created time.Time
	Used    time.Time
}

// Sessions keeps sessions over restarts. Put replaces the session with the same hash. It is called from many
// goroutines, at most once per session and quarter of an hour besides the first time.
type Sessions interface {
	Put(Session) error
	All() ([]Session, error)
	Delete(install string) error // every session of an install
}

// forgetful is used when no Sessions are given.
type forgetful struct{}

func (forgetful) Put(Session) error       { return nil }
func (forgetful) All() ([]Session, error) { return nil, nil }
func (forgetful) Delete(string) error     { return nil }

func voidSessions(store Sessions, stored []Session) error {
	var errs []error
	voided := map[string]bool{}
	for _, s := range stored {
		if !voided[s.Install] {
			voided[s.Install] = true
			errs = append(errs, store.Delete(s.Install))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("void the sessions of before: %w", err)
	}
	return nil
}

// Limits of sessions and tokens, per app.
const (
	maxSessions = 64                  // browsers; the least recently used goes first
	sessionAge  = 30 * 24 * time.Hour // without use
	saveEvery   = 15 * time.Minute    // how stale a stored time of last use may be
	maxTokens   = 32                  // unspent links; the oldest goes first
	tokenAge    = 30 * time.Second
)

// newSecret returns 256 random bits as text, and the hash under which they are kept.
func newSecret() (secret string, hash [32]byte) {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails (crypto/rand)
	secret = base64.RawURLEncoding.EncodeToString(raw[:])
	return secret, sha256.Sum256([]byte(secret))
}

var secretLen = base64.RawURLEncoding.EncodedLen(32)

// hashSecret returns the hash of what a client sent. Secrets are looked up by hash, so the time taken tells
// nothing about them.
func hashSecret(sent string) (hash [32]byte, ok bool) {
	if len(sent) != secretLen {
		return hash, false
	}
	return sha256.Sum256([]byte(sent)), true
}

// jar holds the sessions of one install. Reading is free of locks: each request does it.
type jar struct {
	install  string
	mu       sync.Mutex // writers
	sessions atomic.Pointer[map[[32]byte]*session]
}

type session struct {
	hash    [32]byte
	created time.Time
	used    atomic.Int64 // UnixNano
	saved   atomic.Int64 // value of used that is stored
}

func (j *jar) restore(stored []Session, now time.Time) {
	j.change(func(m map[[32]byte]*session) {
		for _, s := range stored {
			if now.Sub(s.Used) > sessionAge {
				continue
			}
			restored := &session{hash: s.Hash, created: s.Created}
			restored.used.Store(min(s.Used.UnixNano(), now.UnixNano()))
			restored.saved.Store(s.Used.UnixNano())
			m[s.Hash] = restored
		}
	})
}

// change applies a change to a copy and publishes it, never with more than maxSessions.
func (j *jar) change(apply func(map[[32]byte]*session)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	old := *j.sessions.Load()
	next := make(map[[32]byte]*session, len(old)+1)
	for hash, s := range old {
		next[hash] = s
	}
	apply(next)
	for len(next) > maxSessions {
		var oldest *session
		for _, s := range next {
			if oldest == nil || s.used.Load() < oldest.used.Load() {
				oldest = s
			}
		}
		delete(next, oldest.hash)
	}
	j.sessions.Store(&next)
}

// start makes a session and returns the cookie value with what is to be stored.
func (j *jar) start(now time.Time) (value string, stored Session) {
	value, hash := newSecret()
	s := &session{hash: hash, created: now}
	s.used.Store(now.UnixNano())
	s.saved.Store(now.UnixNano())
	j.change(func(m map[[32]byte]*session) { m[hash] = s })
	return value, Session{Hash: hash, Install: j.install, Created: now, Used: now}
}

// holds reports whether a cookie value is a live session, and notes its use.
func (j *jar) holds(value string, now time.Time) bool {
	hash, ok := hashSecret(value)
	if !ok {
		return false
	}
	s := (*j.sessions.Load())[hash]
	if s == nil {
		return false
	}
	at := now.UnixNano()
	used := s.used.Load()
	if at-used > int64(sessionAge) {
		return false
	}
	if at-used > int64(time.Second) {
		s.used.Store(at)
	}
	return true
}

// setBack takes sessions that were used while the clock was ahead for used now: they would outlive the others by as much.
func (j *jar) setBack(now time.Time) {
	for _, s := range *j.sessions.Load() {
		if used := s.used.Load(); used > now.UnixNano() {
			s.used.CompareAndSwap(used, now.UnixNano())
		}
	}
}

func (j *jar) clear() {
	j.change(func(m map[[32]byte]*session) { clear(m) })
}

// unsaved returns the sessions whose stored time of use is stale, and takes them for stored.
func (j *jar) unsaved() (stale []Session) {
	for _, s := range *j.sessions.Load() {
		if used := s.used.Load(); time.Duration(used-s.saved.Load()).Abs() > saveEvery {
			s.saved.Store(used)
			stale = append(stale, Session{Hash: s.hash, Install: j.install, Created: s.created, Used: time.Unix(0, used)})
		}
	}
	return stale
}

// tokens are the unspent links of one install, by hash.
type tokens struct {
	mu     sync.Mutex
	expiry map[[32]byte]time.Time
}

func (t *tokens) mint(now time.Time) string {
	secret, hash := newSecret()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.expiry == nil {
		t.expiry = map[[32]byte]time.Time{}
	}
	if len(t.expiry) >= maxTokens {
		var oldest [32]byte
		var at time.Time
		for h, e := range t.expiry {
			if at.IsZero() || e.Before(at) {
				oldest, at = h, e
			}
		}
		delete(t.expiry, oldest)
	}
	t.expiry[hash] = now.Add(tokenAge)
	return secret
}

// spend reports whether a token is good, which it is once.
func (t *tokens) spend(sent string, now time.Time) bool {
	hash, ok := hashSecret(sent)
	if !ok {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	expiry, ok := t.expiry[hash]
	delete(t.expiry, hash)
	return ok && good(expiry, now)
}

// good says that a link or pass is in its time. One that expires later than one made now was made by a clock that has
// been set back since: then nobody knows how old it is.
func good(expiry, now time.Time) bool {
	left := expiry.Sub(now)
	return left > 0 && left <= tokenAge
}

// until returns when a link ends that is not spent.
func (t *tokens) until(hash [32]byte) (expiry time.Time, live bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	expiry, live = t.expiry[hash]
	return expiry, live
}

func (t *tokens) expire(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for hash, expiry := range t.expiry {
		if !good(expiry, now) {
			delete(t.expiry, hash)
		}
	}
}

func (t *tokens) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.expiry)
}
