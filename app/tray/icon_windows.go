package main

import (
	"crypto/md5"
	"encoding/hex"
	"os"
	"path/filepath"

	"github.com/getlantern/systray"

	"paddock/assets"
)

func setIcon(p assets.Panel, attention bool) { systray.SetIcon(assets.TrayICO(p, attention)) }

// keepIcons returns what removes systray's temporary icons: on Windows it names them by the MD5 of
// their content (systray_windows.go, iconBytesToFilePath) and never removes them.
func keepIcons() (func(), error) {
	return func() {
		for _, p := range []assets.Panel{assets.PanelLight, assets.PanelDark} {
			for _, attention := range []bool{false, true} {
				sum := md5.Sum(assets.TrayICO(p, attention))
				_ = os.Remove(filepath.Join(os.TempDir(), "systray_temp_icon_"+hex.EncodeToString(sum[:]))) // it may be in use by another tray
			}
		}
	}, nil
}
