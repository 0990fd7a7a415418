package app

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"paddock/app/control"
)

// exitNoTray is paddock-tray's exit code for "this desktop has no place for a tray icon".
const exitNoTray = 3

// desktop starts and restarts the tray, starts the window program on demand, and hands it what to show.
// Both are clients like any other; that one of them dies, or the display with them, touches no running app.
type desktop struct {
	app *App

	mu      sync.Mutex
	env     control.Desktop
	want    bool // the tray is wanted
	looping bool
	kick    chan struct{} // a new display is there: do not wait before the next try
	tray    control.TrayState
	told    bool // the library was opened once to say why there is no tray
	window  *exec.Cmd
	windows chan control.Show // to the attached window program, nil when there is none
	queue   []control.Show    // waits for it to attach
	tasks   sync.WaitGroup
}

// maxShows bounds the windows that wait to be opened.
const maxShows = 16

func newDesktop(a *App) *desktop {
	return &desktop{app: a, kick: make(chan struct{}, 1), tray: control.TrayState{State: "no_display", Why: "There is no display."}}
}

// start is called once, with the display that the agent was started with.
func (d *desktop) start(env control.Desktop, tray bool) {
	d.mu.Lock()
	d.want = tray
	d.mu.Unlock()
	d.offer(env)
}

// offer takes over the display of a caller when the agent has none, or its own is gone.
func (d *desktop) offer(env control.Desktop) {
	if !env.Present() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.env.Present() || d.tray.State != "running" && d.windows == nil {
		if d.env != env {
			select {
			case d.kick <- struct{}{}:
			default:
			}
		}
		d.env = env
	}
	if d.want && !d.looping && d.app.ctx.Err() == nil {
		if d.app.opts.Programs.Tray == "" {
			d.tray = control.TrayState{State: "absent", Why: "The program paddock-tray is not installed."}
			return
		}
		d.looping = true
		d.tasks.Go(d.keepTray)
	}
}

func (d *desktop) present() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.env.Present() && d.app.opts.Programs.Window != ""
}

func (d *desktop) trayState() control.TrayState {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tray
}

func (d *desktop) setTray(s control.TrayState) {
	d.mu.Lock()
	same := d.tray == s
	d.tray = s
	d.mu.Unlock()
	if !same {
		d.app.changed()
	}
}

// keepTray runs the tray, and again when it dies: after one second first, after at most 30 s later on. When
// the desktop has no place for it, the library says so once, and the tray waits for one to appear.
func (d *desktop) keepTray() {
	wait, waiting := time.Second, false
	for d.app.ctx.Err() == nil {
		args := []string{}
		if waiting {
			args = append(args, "--wait")
		}
		began := time.Now()
		d.setTray(control.TrayState{State: "starting"})
		d.mu.Lock()
		env := d.env
		d.mu.Unlock()
		cmd := d.command(env, d.app.opts.Programs.Tray, args...)
		var tail tailWriter
		cmd.Stderr = &tail
		err := cmd.Start()
		if err == nil {
			if waiting {
				d.setTray(control.TrayState{State: "absent", Why: "This desktop has no place for a tray icon. It appears here as soon as there is one."})
			} else {
				d.setTray(control.TrayState{State: "running"})
			}
			err = cmd.Wait()
		}
		if d.app.ctx.Err() != nil {
			return
		}
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() == exitNoTray {
			why := "This desktop has no place for a tray icon, so Paddock shows this window instead."
			d.setTray(control.TrayState{State: "absent", Why: why})
			waiting = true
			d.tellOnce(why)
			continue
		}
		d.setTray(control.TrayState{State: "absent", Why: "The tray program ended: " + tail.String()})
		d.app.log.Warn("the tray ended", "err", err, "tail", tail.String(), "after", time.Since(began))
		if time.Since(began) > time.Minute {
			wait = time.Second
		}
		waiting = false
		select {
		case <-d.app.ctx.Done():
			return
		case <-d.kick:
			wait = time.Second / 2
		case <-time.After(wait):
		}
		wait = min(wait*2, 30*time.Second)
	}
}

func (d *desktop) tellOnce(why string) {
	d.mu.Lock()
	told := d.told
	d.told = true
	d.mu.Unlock()
	if told {
		return
	}
	if err := d.show(control.Show{Window: control.WindowLibrary, Why: why}); err != nil {
		d.app.log.Warn("open the library", "err", err)
	}
}

