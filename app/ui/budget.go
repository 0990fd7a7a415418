package ui

import (
	"math"
	"strconv"
	"strings"

	"fyne.io/fyne/v2"

	"paddock/app/control"
)

// budgetView shows limits as a sentence and lets them be changed as numbers.
type budgetView struct {
	view    *fyne.Container
	text    *paragraph
	edit    *disclosure
	fields  []*limitField
	budget  control.Budget
	extra   *fyne.Container // below the fields
	changed func(control.Budget)
}

// limitField is one number with its unit and range.
type limitField struct {
	entry    *field
	note     *paragraph
	box      fyne.CanvasObject
	unit     float64 // of the number, in bytes or percent
	suffix   string
	min, max float64 // in the number's unit; max 0: none known
	bad      bool
	get      func(control.Budget) float64
	put      func(*control.Budget, float64)
}

const (
	mebibyte = 1 << 20
	gibibyte = 1 << 30
)

// newBudgetView shows b; caps are the most that the host allows (zero fields: not known here). changed gets every
// valid change, moved is called when the height changes.
func newBudgetView(b, caps control.Budget, changed func(control.Budget), moved func()) *budgetView {
	v := &budgetView{budget: b, text: mutedText(budgetSentence(b)), extra: vbox(0), changed: changed}
	diskUnit, diskSuffix := float64(mebibyte), "MB"
	if b.DiskBytes >= gibibyte && b.DiskBytes%(gibibyte/4) == 0 {
		diskUnit, diskSuffix = gibibyte, "GB"
	}
	v.fields = []*limitField{
		{
			unit: mebibyte, suffix: "MB", min: 64, max: float64(caps.MemoryBytes) / mebibyte,
			get: func(b control.Budget) float64 { return float64(b.MemoryBytes) },
			put: func(b *control.Budget, x float64) { b.MemoryBytes = int64(x) },
		},
		{
			unit: 1, suffix: "%", min: 5, max: caps.CPUPercent,
			get: func(b control.Budget) float64 { return b.CPUPercent },
			put: func(b *control.Budget, x float64) { b.CPUPercent = x },
		},
		{
			unit: diskUnit, suffix: diskSuffix, min: math.Max(16*mebibyte/diskUnit, 0.1), max: float64(caps.DiskBytes) / diskUnit,
			get: func(b control.Budget) float64 { return float64(b.DiskBytes) },
			put: func(b *control.Budget, x float64) { b.DiskBytes = int64(x) },
		},
	}
	names := []string{tr("Memory"), tr("Processor"), tr("Disk")}
	boxes := make([]fyne.CanvasObject, len(v.fields))
	for i, l := range v.fields {
		l.build(names[i], b)
		l.entry.OnChanged = func(s string) {
			was := l.bad
			x, ok := l.parse(s)
			l.bad = !ok
			l.hint()
			if ok {
				l.put(&v.budget, x)
				v.text.setText(budgetSentence(v.budget))
				v.changed(v.budget)
			}
			if was != l.bad {
				moved()
			}
		}
		boxes[i] = l.box
	}
	fields := vbox(0, grid(12, 108, boxes...), v.extra)
	v.edit = newDisclosure(tr("Change the limits"), pad(fields, 2, 0, 2, 4), func(bool) { moved() })
	v.view = pad(hflexTop(14, 1, pad(chip("gauge", toneQuiet, 38), 1, 0, 0, 0),
		vbox(2, newParagraph(14, 21, run{text: tr("Limits while it runs"), face: faceMedium, col: colText}), v.text, pad(v.edit.Container, 2, 0, 0, -4))), 13, 14, 12, 14)
	return v
}

func (l *limitField) build(name string, b control.Budget) {
	l.entry = newField(name, "", 64, nil)
	l.entry.SetText(plainNumber(l.get(b) / l.unit))
	l.note = newParagraph(11.5, 16, run{face: faceRegular, col: colMuted})
	l.hint()
	l.box = vbox(3, smallText(name, colMuted), hflex(6, 0, l.entry, least(24, smallText(l.suffix, colText))), l.note)
}

// hint says the range, in red when the number lies outside.
func (l *limitField) hint() {
	s, col := tr("at least {{.Min}}", "Min", number(l.min)), colMuted
	if l.max > 0 {
		s = tr("{{.Min}} to {{.Max}}", "Min", number(l.min), "Max", number(l.max))
	}
	if l.bad {
		col = colRisk
	}
	l.note.set(run{text: s, face: faceRegular, col: col})
}

// parse reads a number with either decimal mark.
func (l *limitField) parse(s string) (float64, bool) {
	x, err := strconv.ParseFloat(strings.Replace(strings.TrimSpace(s), ",", ".", 1), 64)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) || x < l.min || l.max > 0 && x > l.max*1.0001 {
		return 0, false
	}
	return x * l.unit, true
}

func (v *budgetView) wrong() bool {
	for _, l := range v.fields {
		if l.bad {
			return true
		}
	}
	return false
}

func plainNumber(x float64) string {
	return strconv.FormatFloat(math.Round(x*100)/100, 'f', -1, 64)
}
