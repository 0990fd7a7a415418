package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"paddock/sandbox/egress"
	"paddock/sandbox/entry"
)

// ErrClosed is what a closed Supervisor answers.
var ErrClosed = errors.New("the supervisor is closed")

// Supervisor starts instances and watches them. Its methods are safe for concurrent use.
type Supervisor struct {
	options Options
	log     *slog.Logger
	runtime denoRuntime
	dog     *watchdog

	scopes   *scopes // nil when there is nobody to ask for control groups
	noScopes string  // why

	starts  chan func() // work for the starter thread
	ctx     context.Context
	cancel  context.CancelFunc
	starter sync.WaitGroup
	reapers sync.WaitGroup
	idles   atomic.Int64 // names idle apps

	measuring sync.Mutex
	measured  map[string]int64 // facts of this run, guarded by measuring

	mu        sync.Mutex
	instances map[string]*Instance // nil while starting
	ahead     []*standby           // the oldest first; at most standbys
	spare     string               // an instance's folder made ahead; "" while there is none
	closed    bool
}

// New checks the options, makes the socket folder, removes what an agent that was killed left in it, and starts the
// watchdog. Nothing is launched yet. The folder must belong to this supervisor alone.
func New(o Options) (*Supervisor, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("sandbox options: %w", err)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if err := ownFolder(o.SocketDir); err != nil {
		return nil, err
	}
	if err := clearSockets(o.SocketDir); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Supervisor{
		options: o, log: o.Logger, dog: newWatchdog(o.Logger), starts: make(chan func()),
		ctx: ctx, cancel: cancel, measured: map[string]int64{}, instances: map[string]*Instance{},
	}
	s.scopes, s.noScopes = findScopes()
	s.starter.Go(s.startLoop)
	return s, nil
}

// ownFolder makes dir, which nobody else may enter.
func ownFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the folder %s: %w", dir, err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("look at the folder %s: %w", dir, err)
	}
	if !info.IsDir() || runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
		if !info.IsDir() {
			return fmt.Errorf("%s is no folder: remove it", dir)
		}
		if err := os.Chmod(dir, 0o700); err != nil {
			return fmt.Errorf("close the folder %s to others: %w", dir, err)
		}
	}
	return nil
}

// startLoop is the starter thread. Linux sends the parent-death signal when the thread that forked ends, so all
// instances are started by one that ends last. It is never unlocked: the thread ends with the goroutine.
func (s *Supervisor) startLoop() {
	runtime.LockOSThread()
	for start := range s.starts {
		start()
	}
}

// onStarter runs fn on the starter thread and waits for it.
func (s *Supervisor) onStarter(fn func()) {
	done := make(chan struct{})
	s.starts <- func() {
		defer close(done)
		fn()
	}
	<-done
}

// Argv is the exact list of arguments Deno would be started with, for people who want to see it.
func (s *Supervisor) Argv(spec Spec) ([]string, error) {
	paths, err := PathsOf(s.options, spec, s.wantsNode(spec))
	if err != nil {
		return nil, err
	}
	c, err := Plan(s.options, spec, paths)
	return c.Args, err
}

// wantsNode says whether the entry module should load node:http for this app.
func (s *Supervisor) wantsNode(spec Spec) bool {
	switch spec.API {
	case APINode:
		return true
	case "":
		found, err := mentions(filepath.Join(spec.AppDir, spec.Entry), nodeServer)
		return found && err == nil
	}
	return false
}

// Launch starts an app and returns when it answers, or a *StartError. ctx ends the waiting, not a started instance.
func (s *Supervisor) Launch(ctx context.Context, spec Spec) (*Instance, error) {
	base, err := s.baseData(ctx)
	if err != nil {
		return nil, err
	}
	return s.launch(ctx, spec, base)
}

