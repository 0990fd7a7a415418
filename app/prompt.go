package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"paddock/app/bundle"
	"paddock/app/control"
	"paddock/app/gateway"
	"paddock/sandbox"
	"paddock/sandbox/permission"
	"paddock/store"
)

// Prompter asks a person. Closing the question is ErrCancelled: nothing is granted and nothing stored.
type Prompter interface {
	AskPermissions(ctx context.Context, q control.Prompt) (control.Answer, error)
}

// prompt is a question that a window shows.
type prompt struct {
	app    *installed
	q      control.Prompt
	answer chan control.Answer // receives exactly one
	once   sync.Once
}

func (p *prompt) close(ans control.Answer) { p.once.Do(func() { p.answer <- ans }) }

// askPermissions asks for every unanswered row and stores the answers. Only one question per app is open.
func (a *App) askPermissions(ctx context.Context, app *installed, res permission.Resolution) error {
	q, err := a.question(app, res)
	if err != nil {
		return err
	}
	if err := a.countAsk(app, res); err != nil {
		return err
	}
	ans, err := a.prompter.AskPermissions(ctx, q)
	if err != nil {
		return err
	}
	return a.takeAnswer(app, q, ans)
}

// question is what the prompt for app shows: the rows that are unanswered now.
func (a *App) question(app *installed, res permission.Resolution) (control.Prompt, error) {
	_, grants, err := a.resolve(app)
	if err != nil {
		return control.Prompt{}, err
	}
	uses, err := a.store.Use(app.id)
	if err != nil {
		return control.Prompt{}, fmt.Errorf("read the use: %w", err)
	}
	q := control.Prompt{
		Prompt: rand.Text(), App: app.rec.AppID, Name: app.rec.Name, Author: app.manifest.Author.Name,
		Publisher: a.publisherBefore(app), Origin: originOf(app.rec.Source), Bytes: app.rec.CodeBytes,
		Budget: wireBudget(app.rec.Budget), Caps: caps(), Update: len(app.rec.Previous) > 0,
	}
	if !res.Allow.AnyNet() {
		q.PagesCan = gateway.PagesCan()[0]
	}
	q.Icon, err = a.readIcon(app)
	if err != nil {
		a.log.Debug("icon", "app", app.rec.AppID, "err", err)
	}
	for _, row := range a.rows(app.manifest.Requests(), grants, uses) {
		p, err := permission.Parse(row.Permission)
		if err != nil {
			return control.Prompt{}, err
		}
		if res.Ask.Has(p) {
			row.Asks = app.rec.Asks[row.Permission]
			q.Rows = append(q.Rows, row)
		}
	}
	return q, nil
}

// originOf is where a source is, for people: the host of an address, the name of a file.
func originOf(source string) string {
	if u, err := url.Parse(source); err == nil && u.Host != "" {
		return u.Hostname()
	}
	return filepath.Base(source)
}

// countAsk remembers that the open rows were asked once more.
func (a *App) countAsk(app *installed, res permission.Resolution) error {
	return a.editRecord(app, func(rec *store.Install) {
		asks := maps.Clone(rec.Asks)
		if asks == nil {
			asks = map[string]int{}
		}
		for _, p := range res.Ask.All() {
			asks[p.String()]++
		}
		rec.Asks = asks
	})
}

// editRecord changes the record of an app: in the store first, then in memory.
func (a *App) editRecord(app *installed, edit func(*store.Install)) error {
	a.records.Lock()
	defer a.records.Unlock()
	a.mu.Lock()
	rec := app.rec
	a.mu.Unlock()
	edit(&rec)
	if err := a.store.PutInstall(rec); err != nil {
		return fmt.Errorf("record a change of %s: %w", rec.AppID, err)
	}
	a.mu.Lock()
	app.rec = rec
	a.changedLocked()
	a.mu.Unlock()
	return nil
}

