package egress

import (
	"maps"
	"sync"
	"time"
)

// Stat counts what one target was used for.
type Stat struct {
	Requests int64 // passed on
	Refused  int64 // not passed on
	BytesIn  int64 // from the network to the app
	BytesOut int64 // from the app to the network
	Last     time.Time
}

// maxTargets bounds the statistics: an app can make up names without end.
const maxTargets = 1000

// otherTargets counts everything beyond maxTargets.
const otherTargets = "*"

type stats struct {
	mu     sync.Mutex
	counts map[string]Stat
}

func (s *stats) add(e Event) {
	if e.Target == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts == nil {
		s.counts = map[string]Stat{}
	}
	key := e.Target
	if _, known := s.counts[key]; !known && len(s.counts) >= maxTargets {
		key = otherTargets
	}
	c := s.counts[key]
	if e.Allowed {
		c.Requests++
	} else {
		c.Refused++
	}
	c.BytesIn += e.BytesIn
	c.BytesOut += e.BytesOut
	if e.At.After(c.Last) {
		c.Last = e.At
	}
	s.counts[key] = c
}

func (s *stats) snapshot() map[string]Stat {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]Stat, len(s.counts))
	maps.Copy(out, s.counts)
	return out
}
