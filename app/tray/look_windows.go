package main

import (
	"context"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"paddock/assets"
)

// trayLook reads whether the taskbar is light.
func trayLook(context.Context) assets.Panel {
	key, err := registry.OpenKey(registry.CURRENT_USER, `Software\Microsoft\Windows\CurrentVersion\Themes\Personalize`, registry.QUERY_VALUE)
	if err != nil {
		return assets.PanelDark
	}
	defer key.Close()
	if light, _, err := key.GetIntegerValue("SystemUsesLightTheme"); err == nil && light == 1 {
		return assets.PanelLight
	}
	return assets.PanelDark
}

func locale() string {
	names, err := windows.GetUserPreferredUILanguages(windows.MUI_LANGUAGE_NAME)
	if err != nil || len(names) == 0 {
		return ""
	}
	return names[0]
}

// escape: an ampersand marks a mnemonic in a Windows menu.
func escape(label string) string { return escapeMnemonics(label, "&") }
