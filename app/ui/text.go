package ui

import (
	"image/color"
	"strings"
	"unicode/utf8"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"
)

// run is a stretch of text in one face and colour. With back set it is drawn as a pill and never broken.
type run struct {
	text string
	face fyne.Resource
	mono bool
	size float32 // 0: the paragraph's
	col  fyne.ThemeColorName
	back fyne.ThemeColorName
}

// piece is a run's part on one line.
type piece struct {
	run
	x, width float32
}

// paragraph is wrapped text with a real line height, several faces and pills in the line.
type paragraph struct {
	widget.BaseWidget
	runs  []run
	size  float32 // of the text
	lead  float32 // line height
	align fyne.TextAlign
	most  int // lines; 0: any number. What does not fit ends with "…"

	width float32
	lines [][]piece
}

func newParagraph(size, lead float32, runs ...run) *paragraph {
	p := &paragraph{runs: runs, size: size, lead: lead, width: -1}
	p.ExtendBaseWidget(p)
	return p
}

// Styles of the windows, so that sizes are settled in one place.
func titleText(s string) *paragraph {
	return newParagraph(20, 26, run{text: s, face: faceSemi, col: colText})
}

func headText(s string) *paragraph {
	return newParagraph(15, 21, run{text: s, face: faceSemi, col: colText})
}

func bodyText(s string) *paragraph {
	return newParagraph(14, 20, run{text: s, face: faceRegular, col: colText})
}

func mutedText(s string) *paragraph {
	return newParagraph(12.5, 18, run{text: s, face: faceRegular, col: colMuted})
}

func smallText(s string, col fyne.ThemeColorName) *paragraph {
	return newParagraph(12.5, 18, run{text: s, face: faceMedium, col: col})
}

func monoText(s string) *paragraph {
	return newParagraph(11.5, 17, run{text: s, mono: true, col: colMuted})
}

func (p *paragraph) centred() *paragraph { p.align = fyne.TextAlignCenter; return p }
func (p *paragraph) oneLine() *paragraph { p.most = 1; return p }

func (p *paragraph) lineCap(n int) *paragraph { p.most = n; return p }

// set replaces the text; nothing happens when it is the same.
func (p *paragraph) set(runs ...run) {
	if len(runs) == len(p.runs) {
		same := true
		for i := range runs {
			same = same && runs[i] == p.runs[i]
		}
		if same {
			return
		}
	}
	p.runs, p.width = runs, -1
	p.Refresh()
}

// setText replaces the text of a paragraph with one run.
func (p *paragraph) setText(s string) {
	r := p.runs[0]
	r.text = s
	p.set(r)
}

// String is the text without faces, for tests and for copying.
func (p *paragraph) String() string {
	var b strings.Builder
	for _, r := range p.runs {
		b.WriteString(r.text)
	}
	return b.String()
}

func (p *paragraph) sizeOf(r run) float32 {
	if r.size > 0 {
		return r.size
	}
	return p.size
}

func (p *paragraph) measure(r run, s string) float32 {
	z, _ := fyne.CurrentApp().Driver().RenderedTextSize(s, p.sizeOf(r), fyne.TextStyle{Monospace: r.mono}, r.face)
	return z.Width
}

const pillPad = 8

// natural is the width of everything on one line.
func (p *paragraph) natural() (w float32) {
	for _, l := range p.wrap(1 << 20) {
		if n := len(l); n > 0 {
			w = max(w, l[n-1].x+l[n-1].width)
		}
	}
	return w
}

// wrap breaks the text at spaces, and inside words that are wider than a line.
func (p *paragraph) wrap(width float32) [][]piece {
	var lines [][]piece
	var line []piece
	x := float32(0)
	flush := func() {
		lines = append(lines, line)
		line, x = nil, 0
	}
	put := func(r run, s string) {
		// Extending the last piece keeps kerning and spaces as the font wants them.
		if n := len(line); n > 0 && line[n-1].back == "" && r.back == "" && same(line[n-1].run, r) {
			last := &line[n-1]
			last.text += s
			last.width = p.measure(r, last.text)
			x = last.x + last.width
			return
		}
		w := p.measure(r, s)
		r.text = s
		line = append(line, piece{run: r, x: x, width: w})
		x += w
	}
	for _, r := range p.runs {
		if r.back != "" {
			w := p.measure(r, r.text) + 2*pillPad
			gap := float32(0)
			if x > 0 {
				gap = 8
			}
			if x+gap+w > width && x > 0 {
				flush()
				gap = 0
			}
			line = append(line, piece{run: r, x: x + gap, width: w})
			x += gap + w
			continue
		}
		for _, token := range tokens(r.text) {
			if token == "\n" {
				flush()
				continue
			}
			word := token
			if x == 0 {
				word = strings.TrimLeft(word, " ")
			}
			if word == "" {
				continue
			}
			fits := func(s string) bool { return x+p.measure(r, strings.TrimRight(s, " ")) <= width+0.5 }
			if !fits(word) && x > 0 {
				flush()
				word = strings.TrimLeft(word, " ")
			}
			for !fits(word) && utf8.RuneCountInString(word) > 1 {
				cut := 0
				for i := range word {
					if i > 0 && !fits(word[:i]) {
						break
					}
					cut = i
				}
				if cut == 0 {
					_, cut = utf8.DecodeRuneInString(word)
				}
				put(r, word[:cut])
				flush()
				word = word[cut:]
			}
			if word != "" {
				put(r, word)
			}
		}
	}
	if len(line) > 0 || len(lines) == 0 {
		flush()
	}
	if p.most > 0 && len(lines) > p.most {
		lines = lines[:p.most]
		p.ellipsis(lines[p.most-1], width)
	}
	return lines
}

