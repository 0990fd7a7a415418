package sandbox

import (
	"context"
	"fmt"
	"os"
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

// next is the standby, or a new one where there is none that lives.
func (s *Supervisor) next() (*standby, error) {
	s.mu.Lock()
	b := s.ahead
	s.ahead = nil
	s.mu.Unlock()
	if b != nil {
		if b.launcher.alive() {
			return b, nil
		}
		b.discard()
	}
	return s.newStandby()
}

// refill makes a standby and a spare folder unless there are. Without them the next start takes a little longer, and no more.
func (s *Supervisor) refill() {
	s.refillSpare()
	s.mu.Lock()
	wanted := s.ahead == nil && !s.closed
	s.mu.Unlock()
	if !wanted {
		return
	}
	b, err := s.newStandby()
	if err != nil {
		s.log.Debug("nothing stands by for the next app", "error", err)
		return
	}
	s.mu.Lock()
	if s.ahead == nil && !s.closed {
		s.ahead, b = b, nil
	}
	s.mu.Unlock()
	if b != nil {
		b.discard()
	}
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
// it on a machine where that was never done, and lets a process stand by. An error tells what a launch would fail with.
func (s *Supervisor) Warm(ctx context.Context) error {
	if _, err := s.baseData(ctx); err != nil {
		return err
	}
	s.whileOpen(s.refill)
	return nil
}
