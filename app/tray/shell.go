//go:build cgo || windows

package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/getlantern/systray"

	"paddock/app/control"
	"paddock/assets"
)

// quitGrace is how long the toolkit may take to end its loop. A panel that hangs must not keep this
// process alive after its agent.
const quitGrace = 3 * time.Second

// shell draws menus with systray.
type shell struct {
	panel   assets.Panel
	painter *painter
	loud    bool
	tooltip string
	drawn   bool
}

// showTray shows the icon until ctx or the agent ends. It must be called on the main thread.
func showTray(ctx context.Context, a *agent, panel assets.Panel, w wording, ready func()) error {
	cleanIcons, err := keepIcons()
	if err != nil {
		return fmt.Errorf("prepare the icon: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	finished := make(chan struct{})
	onReady := func() {
		defer close(finished)
		s := &shell{panel: panel}
		menu := Compose(control.State{}, Menu{}, w)
		s.draw(ctx, a, menu)
		ready()
		// A watch ends with the agent, and then so do we: whoever starts the agent again starts a tray.
		if err := a.watch(ctx, func(state control.State) {
			menu = Compose(state, menu, w)
			s.draw(ctx, a, menu)
		}); err != nil {
			a.log.Info("the agent ended", "reason", err)
		}
		time.AfterFunc(quitGrace, func() {
			cleanIcons()
			os.Exit(exitDone)
		})
		systray.Quit() // also removes the icon's temporary file
	}
	systray.Run(onReady, func() {})
	cancel()
	<-finished
	cleanIcons()
	return nil
}

// draw shows m. Only changes reach the toolkit: each call costs a trip through its loop, and some leak.
func (s *shell) draw(ctx context.Context, a *agent, m Menu) {
	if !s.drawn || s.loud != m.Attention {
		s.loud = m.Attention
		setIcon(s.panel, m.Attention)
	}
	if s.tooltip != m.Tooltip {
		s.tooltip = m.Tooltip
		systray.SetTooltip(m.Tooltip)
	}
	if s.drawn {
		s.painter.paint(m)
		return
	}
	s.drawn = true
	s.painter = newPainter(systrayItems{}, m, func(l *line) {
		clicks := l.item.(*systray.MenuItem).ClickedCh
		go func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-clicks:
					a.act(ctx, l.click())
				}
			}
		}()
	})
}

// systrayItems is the toolkit over systray.
type systrayItems struct{}

func (systrayItems) row(title string) item { return systray.AddMenuItem(title, "") }
func (systrayItems) child(parent item, title string) item {
	return parent.(*systray.MenuItem).AddSubMenuItem(title, "")
}
func (systrayItems) separator() { systray.AddSeparator() }
