package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"paddock/sandbox/egress"
	"paddock/sandbox/wall"
)

// stopGrace is how long an app may take to end itself after SIGTERM.
const stopGrace = 2 * time.Second

// Instance is one running app. Its methods are safe for concurrent use.
type Instance struct {
	sup    *Supervisor
	spec   Spec
	paths  Paths
	plan   wall.Plan
	proc   *guest
	proxy  *egress.Proxy // nil without egress
	output *outputLog
	audit  *auditPipe // nil where there are no pipes with a name
	limits atomic.Pointer[Budget]

	ctx    context.Context // ends with the process
	cancel context.CancelFunc
	drains sync.WaitGroup
	helper sync.WaitGroup // the channel's goroutines
	pipes  [2]*os.File    // read ends of the output

	startedAt time.Time
	listening chan struct{} // closed when the entry module has said that it listens, or will not
	told      chan string   // the kind of the app's server, when the entry module says so itself; room for one
	ready     chan struct{} // closed when the app answers
	took      time.Duration
	phases    Phases
	socket    string // where the app answers; settled before ready is closed
	applied   wall.Applied

	mu     sync.Mutex
	wanted Reason // why the host ended it; "" while it did not
	// why the kernel's control groups hold nothing of it; "" when systemd has agreed, which is then read back
	scopeWhy string
	breach   *Breach
	frozen   bool
	held     bool // stopped by the watchdog for a moment
	exit     Exit
	started  bool
	done     chan struct{}
}

// ID is the spec's.
func (in *Instance) ID() string { return in.spec.ID }

// PID is the process id, and the id of its session and process group.
func (in *Instance) PID() int { return in.proc.pid }

// StartedAt is when the process was started.
func (in *Instance) StartedAt() time.Time { return in.startedAt }

// StartTook is the time from there to the first answer.
func (in *Instance) StartTook() time.Duration { return in.took }

// Phases is where the time of the start went.
func (in *Instance) Phases() Phases { return in.phases }

// Socket is the path where the app answers HTTP/1.1.
func (in *Instance) Socket() string { return in.socket }

// Dial connects to the app. A frozen app accepts and answers once thawed.
func (in *Instance) Dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", in.socket)
	if err != nil {
		return nil, fmt.Errorf("the app does not answer: %w", err)
	}
	return conn, nil
}

// Usage gives the figures of the last sample.
func (in *Instance) Usage() Usage { return in.sup.dog.usage(in.proc.pid) }

// SetBudget changes the budget of the running instance. The watchdog applies it with the next sample; the kernel's
// memory wall stays where it was at the start, so that more memory than that needs a restart.
func (in *Instance) SetBudget(b Budget) { in.limits.Store(&b) }

// Freeze stops the process from running until Thaw. It keeps its memory and its socket.
func (in *Instance) Freeze() error { return in.setFrozen(true) }

// Thaw lets a frozen process run again.
func (in *Instance) Thaw() error { return in.setFrozen(false) }

func (in *Instance) setFrozen(frozen bool) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	change := in.proc.thaw
	if frozen {
		change = in.proc.freeze
	}
	if in.held && !frozen {
		change = func() error { return nil } // the watchdog lets it go on
	}
	if err := change(); err != nil {
		return fmt.Errorf("freeze or thaw the app: %w", err)
	}
	in.frozen = frozen
	in.sup.dog.rest(in.proc.pid, frozen)
	return nil
}

// Frozen reports whether Freeze was called last.
func (in *Instance) Frozen() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.frozen
}

// Stop asks the app to end, and ends it when it has not done so after two seconds or when ctx ends. It returns when
// the process is gone.
func (in *Instance) Stop(ctx context.Context) error { return in.stop(ctx, Stopped) }

// Shutdown is Stop for a host that ends itself: the exit says HostClosed.
func (in *Instance) Shutdown(ctx context.Context) error { return in.stop(ctx, HostClosed) }

func (in *Instance) stop(ctx context.Context, why Reason) error {
	in.want(why)
	_ = in.proc.terminate()
	_ = in.Thaw() // a frozen process gets the signal only now
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	select {
	case <-in.done:
		return nil
	case <-grace.C:
	case <-ctx.Done():
	}
	in.Kill()
	<-in.done
	return nil
}

// Kill ends the process at once, without asking. It does not wait; see Done.
func (in *Instance) Kill() { in.end(Stopped) }

// end kills the process for the given reason, unless another one came first.
func (in *Instance) end(why Reason) {
	in.want(why)
	_ = in.proc.kill()
}

func (in *Instance) want(why Reason) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.wanted == "" {
		in.wanted = why
	}
}

// Done is closed when the process has ended and everything that belonged to it is cleaned up.
func (in *Instance) Done() <-chan struct{} { return in.done }

// Exit is how it ended; the zero value before Done.
func (in *Instance) Exit() Exit {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.exit
}

// pid, budget, diskPaths, breached and hold are what the watchdog needs.
func (in *Instance) pid() int            { return in.proc.pid }
func (in *Instance) budget() Budget      { return *in.limits.Load() }
func (in *Instance) diskPaths() []string { return in.spec.writtenFolders() }

func (in *Instance) breached(b Breach) {
	in.mu.Lock()
	if in.wanted == "" {
		in.wanted, in.breach = OverBudget, &b
	}
	in.mu.Unlock()
	_ = in.proc.kill()
}

