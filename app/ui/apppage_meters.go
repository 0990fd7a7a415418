package ui

import (
	"fyne.io/fyne/v2"

	"paddock/app/control"
)

// meters shows what an app uses of its limits, with the last two minutes.
type meters struct {
	view              *fyne.Container
	memory, cpu, disk *meter
	budget            control.Budget
}

type meter struct {
	view  *fyne.Container
	value *paragraph
	limit *paragraph
	bar   *bar
	plot  *plot
}

func newMeters() *meters {
	m := &meters{memory: newMeter("chip", tr("Memory")), cpu: newMeter("gauge", tr("Processor")), disk: newMeter("disk", tr("Disk"))}
	m.view = grid(12, 160, m.memory.view, m.cpu.view, m.disk.view)
	return m
}

func newMeter(icon, name string) *meter {
	m := &meter{
		value: newParagraph(17, 23, run{text: "–", face: faceSemi, col: colText}).oneLine(),
		limit: mutedText(" "), bar: newBar(0, 6), plot: newPlot(34),
	}
	m.view = flatCard(pad(vbox(0,
		hflex(6, 1, newIcon(icon, 14, colMuted), smallText(name, colMuted)),
		pad(m.value, 4, 0, 0, 0), m.limit,
		pad(m.plot, 6, 0, 6, 0), m.bar), 12, 14, 14, 14))
	return m
}

func (m *meters) limits(b control.Budget) {
	m.budget = b
	m.memory.limit.setText(tr("of {{.Limit}}", "Limit", bytesText(b.MemoryBytes)))
	m.cpu.limit.setText(tr("of {{.Limit}} of one core", "Limit", percentText(b.CPUPercent)))
	m.disk.limit.setText(tr("of {{.Limit}}", "Limit", bytesText(b.DiskBytes)))
}

// update adds a sample. disk is what was measured last, for an app that does not run.
func (m *meters) update(a control.AppState, disk int64) {
	if a.Budget != (control.Budget{}) {
		m.limits(a.Budget)
	}
	if a.Usage == nil {
		m.memory.show("–", 0, false)
		m.cpu.show("–", 0, false)
		m.disk.show(bytesText(disk), part(float64(disk), float64(m.budget.DiskBytes)), false)
		return
	}
	u := a.Usage
	m.memory.show(bytesText(u.MemoryBytes), part(float64(u.MemoryBytes), float64(m.budget.MemoryBytes)), true)
	m.cpu.show(percentText(u.CPUPercent), part(u.CPUPercent, m.budget.CPUPercent), true)
	m.disk.show(bytesText(u.DiskBytes), part(float64(u.DiskBytes), float64(m.budget.DiskBytes)), true)
}

func part(used, limit float64) float64 {
	if limit <= 0 {
		return 0
	}
	return used / limit
}

func (m *meter) show(value string, part float64, live bool) {
	m.value.setText(value)
	col := colAccent
	switch {
	case part >= 0.95:
		col = colRisk
	case part >= 0.8:
		col = colWarn
	}
	m.bar.set(part, col)
	m.plot.tone = col
	if live {
		m.plot.add(part)
	}
}
