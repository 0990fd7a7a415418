//go:build cgo || windows

package main

import (
	"context"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/app"

	"paddock/app/control"
	"paddock/app/ui"
	"paddock/assets"
)

// show runs the windows until the last is closed or the agent ends. It must be called on the main goroutine.
func show(client *control.Client, g control.Greeting, desktop control.Desktop) error {
	if err := ui.LoadTranslations(); err != nil {
		return err
	}
	a := app.NewWithID(g.ID)
	a.SetIcon(fyne.NewStaticResource("paddock.png", assets.AppPNG))
	// Fyne's driver ends with its last window. This one is never shown, so that we decide when to end.
	a.NewWindow(g.Name)

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var ws *ui.Windows
	endUnlessOpen := func(after time.Duration) {
		time.AfterFunc(after, func() {
			fyne.Do(func() {
				if ws.Open() == 0 {
					a.Quit()
				}
			})
		})
	}
	ws = ui.New(ui.Options{
		App: a, Client: client, Desktop: desktop, Browse: browse,
		Empty: func() { endUnlessOpen(grace) },
	})
	defer ws.Close()

	ended := make(chan error, 1)
	a.Lifecycle().SetOnStarted(func() {
		endUnlessOpen(firstShow)
		go func() {
			err := follow(ctx, client, func(s control.Show) { fyne.Do(func() { ws.Show(s) }) })
			ended <- err
			if ctx.Err() == nil {
				fyne.Do(a.Quit)
			}
		}()
	})
	a.Run()
	cancel()
	select {
	case err := <-ended:
		return err
	case <-time.After(grace):
		return nil // stopped before it began to follow
	}
}
