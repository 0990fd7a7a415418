//go:build cgo && !windows

package main

// #include <stdlib.h>
import "C"

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"unsafe"

	"github.com/getlantern/systray"

	"paddock/assets"
)

// setIcon hands the icon to systray, which keeps the pointer: the bytes are embedded and never move.
func setIcon(p assets.Panel, attention bool) {
	if runtime.GOOS == "darwin" {
		systray.SetTemplateIcon(assets.Tray(assets.PanelTemplate, attention), assets.Tray(assets.PanelUnknown, attention))
		return
	}
	systray.SetIcon(assets.Tray(p, attention))
}

// keepIcons gives systray a folder of our own for its temporary icon file, beside the control socket,
// and returns what removes it. systray removes the file when it quits, but GTK ends the whole process
// when the display goes away; what such an end left is cleaned here at the next start.
//
// Only the C environment is changed, which Go does not pass on: the browser we open keeps its TMPDIR.
func keepIcons() (func(), error) {
	dir := filepath.Join(filepath.Dir(os.Getenv(envControl)), "tray")
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	name, value := C.CString("TMPDIR"), C.CString(dir)
	defer C.free(unsafe.Pointer(name))
	defer C.free(unsafe.Pointer(value))
	if rc, err := C.setenv(name, value, 1); rc != 0 {
		return nil, fmt.Errorf("set TMPDIR: %w", err)
	}
	return func() { _ = os.RemoveAll(dir) }, nil // the next start tries again
}