// ellipsis shortens the last text piece of a line that goes on.
func (p *paragraph) ellipsis(line []piece, width float32) {
	for i := len(line) - 1; i >= 0; i-- {
		if line[i].back != "" {
			continue
		}
		s := strings.TrimRight(line[i].text, " ")
		for s != "" && line[i].x+p.measure(line[i].run, s+"…") > width {
			_, n := utf8.DecodeLastRuneInString(s)
			s = s[:len(s)-n]
		}
		line[i].text = s + "…"
		line[i].width = p.measure(line[i].run, line[i].text)
		return
	}
}

func same(a, b run) bool {
	return a.face == b.face && a.mono == b.mono && a.size == b.size && a.col == b.col
}

// tokens cuts a text into words that carry the spaces before them, and line ends.
func tokens(s string) []string {
	var out []string
	for i, l := range strings.Split(s, "\n") {
		if i > 0 {
			out = append(out, "\n")
		}
		start, inWord := 0, false
		for j, r := range l {
			if r == ' ' {
				if inWord {
					out = append(out, l[start:j])
					start, inWord = j, false
				}
				continue
			}
			inWord = true
		}
		if start < len(l) {
			out = append(out, l[start:])
		}
	}
	return out
}

func (p *paragraph) broken(width float32) [][]piece {
	if p.width != width || p.lines == nil {
		p.lines, p.width = p.wrap(width), width
	}
	return p.lines
}

func (p *paragraph) heightFor(width float32) float32 {
	return p.lead * float32(len(p.broken(width)))
}

// MinSize is the natural width on one line (layouts that wrap give less and ask for the height).
func (p *paragraph) MinSize() fyne.Size {
	p.ExtendBaseWidget(p)
	w := p.natural()
	at := w
	if p.Size().Width > 0 {
		at = p.Size().Width
	}
	return fyne.NewSize(w, p.lead*float32(len(p.wrap(at+0.5))))
}

func (p *paragraph) CreateRenderer() fyne.WidgetRenderer {
	r := &paragraphRenderer{p: p}
	r.build(p.natural() + 1)
	return r
}

type paragraphRenderer struct {
	p       *paragraph
	objects []fyne.CanvasObject
	texts   []*canvas.Text
	pills   []*canvas.Rectangle
	pieces  []piece
	rows    []int
	width   float32
}

func (r *paragraphRenderer) Destroy()                     {}
func (r *paragraphRenderer) Objects() []fyne.CanvasObject { return r.objects }
func (r *paragraphRenderer) MinSize() fyne.Size           { return r.p.MinSize() }

// build makes one canvas text per piece, behind it a pill where there is one.
func (r *paragraphRenderer) build(width float32) {
	r.width = width
	r.objects, r.texts, r.pills, r.pieces, r.rows = nil, nil, nil, nil, nil
	for y, line := range r.p.broken(width) {
		for _, pc := range line {
			t := canvas.NewText(pc.text, named(pc.col))
			t.TextSize, t.FontSource = r.p.sizeOf(pc.run), pc.face
			t.TextStyle.Monospace = pc.mono
			var b *canvas.Rectangle
			if pc.back != "" {
				b = canvas.NewRectangle(color.Transparent)
				b.CornerRadius = 9
				r.objects = append(r.objects, b)
			}
			r.objects = append(r.objects, t)
			r.texts, r.pills = append(r.texts, t), append(r.pills, b)
			r.pieces, r.rows = append(r.pieces, pc), append(r.rows, y)
		}
	}
	r.paint()
}

func (r *paragraphRenderer) paint() {
	for i, t := range r.texts {
		t.Color = named(r.pieces[i].col)
		if b := r.pills[i]; b != nil {
			b.FillColor = named(r.pieces[i].back)
		}
	}
}

func (r *paragraphRenderer) Layout(size fyne.Size) {
	if size.Width != r.width || r.p.width != r.width {
		r.build(size.Width)
	}
	ends := map[int]float32{}
	for i, pc := range r.pieces {
		ends[r.rows[i]] = max(ends[r.rows[i]], pc.x+pc.width)
	}
	for i, t := range r.texts {
		pc, y := r.pieces[i], r.p.lead*float32(r.rows[i])
		x := pc.x
		switch r.p.align {
		case fyne.TextAlignCenter:
			x += (size.Width - ends[r.rows[i]]) / 2
		case fyne.TextAlignTrailing:
			x += size.Width - ends[r.rows[i]]
		}
		if b := r.pills[i]; b != nil {
			h := min(float32(18), r.p.lead-1)
			place(b, x, y+(r.p.lead-h)/2, pc.width, h)
			x += pillPad
		}
		place(t, x, y, pc.width, r.p.lead)
	}
}

func (r *paragraphRenderer) Refresh() {
	width := r.p.Size().Width
	if width <= 0 {
		width = r.p.natural() + 1
	}
	if r.p.width != r.width || r.width != width {
		r.build(width)
		r.Layout(r.p.Size())
	}
	r.paint()
	for _, o := range r.objects {
		o.Refresh()
	}
}

// pill is a run drawn as a pill.
func pill(s string, t tone) run {
	return run{text: s, face: faceSemi, size: 10.5, col: t.fg, back: t.bg}
}
