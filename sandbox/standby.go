package sandbox

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"paddock/sandbox/wall"
)

// standby is the next instance's process as far as it can be made before anybody knows which app it will run: a
// paddock-launch that waits for its plan, with the pipes of its output. It knows nothing and may nothing yet, uses 2 MB
// and no processor, and takes the fork and the start of a program out of the way of a request: 2 ms of 24.
type standby struct {
	launcher *waiting
	write    [2]*os.File // ends for the process
	pipes    [2]*os.File // ends for us
}

// standbys is how many stand by: a person who opens an app often has the page of another one restored beside it, and
// what finds none starts 3.4 ms later.
const standbys = 2

// refillAfter lets an app's first requests go before the next standby is made.
const refillAfter = 20 * time.Millisecond

func (s *Supervisor) newStandby() (_ *standby, err error) {
	b := &standby{}
	defer func() {
		if err != nil {
			closeAll(b.pipes[:]...)
			closeAll(b.write[:]...)
		}
	}()
	for i := range b.write {
		if b.pipes[i], b.write[i], err = os.Pipe(); err != nil {
			return nil, fmt.Errorf("pipe for the output: %w", err)
		}
	}
	s.onStarter(func() { b.launcher, err = startLauncher(s.options.Launcher, !s.options.NoView, b.write[0], b.write[1]) })
	return b, err
}

// become gives the process its plan and returns the ends of its output. The standby is used up.
func (b *standby) become(plan wall.Plan) (g *guest, pipes [2]*os.File, err error) {
	g, err = b.launcher.become(plan)
	closeAll(b.write[:]...)
	if err != nil {
		closeAll(b.pipes[:]...)
		return nil, pipes, err
	}
	return g, b.pipes, nil
}

func (b *standby) discard() {
	closeAll(b.write[:]...)
	closeAll(b.pipes[:]...)
	b.launcher.discard()
}

// next is a standby, or a new one where there is none that lives.
func (s *Supervisor) next() (*standby, error) {
	for {
		s.mu.Lock()
		if len(s.ahead) == 0 {
			s.mu.Unlock()
			return s.newStandby()
		}
		b := s.ahead[0]
		s.ahead = slices.Delete(s.ahead, 0, 1)
		s.mu.Unlock()
		if b.launcher.alive() {
			return b, nil
		}
		b.discard()
	}
}

// refill makes standbys and a spare folder as far as there are none. Without them the next start takes a little longer,
// and no more.
func (s *Supervisor) refill() {
	s.refillSpare()
	for s.wantsStandby() {
		b, err := s.newStandby()
		if err != nil {
			s.log.Debug("nothing stands by for the next app", "error", err)
			return
		}
		s.mu.Lock()
		if len(s.ahead) < standbys && !s.closed {
			s.ahead, b = append(s.ahead, b), nil
		}
		s.mu.Unlock()
		if b != nil {
			b.discard()
		}
	}
}

func (s *Supervisor) wantsStandby() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ahead) < standbys && !s.closed
}

// refillSoon is refill in a moment.
func (s *Supervisor) refillSoon() {
	s.whileOpen(func() {
		timer := time.NewTimer(refillAfter)
		defer timer.Stop()
		select {
		case <-timer.C:
			s.refill()
		case <-s.ctx.Done():
		}
	})
}

// whileOpen runs fn in a goroutine that Close waits for, unless Close was called already.
func (s *Supervisor) whileOpen(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.reapers.Go(fn)
	}
}

// Warm does ahead what the first launch would wait for: it reads the runtime, which also brings it into memory, measures
// it on a machine where that was never done, and lets processes stand by. An error tells what a launch would fail with.
func (s *Supervisor) Warm(ctx context.Context) error {
	if _, err := s.baseData(ctx); err != nil {
		return err
	}
	s.whileOpen(s.refill)
	return nil
}
