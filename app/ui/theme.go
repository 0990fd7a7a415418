package ui

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"paddock/assets"
)

// Faces of the interface. Fyne chooses a font by style; a canvas text may name its own.
var (
	faceRegular = fyne.NewStaticResource("Inter-Regular.otf", assets.InterRegular)
	faceMedium  = fyne.NewStaticResource("Inter-Medium.otf", assets.InterMedium)
	faceSemi    = fyne.NewStaticResource("Inter-SemiBold.otf", assets.InterSemiBold)
)

// Colour names beyond Fyne's own. Everything is drawn by name, so that a change of look needs no rebuild.
const (
	colCanvas   fyne.ThemeColorName = "paddock.canvas"
	colCard     fyne.ThemeColorName = "paddock.card"
	colLine     fyne.ThemeColorName = "paddock.line"
	colText     fyne.ThemeColorName = "paddock.text"
	colMuted    fyne.ThemeColorName = "paddock.muted"
	colAccent   fyne.ThemeColorName = "paddock.accent"
	colAccentHi fyne.ThemeColorName = "paddock.accent.hover"
	colOnAccent fyne.ThemeColorName = "paddock.onaccent"
	colTrack    fyne.ThemeColorName = "paddock.track"
	colQuiet    fyne.ThemeColorName = "paddock.quiet"
	colQuietHi  fyne.ThemeColorName = "paddock.quiet.hover"
	colCalm     fyne.ThemeColorName = "paddock.calm" // ordinary: blue
	colCalmBg   fyne.ThemeColorName = "paddock.calm.bg"
	colWarn     fyne.ThemeColorName = "paddock.warn" // needs attention: amber
	colWarnBg   fyne.ThemeColorName = "paddock.warn.bg"
	colRisk     fyne.ThemeColorName = "paddock.risk" // high risk, failure: red
	colRiskBg   fyne.ThemeColorName = "paddock.risk.bg"
	colGood     fyne.ThemeColorName = "paddock.good" // running, done: green
	colGoodBg   fyne.ThemeColorName = "paddock.good.bg"
	colShadow   fyne.ThemeColorName = "paddock.shadow"
	colThumb    fyne.ThemeColorName = "paddock.thumb"
	colRing     fyne.ThemeColorName = "paddock.ring"
	colSegment  fyne.ThemeColorName = "paddock.segment"
	colScrim    fyne.ThemeColorName = "paddock.scrim"
	colNone     fyne.ThemeColorName = "paddock.none"
)

func rgba(v uint32) color.Color {
	return color.NRGBA{R: uint8(v >> 24), G: uint8(v >> 16), B: uint8(v >> 8), A: uint8(v)}
}

// The text colours keep a contrast of at least 4.5:1 (WCAG 2.1 AA) on the surfaces they are used on;
// TestContrast computes it.
var lightColors = map[fyne.ThemeColorName]color.Color{
	colCanvas: rgba(0xF4F5F8FF), colCard: rgba(0xFFFFFFFF), colLine: rgba(0xE4E7EDFF), colText: rgba(0x12161FFF), colMuted: rgba(0x566072FF),
	colAccent: rgba(0x2F5BEAFF), colAccentHi: rgba(0x2449C8FF), colOnAccent: rgba(0xFFFFFFFF), colTrack: rgba(0xC3C9D4FF), colQuiet: rgba(0x0F172A0E), colQuietHi: rgba(0x0F172A1C),
	colCalm: rgba(0x2F5BEAFF), colCalmBg: rgba(0x2F5BEA17), colWarn: rgba(0x955000FF), colWarnBg: rgba(0xF59E0B26), colRisk: rgba(0xC02626FF), colRiskBg: rgba(0xEF44441C),
	colGood: rgba(0x0B7A4BFF), colGoodBg: rgba(0x10B9811F), colSegment: rgba(0xFFFFFFFF), colShadow: rgba(0x10182824), colThumb: rgba(0xFFFFFFFF), colRing: rgba(0x2F5BEA8C),
	colScrim: rgba(0x0F172A66), colNone: color.Transparent,
}

var darkColors = map[fyne.ThemeColorName]color.Color{
	colCanvas: rgba(0x14161BFF), colCard: rgba(0x1E2128FF), colLine: rgba(0x2E323BFF), colText: rgba(0xF1F3F7FF), colMuted: rgba(0x9AA3B2FF),
	colAccent: rgba(0x4C7DFFFF), colAccentHi: rgba(0x6A93FFFF), colOnAccent: rgba(0xFFFFFFFF), colTrack: rgba(0x4A515FFF), colQuiet: rgba(0xFFFFFF12), colQuietHi: rgba(0xFFFFFF21),
	colCalm: rgba(0x8FB0FFFF), colCalmBg: rgba(0x4C7DFF29), colWarn: rgba(0xFFC266FF), colWarnBg: rgba(0xF59E0B29), colRisk: rgba(0xFF9188FF), colRiskBg: rgba(0xEF44442E),
	colGood: rgba(0x5FD9A4FF), colGoodBg: rgba(0x10B98129), colSegment: rgba(0x4A5160FF), colShadow: rgba(0x00000066), colThumb: rgba(0xFFFFFFFF), colRing: rgba(0x6A93FFB3),
	colScrim: rgba(0x000000A6), colNone: color.Transparent,
}

