package cli

import (
	"context"
	"time"

	"github.com/schollz/progressbar/v3"

	"paddock/app/control"
)

// meter shows how far a long step is, where a person watches.
type meter struct {
	p    *program
	bar  *progressbar.ProgressBar
	step string
}

var stepNames = map[string]string{"download": "Getting it", "verify": "Checking the signature", "unpack": "Unpacking", control.StepCopy: "Saving", control.StepRestore: "Restoring"}

func (m *meter) show(s control.Progress) {
	if m.p.json || !m.p.env.IsTerminal() {
		return
	}
	if s.RedirectTo != "" {
		m.close()
		m.p.note("The download goes on at %s.", s.RedirectTo)
	}
	if m.bar == nil || m.step != s.Step {
		m.close()
		m.step = s.Step
		m.bar = progressbar.NewOptions64(max(s.Total, -1),
			progressbar.OptionSetWriter(m.p.env.Stderr),
			progressbar.OptionSetDescription(either(stepNames[s.Step], harmless(s.Step))),
			progressbar.OptionShowBytes(true),
			progressbar.OptionUseIECUnits(true),
			progressbar.OptionSetWidth(24),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetSpinnerChangeInterval(0), // no goroutine that outlives the bar
			progressbar.OptionClearOnFinish(),
		)
	}
	_ = m.bar.Set64(s.Bytes) // a terminal that went away cannot be told
}

// close takes the bar off the screen.
func (m *meter) close() {
	if m.bar != nil {
		_ = m.bar.Clear()
		m.bar = nil
	}
}

// follow calls a method that tells how far it is, and shows that where a person watches.
func follow(ctx context.Context, p *program, method string, in, out any) error {
	c, err := p.connect(ctx)
	if err != nil {
		return err
	}
	m := &meter{p: p}
	defer m.close()
	return control.Events(ctx, c, method, in, out, func(s control.Progress) error {
		m.show(s)
		return nil
	})
}
