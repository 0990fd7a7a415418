package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"paddock/app/bundle"
	"paddock/app/control"
	"paddock/app/gateway"
	"paddock/sandbox"
	"paddock/sandbox/permission"
	"paddock/store"
)

// Options are all that an App needs from outside. Every field without a default is required.
type Options struct {
	Home     string              // folder of all state, already checked by PrepareHome
	Store    *store.DB           // App does not close it
	Sandbox  *sandbox.Supervisor // App ends its instances, and does not close it
	Product  Product             // who we are
	Programs Programs            // the other programs, for tray and windows
	Runtime  string              // version of the pinned Deno, for doctor
	Resolve  []string            // --resolve pairs as written, for doctor
	Desktop  control.Desktop     // display at start; a control request may bring one later
	Tray     bool                // start the tray when there is a display
	Prompter Prompter            // default: a prompt window
	Socket   string              // control socket, handed to tray and windows
	Now      func() time.Time    // default time.Now
	Idle     Idle                // when unused apps are put to sleep
	Logger   *slog.Logger        // default slog.Default()
}

// Product names this program, from FyneApp.toml.
type Product struct {
	Name, ID, Version string
}

// App is the running product. Its methods may be called from several goroutines.
type App struct {
	home    string
	store   *store.DB
	sandbox *sandbox.Supervisor
	front   FrontDoor
	opts    Options
	now     func() time.Time
	idle    Idle
	log     *slog.Logger

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	restoring sync.Mutex // held by the one restore that runs

	probing sync.Mutex // guards probed
	probed  *sandbox.Report

	records sync.Mutex // held across a change of a record in store and memory; taken before mu

	mu       sync.Mutex
	apps     map[string]*installed // by install id; removed ones are not in it
	pids     map[int]bool          // of running instances
	stages   map[string]*stage
	prompts  map[string]*prompt
	ordered  []string // prompt ids, oldest first
	download map[string]control.Progress
	seq      uint64
	watchers map[chan struct{}]bool
	closed   bool

	numbered   bool       // apps have addresses of their own; set once, by Attach
	unnumbered string     // why not, though it was chosen
	addressing sync.Mutex // held while an address is given out

	prompter Prompter
	desktop  *desktop
	ledger   *ledger
	history  *history
}

// FrontDoor is the part of the gateway that the use cases need.
type FrontDoor interface {
	Set(gateway.App)
	Remove(install string)
	Tombstone(label string, until time.Time)
	TombstoneAddr(addr netip.Addr, until time.Time)
	OwnAddresses() (possible bool, why string)
	Mint(install string) (url, appURL string, err error)
	LinkFile(link string) (fileURL string, err error)
	Origin(install string) string
	EndSessions(install string)
	SetBanner(install string, b *gateway.Banner)
	Addr() string
	IPv6() (held bool, why string)
	PeerCheck() (checked bool, why string)
}

// New takes over a home: it repairs what a crash left behind and knows all installed apps afterwards.
// No app runs yet. Call Attach with the front door, then the App is ready. Close ends it.
func New(o Options) (*App, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	ctx, cancel := context.WithCancel(context.Background())
	a := &App{
		home: o.Home, store: o.Store, sandbox: o.Sandbox, opts: o, now: o.Now, idle: o.Idle.withDefaults(), log: o.Logger,
		ctx: ctx, cancel: cancel,
		apps: map[string]*installed{}, pids: map[int]bool{}, stages: map[string]*stage{}, prompts: map[string]*prompt{},
		download: map[string]control.Progress{}, watchers: map[chan struct{}]bool{},
	}
	if a.prompter = o.Prompter; a.prompter == nil {
		a.prompter = a
	}
	a.desktop = newDesktop(a)
	a.ledger = newLedger(a)
	a.history = &history{store: o.Store, log: o.Logger}
	if err := a.recover(); err != nil {
		cancel()
		return nil, err
	}
	return a, nil
}

// Attach connects the front door, which needed the App as its backend first, and starts the tray.
func (a *App) Attach(front FrontDoor) {
	a.mu.Lock()
	a.front = front
	all := a.sortedLocked()
	a.mu.Unlock()
	a.chooseOrigins()
	for _, in := range all {
		a.front.Set(a.doorEntry(in))
	}
	a.tombstones()
	a.tasks.Go(a.ledger.run)
	a.tasks.Go(a.janitor)
	a.tasks.Go(a.restLoop)
	a.tasks.Go(a.banners)
	if slices.ContainsFunc(all, func(in *installed) bool { return in.manifest.Serve.Mode == bundle.ModeServer }) {
		a.tasks.Go(a.warm)
	}
	a.desktop.start(a.opts.Desktop, a.opts.Tray)
}

// warm does before the first visit what it would wait for. What fails here is told when an app is opened.
func (a *App) warm() {
	if err := a.sandbox.Warm(a.ctx); err != nil && a.ctx.Err() == nil {
		a.log.Warn("the first app will take longer to start", "err", err)
	}
}

// tombstones tells the front door of apps that were removed lately, so that browsers forget their pages.
func (a *App) tombstones() {
	records, err := a.store.Installs()
	if err != nil {
		a.log.Error("read the removed apps", "err", err)
		return
	}
	for _, rec := range records {
		if rec.RemovedAt != nil {
			a.bury(rec)
		}
	}
}