// launch starts spec with baseData bytes of address space beside its budget; 0 means no memory wall.
func (s *Supervisor) launch(ctx context.Context, spec Spec, baseData int64) (*Instance, error) {
	if err := s.reserve(spec.ID); err != nil {
		return nil, err
	}
	in, err := s.prepare(spec, baseData)
	if err != nil {
		s.forget(spec.ID)
		return nil, err
	}
	s.mu.Lock()
	s.instances[spec.ID] = in
	closed := s.closed
	s.mu.Unlock()
	if closed {
		in.end(HostClosed)
	}
	s.dog.add(in)
	s.reapers.Go(in.reap)
	defer s.refillSoon()
	if err := in.start(ctx); err != nil {
		return nil, err
	}
	return in, nil
}

// reserve takes the id for one instance.
func (s *Supervisor) reserve(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if _, taken := s.instances[id]; taken {
		return &StartError{Reason: StartBadSpec, Err: fmt.Errorf("an instance of %s is running already", id)}
	}
	s.instances[id] = nil
	s.reapers.Add(1) // so that Close waits for a launch under way; taken back by forget
	return nil
}

func (s *Supervisor) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.instances, id)
	s.reapers.Done()
}

// prepare makes everything an instance needs and starts its process. On failure nothing is left behind.
func (s *Supervisor) prepare(spec Spec, baseData int64) (_ *Instance, err error) {
	began := time.Now()
	var undo []func()
	defer func() {
		if err != nil {
			for i := len(undo) - 1; i >= 0; i-- {
				undo[i]()
			}
		}
	}()
	bad := func(err error) error { return &StartError{Reason: StartBadSpec, Err: err} }

	if err := spec.check(s.options); err != nil {
		return nil, bad(err)
	}
	if err := spec.checkDisk(); err != nil {
		return nil, bad(err)
	}
	facts, err := s.runtime.inspect(s.options.Deno, s.options.RuntimeSHA256)
	if err != nil {
		return nil, err
	}
	paths, err := PathsOf(s.options, spec, s.wantsNode(spec))
	if err != nil {
		return nil, bad(err)
	}
	if paths.Proxy != "" {
		paths.NodeClient, _ = mentions(filepath.Join(spec.AppDir, spec.Entry), nodeClients) // unreadable: Deno will say so
	}
	paths = paths.withAudit()
	command, err := Plan(s.options, spec, paths)
	if err != nil {
		return nil, bad(err)
	}
	if _, err := entry.Install(s.options.EntryDir); err != nil {
		return nil, err
	}
	if err := spec.makeFolders(paths, s.takeSpare()); err != nil {
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			return nil, &StartError{Reason: StartNoSpace, Err: err}
		}
		return nil, err
	}
	undo = append(undo, func() { _ = os.RemoveAll(paths.Dir) })
	if sp := readSpace(spec.writtenFolders()); sp.room <= 0 {
		return nil, &StartError{
			Reason: StartNoSpace,
			Err:    fmt.Errorf("%d MiB more must be free on the file system of %s before an app is started", -sp.room>>20+1, spec.DataDir),
		}
	}

	in := &Instance{
		sup: s, spec: spec, paths: paths, socket: paths.Socket, scopeWhy: "it was not asked for yet",
		listening: make(chan struct{}), told: make(chan string, 1), ready: make(chan struct{}), done: make(chan struct{}),
	}
	in.ctx, in.cancel = context.WithCancel(context.Background())
	undo = append(undo, in.cancel)
	in.limits.Store(&spec.Budget)
	if paths.Proxy != "" {
		if in.proxy, err = s.startProxy(spec, paths.Proxy); err != nil {
			return nil, fmt.Errorf("start the app's way to the network: %w", err)
		}
		undo = append(undo, func() { _ = in.proxy.Close() })
	}
	if paths.Audit != "" {
		if in.audit, err = openAudit(paths.Audit); err != nil {
			return nil, err
		}
		undo = append(undo, in.audit.close)
	}
	if in.output, err = openLog(spec.LogDir, spec.Budget.WithDefaults().LogBytes); err != nil {
		return nil, err
	}
	undo = append(undo, in.output.close)

	in.plan = wallPlan(s.options, spec, paths, command, facts.files, baseData, os.Getpid())
	if err := in.spawn(); err != nil {
		return nil, &StartError{Reason: StartRefused, Err: err}
	}
	in.phases.Prepare = in.startedAt.Sub(began)
	return in, nil
}

