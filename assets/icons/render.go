//go:build ignore

// Command render draws every bitmap in this folder from its SVG sources with rsvg-convert:
//
//	cd assets/icons && go run render.go
//
// The bitmaps are committed, so that building Paddock needs no drawing tool.
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"log"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

const (
	ink       = "#12161F" // on light panels: the text colour of the light theme
	snow      = "#F1F3F7" // on dark panels: the text colour of the dark theme
	attention = "#F59E0B" // the dot: something waits for the user
	traySize  = 64        // pixels: four times 16, so that panels of every scale get a sharp picture
)

func main() {
	log.SetFlags(0)
	for _, size := range []int{16, 22, 24, 32, 48, 64, 128, 256, 512} {
		write(fmt.Sprintf("paddock-%d.png", size), encode(app(size)))
	}
	write("paddock.png", encode(app(512)))
	write("paddock.ico", ico(app, 16, 20, 24, 32, 48, 64, 256))

	glyph := source("tray.svg")
	for name, paint := range map[string]string{"tray-on-light": ink, "tray-on-dark": snow, "tray-template": "#000000"} {
		svg := strings.ReplaceAll(glyph, "#000000", paint)
		calm := func(size int) *image.NRGBA { return render(svg, size) }
		dot := attention
		if name == "tray-template" {
			dot = "#000000" // macOS keeps only the alpha of a template
		}
		loud := func(size int) *image.NRGBA { return dotted(calm(size), dot) }
		write(name+".png", encode(calm(traySize)))
		write(name+"-attention.png", encode(loud(traySize)))
		if name != "tray-template" {
			write(name+".ico", ico(calm, 16, 20, 24, 32, 48))
			write(name+"-attention.ico", ico(loud, 16, 20, 24, 32, 48))
		}
	}
	write("tray-color.png", encode(app(traySize)))
	write("tray-color-attention.png", encode(dotted(app(traySize), attention)))
}

// app is the application icon: the gate on its hill, or below 48 px the one on the pixel grid.
func app(size int) *image.NRGBA {
	if size < 48 {
		return render(source("paddock-small.svg"), size)
	}
	return render(source("paddock.svg"), size)
}

// dotted cuts a ring out of the upper right corner and puts a dot into it, so that the dot is told from
// the glyph by shape, without colour.
func dotted(img *image.NRGBA, paint string) *image.NRGBA {
	size := img.Bounds().Dx()
	cut := render(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="12.4" cy="3.6" r="4.6"/></svg>`, size)
	dot := render(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="12.4" cy="3.6" r="3.4" fill="`+paint+`"/></svg>`, size)
	for i := 3; i < len(img.Pix); i += 4 {
		img.Pix[i] = uint8(int(img.Pix[i]) * int(255-cut.Pix[i]) / 255)
	}
	draw.Draw(img, img.Bounds(), dot, image.Point{}, draw.Over)
	return img
}

func render(svg string, size int) *image.NRGBA {
	cmd := exec.Command("rsvg-convert", "-w", strconv.Itoa(size), "-h", strconv.Itoa(size))
	cmd.Stdin = strings.NewReader(svg)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		log.Fatalf("rsvg-convert at %d px: %v", size, err)
	}
	src, err := png.Decode(bytes.NewReader(out))
	if err != nil {
		log.Fatal(err)
	}
	img := image.NewNRGBA(image.Rect(0, 0, size, size))
	draw.Draw(img, img.Bounds(), src, src.Bounds().Min, draw.Src)
	return img
}

func encode(img *image.NRGBA) []byte {
	var b bytes.Buffer
	e := png.Encoder{CompressionLevel: png.BestCompression}
	if err := e.Encode(&b, img); err != nil {
		log.Fatal(err)
	}
	return b.Bytes()
}

// ico packs pictures into a Windows icon: bitmaps below 256 px, because LoadImage on older Windows
// reads PNG entries only at 256.
func ico(picture func(int) *image.NRGBA, sizes ...int) []byte {
	var dir, data bytes.Buffer
	le := binary.LittleEndian
	put := func(b *bytes.Buffer, v ...any) {
		for _, x := range v {
			_ = binary.Write(b, le, x) // a bytes.Buffer does not fail
		}
	}
	put(&dir, uint16(0), uint16(1), uint16(len(sizes)))
	for _, size := range sizes {
		img := picture(size)
		entry := encode(img)
		if size < 256 {
			entry = dib(img)
		}
		put(&dir, uint8(size), uint8(size), uint16(0), uint16(1), uint16(32),
			uint32(len(entry)), uint32(6+16*len(sizes)+data.Len()))
		data.Write(entry)
	}
	return append(dir.Bytes(), data.Bytes()...)
}

// dib is a BITMAPINFOHEADER with 32-bit pixels, bottom row first, and an AND mask of transparent pixels.
func dib(img *image.NRGBA) []byte {
	size := img.Bounds().Dx()
	maskRow := (size + 31) / 32 * 4
	var b bytes.Buffer
	header := []any{
		uint32(40), int32(size), int32(2 * size), uint16(1), uint16(32), uint32(0),
		uint32(size*size*4 + size*maskRow), int32(0), int32(0), uint32(0), uint32(0),
	}
	for _, v := range header {
		_ = binary.Write(&b, binary.LittleEndian, v) // a bytes.Buffer does not fail
	}
	mask := make([]byte, size*maskRow)
	for row := range size {
		y := size - 1 - row
		for x := range size {
			c := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
			b.Write([]byte{c.B, c.G, c.R, c.A})
			if c.A == 0 {
				mask[row*maskRow+x/8] |= 0x80 >> (x % 8)
			}
		}
	}
	b.Write(mask)
	return b.Bytes()
}

func source(name string) string {
	raw, err := os.ReadFile(name)
	if err != nil {
		log.Fatal(err)
	}
	return string(raw)
}

func write(name string, content []byte) {
	if err := os.WriteFile(name, content, 0o644); err != nil {
		log.Fatal(err)
	}
}
