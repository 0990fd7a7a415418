package main

import (
	"context"
	"os"
	"strings"

	"github.com/godbus/dbus/v5"

	"paddock/app/control"
	"paddock/assets"
)

// trayLook says what the icon will be drawn on. Nothing on Linux tells the panel's colour; this follows
// what is known: some desktops have a dark panel whatever the theme, for others the desktop portal's
// colour preference is a good guess, and where there is none the coloured icon suits everything.
func trayLook(ctx context.Context) assets.Panel {
	if panel := panelOf(control.ThisDesktop().CurrentName); panel != assets.PanelUnknown {
		return panel
	}
	conn, err := sessionBus(ctx)
	if err != nil {
		return assets.PanelUnknown
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, busTimeout)
	defer cancel()
	portal := conn.Object("org.freedesktop.portal.Desktop", "/org/freedesktop/portal/desktop")
	var value dbus.Variant
	// Starting the portal for this is not worth the user's time.
	if err := portal.CallWithContext(ctx, "org.freedesktop.portal.Settings.Read", dbus.FlagNoAutoStart,
		"org.freedesktop.appearance", "color-scheme").Store(&value); err != nil {
		return assets.PanelUnknown
	}
	return panelOfScheme(value)
}

// panelOf knows the desktops whose panel is dark in every theme they ship.
func panelOf(desktops string) assets.Panel {
	for name := range strings.SplitSeq(desktops, ":") {
		switch strings.ToLower(name) {
		case "gnome", "unity", "pantheon", "cosmic":
			return assets.PanelDark
		}
	}
	return assets.PanelUnknown
}

// panelOfScheme reads org.freedesktop.appearance color-scheme: 1 prefers dark, 2 light, 0 has no
// preference. Read wraps the value in a second variant.
func panelOfScheme(v dbus.Variant) assets.Panel {
	if inner, ok := v.Value().(dbus.Variant); ok {
		v = inner
	}
	switch v.Value() {
	case uint32(1):
		return assets.PanelDark
	case uint32(2):
		return assets.PanelLight
	}
	return assets.PanelUnknown
}

// locale follows the order of setlocale(3) for messages.
func locale() string {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := os.Getenv(name); v != "" {
			return v
		}
	}
	return ""
}

// escape: libdbusmenu exports GTK labels, in which an underscore marks a mnemonic.
func escape(label string) string { return escapeMnemonics(label, "_") }
