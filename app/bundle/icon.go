package bundle

import (
	"bytes"
	"cmp"
	"fmt"
	"image/png"
	"slices"
	"strings"
)

// Media types of icons.
const (
	mimePNG = "image/png"
	mimeSVG = "image/svg+xml"
)

// checkIcon decodes one icon for real and returns its media type. Limits are checked before anything is
// allocated by what the file says.
func checkIcon(icon Icon, content []byte, l Limits) (string, error) {
	if int64(len(content)) > l.Icon {
		return "", refuse(RuleIcon, icon.Src, "the icon has more than %d KiB", l.Icon>>10)
	}
	if strings.HasSuffix(icon.Src, ".svg") {
		if err := checkSVG(content); err != nil {
			return "", refuse(RuleIcon, icon.Src, "%s", err.Error()).
				hint("Save it as plain SVG: shapes, text and gradients only.")
		}
		return mimeSVG, nil
	}
	return mimePNG, checkPNG(icon, content, l)
}

func checkPNG(icon Icon, content []byte, l Limits) error {
	config, err := png.DecodeConfig(bytes.NewReader(content))
	if err != nil {
		return refuse(RuleIcon, icon.Src, "it is not a PNG image: %v", err)
	}
	if config.Width > l.IconSide || config.Height > l.IconSide {
		return refuse(RuleIcon, icon.Src, "it has %d×%d pixels; %d along a side are allowed", config.Width, config.Height, l.IconSide)
	}
	if config.Width != config.Height {
		return refuse(RuleIcon, icon.Src, "it has %d×%d pixels; an icon is a square", config.Width, config.Height)
	}
	if config.Width != icon.Size {
		return refuse(RuleIcon, icon.Src, "it has %d pixels along a side, but the manifest says %d", config.Width, icon.Size)
	}
	r := bytes.NewReader(content)
	if _, err := png.Decode(r); err != nil {
		return refuse(RuleIcon, icon.Src, "it is not a whole PNG image: %v", err)
	}
	if r.Len() > 0 {
		return refuse(RuleIcon, icon.Src, "%d bytes follow the end of the image", r.Len())
	}
	return nil
}

// mainIcon picks the icon that stands for the app: one for both themes, then the smallest of at least
// minIconSide, then the biggest.
func mainIcon(icons []Icon) (Icon, error) {
	if len(icons) == 0 {
		return Icon{}, fmt.Errorf("no icon")
	}
	rank := func(i Icon) int {
		r := 0
		if i.Theme != "" {
			r += 2
		}
		if i.Size < minIconSide {
			r += 4
		}
		return r
	}
	return slices.MinFunc(icons, func(a, b Icon) int {
		bySize := cmp.Compare(a.Size, b.Size)
		if a.Size < minIconSide && b.Size < minIconSide {
			bySize = -bySize
		}
		return cmp.Or(cmp.Compare(rank(a), rank(b)), bySize)
	}), nil
}