func (s *Supervisor) startProxy(spec Spec, socket string) (*egress.Proxy, error) {
	o := s.options.Egress
	o.Socket = socket
	o.Policy = egress.Policy{Allow: spec.Allow, Deny: spec.Deny}
	if tell := s.options.OnEgress; tell != nil {
		id := spec.ID
		o.OnEvent = func(e egress.Event) { tell(id, e) }
	}
	return egress.Listen(o)
}

// checkDisk looks at what the spec names: a link that leads elsewhere by now must not be followed.
func (s Spec) checkDisk() error {
	module := filepath.Join(s.AppDir, s.Entry)
	info, err := os.Lstat(module)
	if err != nil {
		return fmt.Errorf("the app's module: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("the app's module %s is not a plain file", module)
	}
	for _, slot := range s.Slots {
		real, err := filepath.EvalSymlinks(slot.Path)
		if err != nil {
			return fmt.Errorf("slot %s: %w; choose it again", slot.Name, err)
		}
		if real != slot.Path {
			return fmt.Errorf("slot %s: %s leads to %s now; choose it again", slot.Name, slot.Path, real)
		}
		info, err := os.Stat(real)
		if err != nil {
			return fmt.Errorf("slot %s: %w; choose it again", slot.Name, err)
		}
		if info.IsDir() != slot.Folder || !info.IsDir() && !info.Mode().IsRegular() {
			return fmt.Errorf("slot %s: %s is not what was chosen any more; choose it again", slot.Name, real)
		}
	}
	return nil
}

// writtenFolders are those that count in the disk budget.
func (s Spec) writtenFolders() []string { return []string{s.DataDir, s.RuntimeDir, s.LogDir} }

// makeFolders makes what Deno and the proxy expect and removes what an earlier instance left in them. spare becomes the
// instance's own folder; "" has that made as well.
func (s Spec) makeFolders(p Paths, spare string) error {
	temporary := filepath.Join(s.RuntimeDir, "tmp")
	if err := clearFolder(temporary); err != nil {
		return fmt.Errorf("empty the app's temporary folder: %w", err)
	}
	if err := os.RemoveAll(p.Dir); err != nil { // stale sockets: Deno does not listen on an existing one
		return fmt.Errorf("remove old sockets: %w", err)
	}
	if spare != "" {
		_ = os.Rename(spare, p.Dir) // where that fails they are made here
	}
	folders := []string{s.DataDir, s.RuntimeDir, temporary, filepath.Join(s.RuntimeDir, "deno"), s.LogDir, p.Dir, p.Sockets}
	if p.Proxy != "" {
		folders = append(folders, filepath.Dir(p.Proxy))
	}
	for _, dir := range folders {
		if err := ownFolder(dir); err != nil {
			return err
		}
	}
	return nil
}

// clearFolder removes dir with all that is in it, unless there is nothing in it: making a folder anew takes longer on
// some file systems than all that a start does before it.
func clearFolder(dir string) error {
	info, err := os.Lstat(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil && info.IsDir() {
		if f, err := os.Open(dir); err == nil {
			_, err = f.Readdirnames(1)
			_ = f.Close()
			if errors.Is(err, io.EOF) {
				return nil
			}
		}
	}
	return os.RemoveAll(dir)
}

// Close ends every instance and waits until they are gone.
func (s *Supervisor) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	var running []*Instance
	for _, in := range s.instances {
		if in != nil {
			running = append(running, in)
		}
	}
	s.mu.Unlock()
	s.cancel()
	for _, in := range running {
		in.end(HostClosed)
	}
	s.reapers.Wait()
	removeSpares(s.options.SocketDir)
	for _, b := range s.ahead { // nobody makes or takes one any more
		b.discard()
	}
	s.dog.close()
	close(s.starts)
	s.starter.Wait()
	return nil
}
