//go:build !linux

package main

import "context"

// awaitTray: Windows and macOS always have a tray.
func awaitTray(context.Context, bool) error { return nil }
