package assets

import (
	"bytes"
	"encoding/json"
	"image/png"
	"io/fs"
	"testing"
)

func TestIcons(t *testing.T) {
	size := func(name string, raw []byte, want int) {
		t.Helper()
		img, err := png.Decode(bytes.NewReader(raw))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if b := img.Bounds(); b.Dx() != want || b.Dy() != want {
			t.Errorf("%s is %v, want %d px", name, b, want)
		}
	}
	size("the application icon", AppPNG, 512)
	seen := map[string]string{}
	for _, p := range []Panel{PanelUnknown, PanelLight, PanelDark, PanelTemplate} {
		for _, attention := range []bool{false, true} {
			name := string(p)
			if attention {
				name += " with attention"
			}
			raw := Tray(p, attention)
			size(name, raw, 64)
			if other, ok := seen[string(raw)]; ok {
				t.Errorf("%s looks like %s", name, other)
			}
			seen[string(raw)] = name
		}
	}
	for _, p := range []Panel{PanelLight, PanelDark, PanelUnknown, "something else"} {
		for _, attention := range []bool{false, true} {
			if ico := TrayICO(p, attention); !bytes.HasPrefix(ico, []byte{0, 0, 1, 0, 5, 0}) {
				t.Errorf("%s: not an icon of five sizes: % x", p, ico[:6])
			}
		}
	}
	if !bytes.Equal(Tray("something else", true), Tray(PanelUnknown, true)) {
		t.Error("an unknown panel does not get the coloured icon")
	}
	if !bytes.HasPrefix(AppICO, []byte{0, 0, 1, 0}) || !bytes.Contains(AppSVG, []byte("<svg")) {
		t.Error("the application icon is not what it says")
	}
}

func TestFonts(t *testing.T) {
	for name, font := range map[string][]byte{"regular": InterRegular, "medium": InterMedium, "semi-bold": InterSemiBold} {
		if !bytes.HasPrefix(font, []byte("OTTO")) {
			t.Errorf("Inter %s is no OpenType font", name)
		}
	}
	if !bytes.Contains([]byte(FontLicense), []byte("SIL OPEN FONT LICENSE Version 1.1")) {
		t.Error("the font's licence is not there")
	}
}

func TestTranslationsAreJSON(t *testing.T) {
	names, err := fs.Glob(Translations, "translations/*.json")
	if err != nil || len(names) < 2 {
		t.Fatalf("translations %v %v", names, err)
	}
	for _, name := range names {
		var texts map[string]any
		if raw := must(Translations.ReadFile(name)); json.Unmarshal(raw, &texts) != nil {
			t.Errorf("%s is not a JSON object", name)
		}
	}
}

func TestExamplesAreComplete(t *testing.T) {
	for _, app := range []string{"notes", "feeds"} {
		for _, file := range []string{"paddock.json", "main.ts", "icon.svg", "icon.png", "public/index.html", "public/style.css", "public/app.ts", "public/icon.svg"} {
			if info, err := fs.Stat(Examples(), app+"/"+file); err != nil || info.Size() == 0 {
				t.Errorf("%s/%s: %v", app, file, err)
			}
		}
		var manifest struct {
			Permissions struct {
				Network []struct{ Host, Reason string }
			}
		}
		if err := json.Unmarshal(must(fs.ReadFile(Examples(), app+"/paddock.json")), &manifest); err != nil {
			t.Fatal(err)
		}
		if n := len(manifest.Permissions.Network); (n == 0) != (app == "notes") {
			t.Errorf("%s asks for %d hosts", app, n)
		}
	}
}
