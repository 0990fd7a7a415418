// Package assets holds what Paddock shows and ships as files: icons, the Inter typeface, translations
// and the sources of the example apps. It draws nothing and must not know who uses a picture or a text;
// it imports nothing of ours and no toolkit, so that every program may link it.
package assets

import (
	"embed"
	"fmt"
	"io/fs"
)

// The application icon: a closed farm gate on a hill.
var (
	//go:embed icons/paddock.svg
	AppSVG []byte
	//go:embed icons/paddock.png
	AppPNG []byte // 512 px
	//go:embed icons/paddock.ico
	AppICO []byte // 16 to 256 px
)

// The Inter typeface, under the licence in FontLicense, which must travel with it.
var (
	//go:embed fonts/Inter-Regular.otf
	InterRegular []byte
	//go:embed fonts/Inter-Medium.otf
	InterMedium []byte
	//go:embed fonts/Inter-SemiBold.otf
	InterSemiBold []byte
	//go:embed fonts/OFL.txt
	FontLicense string
)

// Translations holds translations/LANGUAGE.json, go-i18n message files with a flat map of English text
// to translated text.
//
//go:embed translations/*.json
var Translations embed.FS

//go:embed icons/tray-*.png icons/tray-*.ico
var trayIcons embed.FS

// Panel is what an icon in the tray is drawn on.
type Panel string

// Panels. Unknown gets the coloured application icon, which can be seen on anything.
const (
	PanelUnknown  Panel = "color"
	PanelLight    Panel = "on-light"
	PanelDark     Panel = "on-dark"
	PanelTemplate Panel = "template" // macOS: only alpha counts, the system colours it
)

// Tray returns the tray icon for a panel as PNG, 64 px; attention adds the dot that says that something
// waits for the user. An unknown panel value is treated as PanelUnknown.
// The bytes stay valid and unchanged for the life of the program.
func Tray(p Panel, attention bool) []byte { return tray(p, attention, "png") }

// TrayICO is Tray as a Windows icon. There is no coloured or template variant: both give the one for
// dark panels, which is the look of a Windows taskbar unless the user changed it.
func TrayICO(p Panel, attention bool) []byte {
	if p != PanelLight {
		p = PanelDark
	}
	return tray(p, attention, "ico")
}

func tray(p Panel, attention bool, format string) []byte {
	switch p {
	case PanelLight, PanelDark, PanelTemplate:
	default:
		p = PanelUnknown
	}
	name := "icons/tray-" + string(p)
	if attention {
		name += "-attention"
	}
	raw, err := trayIcons.ReadFile(name + "." + format)
	if err != nil {
		panic(fmt.Sprintf("assets: %v", err)) // the files are part of the program; a test reads every one
	}
	return raw
}

//go:embed all:examples
var examples embed.FS

// Examples returns the sources of the example apps, one folder each, as `paddock pack` takes them.
func Examples() fs.FS {
	sub, err := fs.Sub(examples, "examples")
	if err != nil {
		panic(fmt.Sprintf("assets: %v", err)) // the folder is part of the program
	}
	return sub
}
