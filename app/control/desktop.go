package control

import (
	"os"
	"strings"
)

// ThisDesktop is the display environment of this process.
func ThisDesktop() Desktop {
	return Desktop{
		Display:     os.Getenv("DISPLAY"),
		Wayland:     os.Getenv("WAYLAND_DISPLAY"),
		XAuthority:  os.Getenv("XAUTHORITY"),
		RuntimeDir:  os.Getenv("XDG_RUNTIME_DIR"),
		SessionBus:  os.Getenv("DBUS_SESSION_BUS_ADDRESS"),
		CurrentName: os.Getenv("XDG_CURRENT_DESKTOP"),
	}
}

// Environ is base with the display variables of d in place of its own.
func (d Desktop) Environ(base []string) []string {
	vars := map[string]string{
		"DISPLAY": d.Display, "WAYLAND_DISPLAY": d.Wayland, "XAUTHORITY": d.XAuthority,
		"XDG_RUNTIME_DIR": d.RuntimeDir, "DBUS_SESSION_BUS_ADDRESS": d.SessionBus, "XDG_CURRENT_DESKTOP": d.CurrentName,
	}
	out := make([]string, 0, len(base)+len(vars))
	for _, kv := range base {
		name, _, _ := strings.Cut(kv, "=")
		if _, ours := vars[name]; !ours {
			out = append(out, kv)
		}
	}
	for _, name := range []string{"DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "XDG_CURRENT_DESKTOP"} {
		if v := vars[name]; v != "" {
			out = append(out, name+"="+v)
		}
	}
	return out
}
