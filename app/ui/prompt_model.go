package ui

import (
	"slices"
	"time"

	"paddock/app/control"
	"paddock/sandbox/permission"
)

// promptRows is how many rows are shown at first; the rest folds away.
const promptRows = 7

// armDelay is how long after a question appeared its buttons do nothing: a click or key meant for what was there
// before must not answer it.
const armDelay = 500 * time.Millisecond

// promptModel is a permission prompt without its widgets: what was asked and what the user chose so far.
type promptModel struct {
	control.Prompt
	rows   []*promptRow
	budget control.Budget
	home   string
}

// promptRow is the user's present answer to one row.
type promptRow struct {
	control.PermissionRow
	allow   bool
	session bool
	path    string
	risk    string
	riskWhy string // of the picked path
}

// newPromptModel orders rows so that what the app cannot do without is never folded away, and sets the answers
// that the user starts from: ordinary rows on, except those that are folded (nobody saw them), need a path,
// are risky, were refused before or cannot be enforced.
func newPromptModel(p control.Prompt, home string) *promptModel {
	m := &promptModel{Prompt: p, budget: p.Budget, home: home}
	for _, r := range p.Rows {
		m.rows = append(m.rows, &promptRow{PermissionRow: r, risk: r.Risk, session: r.Risk == riskHigh})
	}
	slices.SortStableFunc(m.rows, func(a, b *promptRow) int {
		switch {
		case a.Required == b.Required:
			return 0
		case a.Required:
			return -1
		}
		return 1
	})
	for i, r := range m.rows {
		r.allow = i < promptRows && r.Enforced && r.risk != riskHigh && !r.needsPath() && r.Decision != control.DecideDeny
		if r.needsPath() && r.Path != "" {
			m.pick(r, r.Path)
			r.allow = i < promptRows && r.Enforced && r.risk != riskHigh && r.Decision == control.DecideAllow
		}
	}
	return m
}

func (r *promptRow) needsPath() bool { return r.Kind == string(permission.Files) }

// pick stores the chosen path of a file row, judges its risk, and switches the row on.
func (m *promptModel) pick(r *promptRow, path string) error {
	if err := permission.CheckSlotPath(path, nil); err != nil {
		return err
	}
	access, err := permission.ParseAccess(r.Access)
	if err != nil {
		access = permission.ReadWrite
	}
	risk, why := permission.RiskOfPath(path, m.home, access)
	r.path, r.riskWhy, r.risk, r.allow = path, why, r.Risk, true
	if risk == permission.High {
		r.risk, r.session = riskHigh, true
	}
	return nil
}

// answers is what is sent: every row that was asked and no other. all false refuses everything.
func (m *promptModel) answers(selected bool) []control.RowAnswer {
	out := make([]control.RowAnswer, 0, len(m.rows))
	for _, r := range m.rows {
		a := control.RowAnswer{Permission: r.Permission}
		if selected && r.allow && r.Enforced && (!r.needsPath() || r.path != "") {
			a.Allow, a.Session, a.Path = true, r.session, r.path
		}
		out = append(out, a)
	}
	return out
}

// refused lists the required rows that an answer refuses.
func (m *promptModel) refused(rows []control.RowAnswer) (out []*promptRow) {
	for i, r := range m.rows {
		if r.Required && !rows[i].Allow {
			out = append(out, r)
		}
	}
	return out
}

func (m *promptModel) folded() int { return max(len(m.rows)-promptRows, 0) }