// Close ends every app, tray and window and waits for them.
func (a *App) Close() error {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	stop, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	a.StopAll(stop)
	a.cancel()
	a.desktop.close()
	a.tasks.Wait()
	a.discardAllStages()
	if err := a.history.retry(); err != nil {
		return errors.Join(fmt.Errorf("write the history: %w", err), a.ledger.flush())
	}
	return a.ledger.flush()
}

// recover brings disk and store to agreement: runs that were open when the last agent died are closed,
// folders that no record knows are removed, apps uninstalled more than 30 days ago are deleted.
func (a *App) recover() error {
	if err := a.history.closeStale(a.now()); err != nil {
		return fmt.Errorf("close the history of an earlier run: %w", err)
	}
	if err := bundle.Clean(a.stagingDir()); err != nil {
		return fmt.Errorf("clean the staging folder: %w", err)
	}
	if err := cleanRestores(a.stagingDir()); err != nil {
		return err
	}
	records, err := a.store.Installs()
	if err != nil {
		return fmt.Errorf("read the installed apps: %w", err)
	}
	known := map[string]store.Install{}
	for _, rec := range records {
		known[rec.Install] = rec
	}
	if err := a.sweep(known); err != nil {
		return err
	}
	for _, rec := range records {
		if rec.RemovedAt != nil {
			continue
		}
		in, err := a.load(rec)
		if err != nil {
			// One damaged record must not keep all other apps from running.
			a.log.Error("app left out", "app", rec.AppID, "err", err)
			continue
		}
		a.apps[rec.Install] = in
	}
	return nil
}

// sweep removes versions that no record names: a crash came between unpacking and recording.
func (a *App) sweep(known map[string]store.Install) error {
	entries, err := os.ReadDir(a.appsDir())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at the app folders: %w", err)
	}
	for _, e := range entries {
		rec, ok := known[e.Name()]
		if !ok {
			if err := bundle.RemoveTree(filepath.Join(a.appsDir(), e.Name())); err != nil {
				return fmt.Errorf("remove a half-made app folder: %w", err)
			}
			continue
		}
		keep := map[string]bool{"data": true, "runtime": true, "log": true}
		for _, v := range append([]store.Version{{VersionCode: rec.VersionCode}}, rec.Previous...) {
			keep[versionDir(v.VersionCode)], keep[versionDir(v.VersionCode)+".paddock"] = true, true
		}
		if err := a.repairData(rec); err != nil {
			return err
		}
		if rec.SetAside != nil {
			keep[asideName(rec.SetAside.Exchange)] = true
		}
		inner, err := os.ReadDir(filepath.Join(a.appsDir(), e.Name()))
		if err != nil {
			return fmt.Errorf("look at an app's folder: %w", err)
		}
		for _, v := range inner {
			if !keep[v.Name()] {
				if err := bundle.RemoveTree(filepath.Join(a.appsDir(), e.Name(), v.Name())); err != nil {
					return fmt.Errorf("remove a half-made version: %w", err)
				}
			}
		}
	}
	return nil
}

// janitor deletes what waited long enough: stages nobody answered, data of apps uninstalled 30 days ago.
func (a *App) janitor() {
	tick := time.NewTicker(10 * time.Minute)
	defer tick.Stop()
	for {
		a.expireStages()
		if err := a.purgeExpired(); err != nil {
			a.log.Error("delete expired data", "err", err)
		}
		select {
		case <-a.ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Greet tells a client who answers, and refuses one that speaks another version of the protocol.
func (a *App) Greet(_ context.Context, g control.Greet) (control.Greeting, error) {
	if g.Protocol != control.Protocol {
		return control.Greeting{}, control.NewError(control.ExitUnreachable, "protocol",
			fmt.Sprintf("%s speaks protocol %d and the running agent %d.", g.Client, g.Protocol, control.Protocol),
			"Run “paddock quit”, then start again, so that all programs are of one version.", nil)
	}
	return control.Greeting{
		Name: a.opts.Product.Name, ID: a.opts.Product.ID, Version: a.opts.Product.Version, Protocol: control.Protocol,
		PID: os.Getpid(), Gateway: a.front.Addr(), Home: a.home,
	}, nil
}

// IsInstance reports whether pid is a running app.
func (a *App) IsInstance(pid int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pids[pid]
}

// installed is one app that is there. Its lifecycle mutex serialises start, stop and restart; a request that
// needs the app while that happens waits on it, which is how requests are held during a restart.
type installed struct {
	id string // install id; never changes

	lifecycle sync.Mutex

	// Guarded by App.mu.
	hold      context.CancelCauseFunc // ends what holds lifecycle for long; nil when nothing does
	rec       store.Install
	manifest  *bundle.Manifest
	session   map[permission.Permission]permission.Grant // answers for this session only
	insist    bool                                       // the user starts it although a required row is refused
	inst      *sandbox.Instance
	leases    *leases         // of inst
	noted     <-chan struct{} // closed when the end of inst is recorded
	run       *run            // the last launch in the history; nil before the first
	starting  bool
	began     time.Time // of the last start
	failures  uint64    // failed starts so far, and why the last one failed: whoever waited for it shares its outcome
	failure   error
	dueAt     time.Time // its schedule need not be looked at before; see wakeScheduled
	scheduled bool      // its schedule's handler runs
	last      *ending   // how it last ended, when that was not wished
	deaths    []time.Time
}

// ending is an end that nobody wished, kept for host pages and for the state.
type ending struct {
	state    string // control.StateOverBudget or StateFailed
	title    string
	text     string           // pages of the app can read it; see statepage.go
	buttons  []gateway.Action // what can be done about it
	starting bool             // it never answered
	at       time.Time
}
