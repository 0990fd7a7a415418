package main

import (
	"testing"

	"github.com/godbus/dbus/v5"

	"paddock/assets"
)

func TestPanelOf(t *testing.T) {
	for desktops, want := range map[string]assets.Panel{
		"GNOME": assets.PanelDark, "ubuntu:GNOME": assets.PanelDark, "KDE": assets.PanelUnknown, "": assets.PanelUnknown, "XFCE": assets.PanelUnknown,
	} {
		if got := panelOf(desktops); got != want {
			t.Errorf("panelOf(%q) = %q, want %q", desktops, got, want)
		}
	}
}

func TestPanelOfScheme(t *testing.T) {
	nested := func(v any) dbus.Variant { return dbus.MakeVariant(dbus.MakeVariant(v)) }
	for _, tc := range []struct {
		in   dbus.Variant
		want assets.Panel
	}{
		{nested(uint32(1)), assets.PanelDark},
		{dbus.MakeVariant(uint32(2)), assets.PanelLight},
		{nested(uint32(0)), assets.PanelUnknown},
		{nested("1"), assets.PanelUnknown},
		{dbus.Variant{}, assets.PanelUnknown},
	} {
		if got := panelOfScheme(tc.in); got != tc.want {
			t.Errorf("panelOfScheme(%v) = %q, want %q", tc.in, got, tc.want)
		}
	}
}
