// Command paddock is the agent and the command line in one program. This file only wires the parts.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/cli/browser"

	"paddock/app"
	"paddock/app/cli"
	"paddock/app/control"
	"paddock/app/control/server"
	"paddock/app/gateway"
	"paddock/packaging"
	"paddock/sandbox"
	"paddock/sandbox/egress"
	"paddock/store"
)

//go:embed FyneApp.toml
var productFile string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	product, err := app.ParseProduct(productFile)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(control.ExitFailed)
	}
	code := cli.Main(ctx, cli.Env{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv,
		Version: product.Version, SocketPath: control.SocketPath, OpenBrowser: browser.OpenURL,
		RunAgent: func(ctx context.Context, o cli.AgentOptions) error { return runAgent(ctx, product, o) },
	})
	stop()
	os.Exit(code)
}

// closing keeps the first error when parts are closed in reverse order.
func closing(err *error, f func() error) { *err = errors.Join(*err, f()) }

// runAgent opens the parts, runs until a signal or `paddock quit`, and closes them in reverse order.
func runAgent(ctx context.Context, product app.Product, o cli.AgentOptions) (err error) {
	if err := app.CheckListen(o.Listen); err != nil { // wrong use is told before anything is touched
		return err
	}
	resolve, err := app.ParseResolve(o.Resolve)
	if err != nil {
		return err
	}
	place, err := app.OpenPlace(o.Home)
	if err != nil {
		return err
	}
	db, err := store.Open(filepath.Join(place.Home, "store.db"), store.Options{Timeout: time.Second})
	if err != nil {
		return app.StoreError(err, place.Socket)
	}
	defer closing(&err, db.Close)
	file, err := app.OpenLogFile(place.Home)
	if err != nil {
		return err
	}
	defer closing(&err, file.Close)
	log := slog.New(slog.NewTextHandler(io.MultiWriter(file, os.Stderr), nil))
	programs, err := app.FindPrograms()
	if err != nil {
		return err
	}
	deno, err := packaging.ThisPlatform()
	if err != nil {
		return err
	}
	var a *app.App
	box, err := sandbox.New(sandbox.Options{
		Deno: programs.Deno, RuntimeSHA256: deno.SHA256, Launcher: programs.Launcher,
		SocketDir: place.Instances, EntryDir: filepath.Join(place.Home, "entry"), Egress: egress.Options{Resolve: resolve}, Logger: log,
		OnEgress:  func(id string, e egress.Event) { a.Egress(id, e) },
		OnUse:     func(id string, u sandbox.Use) { a.Reported(id, u) },
		OnMessage: func(id string, m sandbox.Message) sandbox.Message { return a.Message(id, m) },
		LoadFact:  app.LoadFact(db), SaveFact: app.SaveFact(db, log),
	})
	if err != nil {
		return err
	}
	defer closing(&err, box.Close)
	a, err = app.New(app.Options{
		Home: place.Home, Store: db, Sandbox: box, Product: product, Programs: programs, Socket: place.Socket, Resolve: o.Resolve,
		Runtime: deno.Version,
		Desktop: o.Desktop, Tray: !o.Headless, Logger: log,
	})
	if err != nil {
		return err
	}
	defer closing(&err, a.Close)
	front, err := app.ListenFront(a, o.Listen, func(addr string, s gateway.Sessions) (*gateway.Gateway, error) {
		return gateway.Listen(gateway.Options{Addr: addr, Backend: a, Sessions: s, LinkDir: place.Links, Logger: log})
	})
	if err != nil {
		return err
	}
	defer closing(&err, front.Close)
	a.Attach(front)
	control, err := server.Listen(place.Socket, a, log)
	if err != nil {
		return err
	}
	defer closing(&err, control.Close)
	o.Ready(os.Getpid(), front.Addr())
	select {
	case <-ctx.Done():
	case <-control.Quit():
	}
	return nil
}
