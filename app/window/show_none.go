//go:build !cgo && !windows

package main

import (
	"errors"

	"paddock/app/control"
)

// show cannot: this program was built without cgo, which the window toolkit needs.
func show(*control.Client, control.Greeting, control.Desktop) error {
	return errors.New("this paddock-window was built without cgo and cannot show windows: build it with CGO_ENABLED=1 (make build), or use the command line")
}