// hold stops the process while its disk use is counted. Whoever freezes or thaws it meanwhile has the last word
// afterwards. Where a process cannot be stopped it runs on, as the watchdog says that it may.
func (in *Instance) hold(stop bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.held = stop
	switch {
	case in.frozen: // it is stopped already
	case stop:
		_ = in.proc.freeze()
	default:
		_ = in.proc.thaw()
	}
}

// spawn starts the process and the goroutines that drain its output.
func (in *Instance) spawn() error {
	in.startedAt = time.Now()
	ahead, err := in.sup.next()
	if err != nil {
		return err
	}
	if in.proc, in.pipes, err = ahead.become(in.plan); err != nil {
		return err
	}
	in.phases.Fork = time.Since(in.startedAt)
	in.drains.Go(func() { in.output.drain(in.ctx, StreamOut, in.afterWord(in.pipes[0])) })
	in.drains.Go(func() { in.output.drain(in.ctx, StreamErr, in.pipes[1]) })
	if in.proxy != nil {
		in.helper.Go(in.guardProxy)
	}
	if in.audit != nil {
		in.helper.Go(in.listen)
	}
	return nil
}

// guardProxy ends the app when the path of its proxy socket leads elsewhere: whoever replaced it would see what the
// app sends, and would not be held to its grants (security.md, rule 9).
func (in *Instance) guardProxy() {
	select {
	case <-in.proxy.Changed():
		in.output.note("ended: its way to the network was removed or replaced")
		in.end(Crashed)
	case <-in.ctx.Done():
	}
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
}

// start waits until the app answers. On failure the process is gone when it returns.
func (in *Instance) start(ctx context.Context) error {
	budget := in.spec.Budget.WithDefaults()
	deadline := in.startedAt.Add(budget.StartTimeout)
	applied, err := in.proc.confirm(time.Until(deadline))
	if err != nil {
		in.end(StartFailed)
		<-in.done
		return &StartError{Reason: StartRefused, Exit: in.Exit(), Tail: in.output.text(), Err: err}
	}
	in.applied = applied
	in.phases.Walls = time.Since(in.startedAt)
	in.openChannel()
	in.startScope()

	wait, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	err = in.awaitReady(wait)
	if err == nil {
		in.took = time.Since(in.startedAt)
		in.phases.Ready = in.took
		if in.audit != nil {
			in.audit.settle()
		}
		in.mu.Lock()
		in.started = true
		in.mu.Unlock()
		close(in.ready)
		return nil
	}
	reason := StartExited
	if !errors.Is(err, errEnded) {
		reason = StartDeadline
		if ctx.Err() != nil {
			reason = StartCanceled
		}
		in.end(StartFailed)
	}
	<-in.done
	failed := &StartError{Reason: reason, Exit: in.Exit(), Tail: in.Exit().Tail}
	if reason == StartDeadline {
		failed.Err = fmt.Errorf("%w within %s", err, budget.StartTimeout)
	}
	return failed
}

func (in *Instance) setScope(why string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.scopeWhy = why
}

// reap waits for the process's end and cleans up.
func (in *Instance) reap() {
	code, signal := in.proc.wait()
	usage := in.sup.dog.remove(in.proc.pid)
	in.mu.Lock()
	in.cancel()
	in.mu.Unlock()
	in.drainRest()
	if in.audit != nil {
		in.audit.finish()
	}
	in.helper.Wait()
	if in.audit != nil {
		in.audit.close()
	}
	if in.proxy != nil {
		_ = in.proxy.Close()
	}
	_ = os.RemoveAll(in.paths.Dir)

	in.mu.Lock()
	in.exit = in.judge(code, signal, usage)
	in.mu.Unlock()
	if in.exit.Reason != Stopped && in.exit.Reason != HostClosed {
		in.output.note("ended: " + describe(in.exit))
	}
	in.output.close()
	in.sup.forget(in.spec.ID)
	close(in.done)
}

// drainRest reads what is left in the pipes. Only the app had their other ends, but on a system without the kernel
// wall it could have left them to a child, so this does not wait for long.
func (in *Instance) drainRest() {
	drained := make(chan struct{})
	go func() {
		in.drains.Wait()
		close(drained)
	}()
	patience := time.NewTimer(time.Second)
	defer patience.Stop()
	select {
	case <-drained:
		closeAll(in.pipes[:]...)
	case <-patience.C:
		closeAll(in.pipes[:]...)
		<-drained
	}
}

// judge says why the process ended. The lock is held.
func (in *Instance) judge(code int, signal string, u Usage) Exit {
	e := Exit{Code: code, Signal: signal, Tail: in.output.text(), At: time.Now(), Breach: in.breach}
	switch {
	case in.wanted != "":
		e.Reason = in.wanted
	case code == 0:
		e.Reason = Finished
	default:
		e.Reason = Crashed
		// the control group's limit is enforced with a signal that tells nobody why
		killed := e.Signal == "SIGKILL" && in.scopeWhy == ""
		if e.Breach = ranOut(e, killed, in.budget(), u); e.Breach != nil {
			e.Reason = OverBudget
		}
	}
	if !in.started && (e.Reason == Finished || e.Reason == Crashed) {
		e.Reason = StartFailed
	}
	return e
}

// describe puts an exit into a few words for the log.
func describe(e Exit) string {
	switch {
	case e.Breach != nil:
		return "over its " + e.Breach.noun() + " budget"
	case e.Signal != "":
		return e.Signal
	}
	return fmt.Sprintf("exit code %d", e.Code)
}