// AskPermissions opens a prompt window and waits for its answer. It is the Prompter unless Options names another.
func (a *App) AskPermissions(ctx context.Context, q control.Prompt) (control.Answer, error) {
	app, err := a.find(q.App)
	if err != nil {
		return control.Answer{}, err
	}
	p := &prompt{app: app, q: q, answer: make(chan control.Answer, 1)}
	a.mu.Lock()
	for _, other := range a.prompts {
		if other.app == app {
			a.mu.Unlock()
			// The second caller's window is the first one's: bring it to the front and do not ask twice.
			if err := a.desktop.show(control.Show{Window: control.WindowPrompt, Prompt: other.q.Prompt}); err != nil {
				return control.Answer{}, err
			}
			return control.Answer{}, control.NewError(control.ExitRefused, "already_asking",
				fmt.Sprintf("%s is already asking for permissions.", app.rec.Name), "Answer the window that is open.", nil)
		}
	}
	a.prompts[q.Prompt] = p
	a.ordered = append(a.ordered, q.Prompt)
	a.changedLocked()
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		delete(a.prompts, q.Prompt)
		a.ordered = slices.DeleteFunc(a.ordered, func(id string) bool { return id == q.Prompt })
		a.changedLocked()
		a.mu.Unlock()
	}()
	if err := a.desktop.show(control.Show{Window: control.WindowPrompt, Prompt: q.Prompt}); err != nil {
		return control.Answer{}, err
	}
	select {
	case ans := <-p.answer:
		if ans.Cancel {
			return ans, errCancelled(app.rec.Name)
		}
		return ans, nil
	case <-ctx.Done():
		return control.Answer{}, ctx.Err()
	case <-a.ctx.Done():
		return control.Answer{}, errClosing
	}
}

// takeAnswer stores answers, after checking that they answer only what was asked: a window is a program,
// and what it sends is input.
func (a *App) takeAnswer(app *installed, q control.Prompt, ans control.Answer) error {
	asked := map[string]control.PermissionRow{}
	for _, r := range q.Rows {
		asked[r.Permission] = r
	}
	var stored, session []permission.Grant
	for _, row := range ans.Rows {
		if _, ok := asked[row.Permission]; !ok {
			return control.NewError(control.ExitRefused, "not_asked", fmt.Sprintf("The answer names %s, which was not asked.", row.Permission), "Nothing was stored.", nil)
		}
		g, err := a.grant(app, row.Permission, row.Allow, row.Session, row.Path, permission.ByPrompt)
		if err != nil {
			return err
		}
		if g.Decision == permission.Allow && g.Lifetime == permission.Session {
			session = append(session, g)
		} else {
			stored = append(stored, g)
		}
	}
	if ans.Budget != (control.Budget{}) {
		if _, err := a.setBudget(app, ans.Budget); err != nil {
			return err
		}
	}
	if err := a.store.PutGrants(app.id, stored...); err != nil {
		return fmt.Errorf("store the answers: %w", err)
	}
	a.mu.Lock()
	for _, g := range session {
		app.session[g.Permission] = g
	}
	if ans.Insist {
		app.insist = true
	}
	a.changedLocked()
	a.mu.Unlock()
	a.front.Set(a.doorEntry(app))
	return nil
}

// grant makes one checked answer.
func (a *App) grant(app *installed, text string, allow, session bool, path, by string) (permission.Grant, error) {
	r, err := findRequest(app.manifest.Requests(), text)
	if err != nil {
		return permission.Grant{}, err
	}
	g := permission.Grant{Permission: r.Permission, Decision: permission.Deny, Lifetime: permission.Always, Access: r.Access, Schedule: r.Schedule, At: a.now(), By: by}
	if !allow {
		return g, nil
	}
	g.Decision = permission.Allow
	if session {
		g.Lifetime = permission.Session
	}
	if r.Permission.Kind == permission.Files {
		if g.Path, err = a.pickedPath(app.rec.AppID, r, path); err != nil {
			return permission.Grant{}, err
		}
	} else if path != "" {
		return permission.Grant{}, control.NewError(control.ExitUsage, "path_not_wanted", fmt.Sprintf("%s takes no path.", text), "--path belongs to files:SLOT only.", nil)
	}
	return g, nil
}

