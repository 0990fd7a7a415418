package ui

import (
	"cmp"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// readmeShots are the pictures that the README shows, by the name that TestShots gives them.
var readmeShots = map[string]string{
	"prompt-light": "prompt-light", "prompt-dark": "prompt-dark",
	"library-light": "library-light", "library-dark": "library-dark",
	"app-rights-light": "review-light", "app-rights-dark": "review-dark",
}

// readmeShotBytes bounds each of them: whoever clones the repository gets every version.
const readmeShotBytes = 150 << 10

// writePicture writes a PNG of at most 256 colours, which for flat windows is a third of the size and looks the same.
func writePicture(path string, im image.Image) (bytes int64, err error) {
	out, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer out.Close()
	flat := image.NewPaletted(im.Bounds(), fewColors(im, 256))
	nearest := map[color.RGBA]uint8{}
	for y := im.Bounds().Min.Y; y < im.Bounds().Max.Y; y++ {
		for x := im.Bounds().Min.X; x < im.Bounds().Max.X; x++ {
			c := color.RGBAModel.Convert(im.At(x, y)).(color.RGBA)
			i, known := nearest[c]
			if !known {
				i = uint8(flat.Palette.Index(c))
				nearest[c] = i
			}
			flat.SetColorIndex(x, y, i)
		}
	}
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(out, flat); err != nil {
		return 0, err
	}
	info, err := out.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), out.Close()
}

type counted struct {
	color.RGBA
	pixels int
}

// fewColors chooses n colours for a picture. Surfaces and plain text keep theirs: an eighth goes to the most frequent
// colours as they are. The rest, edges of letters, shadows and pictures, is shared out by median cut (Heckbert 1982).
func fewColors(im image.Image, n int) color.Palette {
	pixels := map[color.RGBA]int{}
	for y := im.Bounds().Min.Y; y < im.Bounds().Max.Y; y++ {
		for x := im.Bounds().Min.X; x < im.Bounds().Max.X; x++ {
			pixels[color.RGBAModel.Convert(im.At(x, y)).(color.RGBA)]++
		}
	}
	var all []counted
	for c, count := range maps.All(pixels) {
		all = append(all, counted{c, count})
	}
	slices.SortFunc(all, func(a, b counted) int { // in an order that does not change from run to run
		return cmp.Or(b.pixels-a.pixels, int(a.R)-int(b.R), int(a.G)-int(b.G), int(a.B)-int(b.B))
	})
	var palette color.Palette
	kept := min(n/8, len(all))
	for _, c := range all[:kept] {
		palette = append(palette, c.RGBA)
	}
	boxes := [][]counted{all[kept:]}
	for len(boxes[0]) > 1 && len(boxes) < n-kept {
		a, b := cutBox(boxes[0])
		boxes = append(boxes[1:], a, b)
		slices.SortStableFunc(boxes, func(a, b []counted) int { return cmp.Compare(boxSpread(b), boxSpread(a)) })
	}
	for _, box := range boxes {
		if len(box) > 0 {
			palette = append(palette, meanColor(box))
		}
	}
	return palette
}

var channels = []func(counted) int{
	func(c counted) int { return int(c.R) }, func(c counted) int { return int(c.G) }, func(c counted) int { return int(c.B) },
}

// widestChannel is the channel in which the colours of a box differ most, and by how much.
func widestChannel(box []counted) (channel, width int) {
	for i, of := range channels {
		low, high := 255, 0
		for _, c := range box {
			low, high = min(low, of(c)), max(high, of(c))
		}
		if high-low > width {
			channel, width = i, high-low
		}
	}
	return channel, width
}

// boxSpread is how much a box would gain from being cut.
func boxSpread(box []counted) int {
	if len(box) < 2 {
		return 0
	}
	total := 0
	for _, c := range box {
		total += c.pixels
	}
	_, width := widestChannel(box)
	return width * width * total
}

// cutBox halves a box of two or more colours by pixels, in its widest channel.
func cutBox(box []counted) (a, b []counted) {
	channel, _ := widestChannel(box)
	slices.SortStableFunc(box, func(a, b counted) int { return channels[channel](a) - channels[channel](b) })
	total := 0
	for _, c := range box {
		total += c.pixels
	}
	half, at := 0, 0
	for half < total/2 && at < len(box)-1 {
		half += box[at].pixels
		at++
	}
	at = max(at, 1)
	return box[:at], box[at:]
}

func meanColor(box []counted) color.RGBA {
	var r, g, b, total int
	for _, c := range box {
		r, g, b, total = r+int(c.R)*c.pixels, g+int(c.G)*c.pixels, b+int(c.B)*c.pixels, total+c.pixels
	}
	return color.RGBA{uint8(r / total), uint8(g / total), uint8(b / total), 255}
}

// keepForReadme writes a picture that the README shows to the folder in PADDOCK_README_SHOTS (make screenshots).
func (r *rig) keepForReadme(name string, im image.Image) {
	r.t.Helper()
	dir := os.Getenv("PADDOCK_README_SHOTS")
	if readmeShots[name] == "" || dir == "" {
		return
	}
	n, err := writePicture(filepath.Join(dir, readmeShots[name]+".png"), im)
	if err != nil {
		r.t.Fatal(err)
	}
	if n > readmeShotBytes {
		r.t.Errorf("%s has %d bytes, more than %d", name, n, readmeShotBytes)
	}
}

// TestPictureKeepsColors: few colours stay what they are; many become near ones.
func TestPictureKeepsColors(t *testing.T) {
	plain := image.NewRGBA(image.Rect(0, 0, 20, 20))
	for i := range 200 {
		plain.Set(i%20, i/20, color.RGBA{uint8(i), uint8(255 - i), 7, 255})
	}
	draw.Draw(plain, image.Rect(0, 10, 20, 20), image.NewUniform(color.White), image.Point{}, draw.Src)
	many := image.NewRGBA(image.Rect(0, 0, 256, 64))
	for i := range 256 * 64 {
		many.Set(i%256, i/256, color.RGBA{uint8(i % 256), uint8(i / 256 * 4), 90, 255})
	}
	for name, c := range map[string]struct {
		im   image.Image
		most int // difference in one channel
	}{"few": {plain, 0}, "many": {many, 24}} {
		path := filepath.Join(t.TempDir(), "x.png")
		if _, err := writePicture(path, c.im); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := png.Decode(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		worst := 0
		for y := range c.im.Bounds().Dy() {
			for x := range c.im.Bounds().Dx() {
				a, b := color.RGBAModel.Convert(c.im.At(x, y)).(color.RGBA), color.RGBAModel.Convert(got.At(x, y)).(color.RGBA)
				for _, d := range []int{int(a.R) - int(b.R), int(a.G) - int(b.G), int(a.B) - int(b.B)} {
					worst = max(worst, d, -d)
				}
			}
		}
		if worst > c.most {
			t.Errorf("%s: off by %d, at most %d", name, worst, c.most)
		}
	}
}
