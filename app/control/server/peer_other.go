//go:build !linux

package server

import (
	"log/slog"
	"net"

	"paddock/app"
)

// guard relies on the folder's mode here: who connects cannot be asked portably. doctor says so.
type guard struct {
	net.Listener
	app *app.App
	log *slog.Logger
}