// Prompt is what the window of an open question shows.
func (a *App) Prompt(_ context.Context, in control.PromptRef) (control.Prompt, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.prompts[in.Prompt]
	if p == nil {
		return control.Prompt{}, promptGone()
	}
	return p.q, nil
}

// Answer closes an open question.
func (a *App) Answer(_ context.Context, in control.Answer) error {
	a.mu.Lock()
	p := a.prompts[in.Prompt]
	a.mu.Unlock()
	if p == nil {
		return promptGone()
	}
	if !in.Cancel { // refuse a bad path here, where the window can still show why
		for _, row := range in.Rows {
			if _, err := a.grant(p.app, row.Permission, row.Allow, row.Session, row.Path, permission.ByPrompt); err != nil {
				return err
			}
		}
	}
	p.close(in)
	return nil
}

func promptGone() error {
	return control.NewError(control.ExitFailed, "prompt_gone", "This question is not open any more.", "Open the app again.", nil)
}

// cancelPrompts ends every open question without an answer: the program that showed them is gone.
func (a *App) cancelPrompts() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.prompts {
		p.close(control.Answer{Cancel: true})
	}
}

// Preview says exactly what a choice of answers would give: the runtime's arguments and the walls.
func (a *App) Preview(ctx context.Context, in control.Preview) ([]string, error) {
	name := in.App
	if in.Prompt != "" {
		q, err := a.Prompt(ctx, control.PromptRef{Prompt: in.Prompt})
		if err != nil {
			return nil, err
		}
		name = q.App
	}
	app, err := a.find(name)
	if err != nil {
		return nil, err
	}
	_, grants, err := a.resolve(app)
	if err != nil {
		return nil, err
	}
	for _, row := range in.Rows {
		if row.Allow && row.Path == "" {
			if p, err := permission.Parse(row.Permission); err == nil && p.Kind == permission.Files {
				continue // nothing picked yet
			}
		}
		g, err := a.grant(app, row.Permission, row.Allow, row.Session, row.Path, permission.ByPrompt)
		if err != nil {
			return nil, err
		}
		grants = slices.DeleteFunc(grants, func(o permission.Grant) bool { return o.Permission == g.Permission })
		grants = append(grants, g)
	}
	budget := app.rec.Budget
	if in.Budget != (control.Budget{}) {
		budget = merge(budget, in.Budget)
	}
	return a.technical(ctx, app, permission.Resolve(app.manifest.Requests(), grants), grants, budget)
}

func (a *App) technical(ctx context.Context, app *installed, res permission.Resolution, grants []permission.Grant, budget store.Budget) ([]string, error) {
	if app.manifest.Serve.Mode == bundle.ModeStatic {
		return []string{"no process: the host serves the files"}, nil
	}
	spec, err := a.specFor(app, res, grants, budget)
	if err != nil {
		return nil, err
	}
	lines, err := a.sandbox.Argv(spec)
	if err != nil {
		return nil, fmt.Errorf("work out the flags: %w", err)
	}
	for i := range lines {
		lines[i] = shorten(lines[i])
	}
	for _, w := range a.probe(ctx).Walls {
		lines = append(lines, fmt.Sprintf("# %s: %s %s", w.Name, w.State, w.Why))
	}
	return lines, nil
}

// shorten keeps a line readable: “any site” names every top-level domain, some 13,000 characters of them.
func shorten(line string) string {
	const most, ends = 600, 200
	if len(line) <= most {
		return line
	}
	return fmt.Sprintf("%s … (%d characters more) … %s", strings.ToValidUTF8(line[:ends], ""), len(line)-2*ends, strings.ToValidUTF8(line[len(line)-ends:], ""))
}

// caps are the most that a user may set.
func caps() control.Budget {
	most := sandbox.MaxBudget()
	return control.Budget{MemoryBytes: most.MemoryBytes, CPUPercent: most.CPUPercent, DiskBytes: most.DiskBytes}
}
