//go:build !cgo && !windows

package main

import (
	"context"
	"fmt"

	"paddock/assets"
)

// showTray says what is missing: systray needs cgo everywhere but on Windows.
func showTray(context.Context, *agent, assets.Panel, wording, func()) error {
	return fmt.Errorf("%w: this paddock-tray was built without cgo; build it with CGO_ENABLED=1", errNoTray)
}
