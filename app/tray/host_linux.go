package main

import (
	"context"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"

	"paddock/app/control"
)

// Names of the StatusNotifierItem protocol; panels that show tray icons own the watcher's name.
const (
	watcherName = "org.kde.StatusNotifierWatcher"
	watcherPath = "/StatusNotifierWatcher"
	busTimeout  = 700 * time.Millisecond // the agent is told within a second
)

// awaitTray looks for a panel on the session bus. Without wait it answers within a second.
func awaitTray(ctx context.Context, wait bool) error {
	if !control.ThisDesktop().Present() {
		return fmt.Errorf("%w: there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)", errNoTray)
	}
	conn, err := sessionBus(ctx)
	if err != nil {
		return fmt.Errorf("%w: the session bus cannot be reached: %w", errNoTray, err)
	}
	defer conn.Close()
	// Subscribe before looking, so that a panel that starts in between is not missed.
	signals := make(chan *dbus.Signal, 16)
	conn.Signal(signals)
	if wait {
		for _, match := range [][]dbus.MatchOption{
			{dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, watcherName)},
			{dbus.WithMatchInterface(watcherName), dbus.WithMatchMember("StatusNotifierHostRegistered")},
		} {
			if err := conn.AddMatchSignalContext(ctx, match...); err != nil {
				return fmt.Errorf("watch the session bus: %w", err)
			}
		}
	}
	for {
		why := lookForPanel(ctx, conn)
		if why == nil || !wait {
			return why
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case _, ok := <-signals:
			if !ok {
				return fmt.Errorf("%w: the session bus ended", errNoTray)
			}
		}
	}
}

func sessionBus(ctx context.Context) (*dbus.Conn, error) {
	type result struct {
		conn *dbus.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		conn, err := dbus.ConnectSessionBus()
		done <- result{conn, err}
	}()
	select {
	case r := <-done:
		return r.conn, r.err
	case <-ctx.Done():
		go func() { // give back a connection that comes late
			if r := <-done; r.err == nil {
				r.conn.Close()
			}
		}()
		return nil, ctx.Err()
	case <-time.After(busTimeout):
		go func() {
			if r := <-done; r.err == nil {
				r.conn.Close()
			}
		}()
		return nil, fmt.Errorf("it did not answer within %v", busTimeout)
	}
}

// lookForPanel returns nil when a panel shows StatusNotifier icons now.
func lookForPanel(ctx context.Context, conn *dbus.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, busTimeout)
	defer cancel()
	var owned bool
	if err := conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.NameHasOwner", 0, watcherName).Store(&owned); err != nil {
		return fmt.Errorf("%w: the session bus does not answer: %w", errNoTray, err)
	}
	if !owned {
		return fmt.Errorf("%w: nothing on this desktop shows tray icons (no %s on the session bus); on GNOME, the AppIndicator extension does", errNoTray, watcherName)
	}
	var hosted bool
	err := conn.Object(watcherName, watcherPath).CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, watcherName, "IsStatusNotifierHostRegistered").Store(&hosted)
	if err == nil && !hosted {
		return fmt.Errorf("%w: %s runs, but no panel has registered to show icons", errNoTray, watcherName)
	}
	return nil // a watcher that does not know the property is taken at its name
}