// command is a program of ours that knows the display env and the control socket, and ends with the agent.
func (d *desktop) command(env control.Desktop, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(d.app.ctx, path, args...)
	cmd.Env = append(env.Environ(os.Environ()), control.EnvControl+"="+d.app.opts.Socket)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// show hands s to the window program, starting it if need be.
func (d *desktop) show(s control.Show) error {
	if s.Desktop.Present() {
		// Somebody at a screen wants to see Paddock: from now on there is a tray, also for an agent that a
		// command had started without a display.
		d.mu.Lock()
		d.want = true
		d.mu.Unlock()
	}
	d.offer(s.Desktop)
	s.Desktop = control.Desktop{}
	if d.app.opts.Programs.Window == "" {
		return errNoWindow("the program paddock-window is not installed")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.env.Present() {
		return errNoWindow("there is no display")
	}
	if d.windows != nil {
		select {
		case d.windows <- s:
			return nil
		default:
			return errNoWindow("too many windows wait to be opened")
		}
	}
	if len(d.queue) >= maxShows {
		return errNoWindow("too many windows wait to be opened")
	}
	d.queue = append(d.queue, s)
	if d.window != nil {
		return nil // it is starting and will ask for the queue
	}
	return d.startWindowLocked()
}

func (d *desktop) startWindowLocked() error {
	cmd := d.command(d.env, d.app.opts.Programs.Window)
	var tail tailWriter
	cmd.Stderr = &tail
	if err := cmd.Start(); err != nil {
		d.queue = nil
		return errNoWindow(fmt.Sprintf("paddock-window could not be started (%v)", err))
	}
	d.window = cmd
	d.tasks.Go(func() {
		err := cmd.Wait()
		d.mu.Lock()
		d.window = nil
		left := len(d.queue)
		again := err == nil && left > 0 && d.app.ctx.Err() == nil // asked for just as it ended by itself
		if again {
			err = d.startWindowLocked()
		} else {
			d.queue = nil
		}
		d.mu.Unlock()
		if !again || err != nil {
			// Nobody is left to answer. Open questions end without an answer.
			d.app.cancelPrompts()
		}
		if err != nil && d.app.ctx.Err() == nil {
			d.app.log.Warn("the window program ended", "err", err, "tail", tail.String())
		}
	})
	return nil
}

// AttachWindows is the window program's line to the agent: what to show, one after the other.
func (a *App) AttachWindows(ctx context.Context, on func(control.Show) error) error {
	d := a.desktop
	shows := make(chan control.Show, maxShows)
	d.mu.Lock()
	if d.windows != nil {
		d.mu.Unlock()
		return control.NewError(control.ExitFailed, "windows_taken", "Another window program is connected already.", "", nil)
	}
	d.windows = shows
	for _, s := range d.queue {
		shows <- s // never blocks: the queue is no longer than the channel
	}
	d.queue = nil
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		d.windows = nil
		for more := true; more; { // what came too late for this one waits for the next
			select {
			case s := <-shows:
				d.queue = append(d.queue, s)
			default:
				more = false
			}
		}
		d.mu.Unlock()
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-a.ctx.Done():
			return errClosing
		case s := <-shows:
			if err := on(s); err != nil {
				return err
			}
		}
	}
}

// Show brings a window to the front.
func (a *App) Show(ctx context.Context, s control.Show) error {
	if s.App != "" {
		app, err := a.find(s.App)
		if err != nil {
			return err
		}
		s.App = app.rec.AppID
		if s.Window == control.WindowApp {
			if err := a.Ahead(ctx, control.AppRef{App: s.App}); err != nil {
				return err
			}
		}
	}
	s.Source = localPath(s.Source)
	return a.desktop.show(s)
}

// localPath is the path that a file URL names: desktops hand over what was double-clicked that way. Anything
// else stays as it is.
func localPath(source string) string {
	u, err := url.Parse(source)
	if err != nil || u.Scheme != "file" || u.Host != "" && u.Host != "localhost" || u.Path == "" {
		return source
	}
	return filepath.FromSlash(u.Path)
}

func (d *desktop) close() { d.tasks.Wait() }

// tailWriter keeps the end of what a program writes.
type tailWriter struct {
	mu  sync.Mutex
	buf []byte
}

const tailBytes = 2048

func (t *tailWriter) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - tailBytes; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tailWriter) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
