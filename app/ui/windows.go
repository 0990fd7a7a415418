package ui

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"fyne.io/fyne/v2"

	"paddock/app/control"
)

// Options is what the windows need from the program that shows them.
type Options struct {
	App     fyne.App
	Client  *control.Client
	Browse  func(url string) error // opens the user's browser; called off the main goroutine
	Desktop control.Desktop        // this program's own display, for prompts that the agent opens for us
	Empty   func()                 // the last window was closed; on the main goroutine; may be nil

	Home  string                                                              // the user's home folder; empty: ask the system
	Clock Clock                                                               // zero: the real one
	Enter func(func())                                                        // runs on the main goroutine; nil: fyne.Do
	Pick  func(w fyne.Window, what Pick, chosen func(path string, err error)) // nil: Fyne's dialogs
}

// Windows shows what the agent asks for: at most one window per thing, the existing one brought to the front.
// Its methods belong on the main goroutine.
type Windows struct {
	o      Options
	root   *tasks
	frames map[string]*frame
	state  control.State
	known  bool // a state has arrived
	latest atomic.Pointer[control.State]

	iconsMu sync.Mutex
	icons   map[string]control.Icon
}

// New makes the windows and starts to follow the agent's state.
func New(o Options) *Windows {
	o.Clock = o.Clock.orReal()
	if o.Home == "" {
		o.Home, _ = os.UserHomeDir()
	}
	if o.Pick == nil {
		o.Pick = fynePick
	}
	ws := &Windows{o: o, frames: map[string]*frame{}, icons: map[string]control.Icon{}}
	ws.root = newTasks(context.Background(), o.Enter, o.Clock)
	o.App.Settings().SetTheme(Theme{Look: ws.look()})
	background(ws.root, func(ctx context.Context) (struct{}, error) { return struct{}{}, ws.watch(ctx) }, nil)
	return ws
}

// Close ends all background work and waits for it. The windows themselves stay as they are.
func (ws *Windows) Close() {
	for _, f := range ws.frames {
		f.tasks.close()
	}
	ws.root.close()
	ws.root.wait()
	for _, f := range ws.frames {
		f.tasks.wait()
	}
}

// Open is how many windows there are.
func (ws *Windows) Open() int { return len(ws.frames) }

// watchPause is the wait before following the agent again after it broke off.
const watchPause = time.Second

// watch follows the agent's state until ctx ends. Snapshots may arrive faster than they are drawn: only the
// latest is.
func (ws *Windows) watch(ctx context.Context) error {
	for {
		_ = control.Events(ctx, ws.o.Client, control.MethodWatch, nil, nil, func(s control.State) error {
			if ws.latest.Swap(&s) == nil {
				ws.root.post(func() {
					if s := ws.latest.Swap(nil); s != nil {
						ws.apply(*s)
					}
				})
			}
			return nil
		})
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(watchPause):
		}
	}
}

func (ws *Windows) apply(s control.State) {
	ws.state, ws.known = s, true
	for _, f := range ws.frames {
		if f.update != nil {
			f.update(s)
		}
	}
}

// Show opens what s names, or brings its window to the front.
func (ws *Windows) Show(s control.Show) {
	key := s.Window
	switch s.Window {
	case control.WindowApp, control.WindowActivity:
		key += "\x00" + s.App
	case control.WindowReview:
		key += "\x00" + s.Source
	case control.WindowPrompt:
		key += "\x00" + s.Prompt
	}
	if f, open := ws.frames[key]; open {
		f.win.Show()
		f.win.RequestFocus()
		if l, ok := f.screen.(interface{ raised(control.Show) }); ok {
			l.raised(s)
		}
		return
	}
	switch s.Window {
	case control.WindowReview:
		ws.newReview(key, s)
	case control.WindowApp:
		ws.newAppPage(key, s)
	case control.WindowPrompt:
		ws.newPrompt(key, s)
	case control.WindowActivity:
		ws.newActivity(key, s)
	case control.WindowSettings:
		ws.newSettings(key)
	default:
		ws.newLibrary(control.WindowLibrary, s)
	}
}