// Looks that the user can choose.
const (
	LookSystem = "system"
	LookLight  = "light"
	LookDark   = "dark"
)

// Theme is Paddock's look. The zero value follows the system; Look forces one.
type Theme struct{ Look string }

func (t Theme) palette(v fyne.ThemeVariant) map[fyne.ThemeColorName]color.Color {
	if t.Look == LookDark || t.Look != LookLight && v == theme.VariantDark {
		return darkColors
	}
	return lightColors
}

// Color implements fyne.Theme.
func (t Theme) Color(n fyne.ThemeColorName, v fyne.ThemeVariant) color.Color {
	p := t.palette(v)
	if c, ok := p[n]; ok {
		return c
	}
	switch n {
	case theme.ColorNameBackground:
		return p[colCanvas]
	case theme.ColorNameForeground:
		return p[colText]
	case theme.ColorNamePrimary, theme.ColorNameHyperlink:
		return p[colAccent]
	case theme.ColorNameForegroundOnPrimary:
		return p[colOnAccent]
	case theme.ColorNameFocus:
		return p[colRing]
	case theme.ColorNameSelection:
		return p[colCalmBg]
	case theme.ColorNameSeparator, theme.ColorNameInputBorder:
		return p[colLine]
	case theme.ColorNameInputBackground, theme.ColorNameOverlayBackground, theme.ColorNameMenuBackground:
		return p[colCard]
	case theme.ColorNameHover:
		return p[colQuiet]
	case theme.ColorNameButton:
		return p[colQuiet]
	case theme.ColorNamePlaceHolder, theme.ColorNameDisabled:
		return p[colMuted]
	case theme.ColorNameScrollBar:
		return p[colTrack]
	case theme.ColorNameScrollBarBackground:
		return color.Transparent
	}
	// What is left is drawn by Fyne's own dialogs: give them the variant that fits.
	if t.palette(v)[colCanvas] == darkColors[colCanvas] {
		return theme.DefaultTheme().Color(n, theme.VariantDark)
	}
	return theme.DefaultTheme().Color(n, theme.VariantLight)
}

// Font implements fyne.Theme.
func (Theme) Font(s fyne.TextStyle) fyne.Resource {
	switch {
	case s.Monospace, s.Symbol, s.Italic:
		return theme.DefaultTheme().Font(s)
	case s.Bold:
		return faceSemi
	}
	return faceRegular
}

// Icon implements fyne.Theme.
func (Theme) Icon(n fyne.ThemeIconName) fyne.Resource { return theme.DefaultTheme().Icon(n) }

// Size implements fyne.Theme.
func (Theme) Size(n fyne.ThemeSizeName) float32 {
	switch n {
	case theme.SizeNameText:
		return 14
	case theme.SizeNameInputRadius, theme.SizeNameSelectionRadius:
		return 10
	case theme.SizeNameScrollBar:
		return 10
	case theme.SizeNameScrollBarSmall:
		return 4
	case theme.SizeNamePadding:
		return 4
	}
	return theme.DefaultTheme().Size(n)
}

// named resolves a colour in the running look.
func named(n fyne.ThemeColorName) color.Color {
	s := fyne.CurrentApp().Settings()
	return s.Theme().Color(n, s.ThemeVariant())
}

// mix blends a into b; t runs from 0 (a) to 1 (b).
func mix(a, b color.Color, t float32) color.Color {
	x, y := color.NRGBAModel.Convert(a).(color.NRGBA), color.NRGBAModel.Convert(b).(color.NRGBA)
	at := func(p, q uint8) uint8 { return uint8(float32(p) + (float32(q)-float32(p))*t) }
	return color.NRGBA{at(x.R, y.R), at(x.G, y.G), at(x.B, y.B), at(x.A, y.A)}
}

// tone is a pair of colours for a mark: what it is drawn with and what lies behind.
type tone struct{ fg, bg fyne.ThemeColorName }

var (
	toneCalm  = tone{colCalm, colCalmBg}
	toneWarn  = tone{colWarn, colWarnBg}
	toneRisk  = tone{colRisk, colRiskBg}
	toneGood  = tone{colGood, colGoodBg}
	toneQuiet = tone{colMuted, colQuiet}
)
