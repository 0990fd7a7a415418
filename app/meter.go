package app

import (
	"time"

	"paddock/app/control"
)

// meter turns byte counts into a rate over the last seconds and limits how often progress is sent.
type meter struct {
	now   func() time.Time
	step  string
	last  time.Time
	marks []mark
}

type mark struct {
	at    time.Time
	bytes int64
}

func newMeter(now func() time.Time) *meter { return &meter{now: now} }

func (m *meter) rate(step string, bytes int64) float64 {
	if step != m.step {
		m.step, m.marks, m.last = step, nil, time.Time{}
	}
	t := m.now()
	m.marks = append(m.marks, mark{t, bytes})
	for len(m.marks) > 2 && t.Sub(m.marks[0].at) > 3*time.Second {
		m.marks = m.marks[1:]
	}
	if len(m.marks) > 256 {
		m.marks = append([]mark{m.marks[0]}, m.marks[128:]...)
	}
	d := t.Sub(m.marks[0].at).Seconds()
	if d <= 0 {
		return 0
	}
	return float64(bytes-m.marks[0].bytes) / d
}

// progress is what to tell of a step, and whether it is time to: often enough, and always at its end.
func (m *meter) progress(source, step string, bytes, total int64) (p control.Progress, due bool) {
	p = control.Progress{Source: source, Step: step, Bytes: bytes, Total: total, BytesPerS: m.rate(step, bytes)}
	return p, m.due() || bytes == total
}

// due reports whether a tenth of a second has passed since the last progress of this step.
func (m *meter) due() bool {
	t := m.now()
	if t.Sub(m.last) < 100*time.Millisecond {
		return false
	}
	m.last = t
	return true
}