// newFrame makes a window. Its content is set by the caller, which then calls present.
func (ws *Windows) newFrame(key, title string, size fyne.Size) *frame {
	f := &frame{ws: ws, win: ws.o.App.NewWindow(title)}
	f.tasks = newTasks(ws.root.ctx, ws.o.Enter, ws.o.Clock)
	f.banner = vbox(0)
	f.win.SetPadded(false)
	f.win.Resize(size)
	f.win.Canvas().SetOnTypedKey(f.key)
	f.win.SetOnClosed(func() {
		if ws.frames[key] != f {
			return
		}
		delete(ws.frames, key)
		if f.gone != nil {
			f.gone()
		}
		f.tasks.close()
		if len(ws.frames) == 0 && ws.o.Empty != nil {
			ws.o.Empty()
		}
	})
	ws.frames[key] = f
	return f
}

// present gives the window its content and shows it.
func (f *frame) present(content fyne.CanvasObject) {
	f.win.SetContent(backdrop(content))
	f.win.CenterOnScreen()
	f.win.Show()
	f.relayout()
	if f.update != nil && f.ws.known {
		f.update(f.ws.state)
	}
}

// icon of an app, remembered by its version.
func (ws *Windows) icon(ctx context.Context, app, version string) (control.Icon, error) {
	key := app + "\x00" + version
	ws.iconsMu.Lock()
	i, ok := ws.icons[key]
	ws.iconsMu.Unlock()
	if ok {
		return i, nil
	}
	i, err := control.Do[control.Icon](ctx, ws.o.Client, control.MethodIcon, control.AppRef{App: app})
	if err == nil {
		ws.iconsMu.Lock()
		if len(ws.icons) > 256 {
			clear(ws.icons)
		}
		ws.icons[key] = i
		ws.iconsMu.Unlock()
	}
	return i, err
}

// openApp launches an app, asking the user if need be, and opens it in the browser. It goes on when the window
// that asked for it is closed.
func (ws *Windows) openApp(app string, done func(error)) {
	background(ws.root, func(ctx context.Context) (struct{}, error) {
		r, err := control.Do[control.OpenResult](ctx, ws.o.Client, control.MethodOpen, control.Open{App: app, Ask: true, Desktop: ws.o.Desktop, Browse: ws.o.Browse != nil})
		if err != nil {
			return struct{}{}, err
		}
		if ws.o.Browse == nil {
			return struct{}{}, nil
		}
		if err := ws.o.Browse(r.ForBrowser()); err != nil {
			return struct{}{}, control.NewError(control.ExitFailed, "browser", tr("The app runs, but the browser did not open."),
				tr("Set a default browser in the settings of your system, or open this address yourself: {{.URL}}", "URL", r.URL), nil)
		}
		return struct{}{}, nil
	}, func(_ struct{}, err error) {
		if errors.Is(err, context.Canceled) {
			err = nil
		}
		done(err)
	})
}

func (ws *Windows) appState(id string) (control.AppState, bool) {
	for _, a := range ws.state.Apps {
		if a.ID == id || a.Short == id {
			return a, true
		}
	}
	return control.AppState{}, false
}

const lookKey = "look"

// look is the stored choice of light and dark.
func (ws *Windows) look() string {
	return ws.o.App.Preferences().StringWithFallback(lookKey, LookSystem)
}

func (ws *Windows) setLook(look string) {
	ws.o.App.Preferences().SetString(lookKey, look)
	ws.o.App.Settings().SetTheme(Theme{Look: look})
	for _, f := range ws.frames {
		f.relayout()
	}
}

// cancelPrompt tells the agent that a question was closed without an answer.
func (ws *Windows) cancelPrompt(id string) {
	background(ws.root, func(ctx context.Context) (control.Empty, error) {
		return control.Do[control.Empty](ctx, ws.o.Client, control.MethodAnswer, control.Answer{Prompt: id, Cancel: true, Rows: []control.RowAnswer{}})
	}, nil)
}
