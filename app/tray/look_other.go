//go:build !linux && !windows

package main

import (
	"context"
	"os"

	"paddock/assets"
)

// trayLook: macOS colours template icons itself.
func trayLook(context.Context) assets.Panel { return assets.PanelTemplate }

func locale() string { return os.Getenv("LANG") }

// escape: menus on macOS have no mnemonics.
func escape(label string) string { return label }
