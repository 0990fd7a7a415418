package app

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"paddock/app/bundle"
	"paddock/app/control"
	"paddock/sandbox"
	"paddock/sandbox/permission"
	"paddock/store"
)

const (
	maxStages   = 8                // bundles waiting for an answer at one time
	stageExpiry = 30 * time.Minute // how long one waits
	devSuffix   = ".dev"           // unsigned apps live beside signed ones of the same id, never over them
)

// stage is a verified bundle that waits for the user's decision.
type stage struct {
	bundle *bundle.Staged
	appID  string
	dev    bool
	at     time.Time
	back   *returning // of a backup; nil for a bundle that comes alone
}

// Stage reads or downloads a bundle, verifies it and unpacks it aside. Nothing is installed and nothing of
// an installed app changes. Cancelling ctx leaves nothing behind.
func (a *App) Stage(ctx context.Context, in control.Stage, on func(control.Progress) error) (control.Staged, error) {
	a.mu.Lock()
	full := len(a.stages) >= maxStages
	a.mu.Unlock()
	if full {
		return control.Staged{}, control.NewError(control.ExitFailed, "too_many_reviews",
			fmt.Sprintf("%d bundles already wait for an answer.", maxStages), "Answer or close one of the reviews first.", nil)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(a.ctx, func() { cancel(errClosing) })
	defer stop()

	key := rand.Text()
	meter := newMeter(a.now)
	defer a.setDownload(key, nil)
	staged, err := bundle.Open(ctx, in.Source, bundle.Options{
		Dev: in.Dev, Staging: a.stagingDir(), Paddock: a.opts.Product.Version,
		Progress: func(p bundle.Progress) {
			out, due := meter.progress(in.Source, p.Step, p.Bytes, p.Total)
			if !due {
				return
			}
			out.RedirectTo = p.Redirect
			a.setDownload(key, &out)
			if err := on(out); err != nil {
				cancel(err) // the client is gone
			}
		},
	})
	if err != nil {
		return control.Staged{}, installError(in.Source, err)
	}
	dev := in.Dev && !staged.Signed
	s := &stage{bundle: staged, appID: staged.Manifest.ID, dev: dev, at: a.now()}
	if dev {
		s.appID += devSuffix
	}
	if err := a.checkUpgrade(s); err != nil {
		return control.Staged{}, errors.Join(err, staged.Discard())
	}
	id := rand.Text()
	a.mu.Lock()
	a.stages[id] = s
	a.mu.Unlock()
	return a.describeStage(id, s), nil
}

// setDownload shows or (nil) ends a download in the state.
func (a *App) setDownload(key string, p *control.Progress) {
	a.mu.Lock()
	if p == nil {
		delete(a.download, key)
	} else {
		a.download[key] = *p
	}
	a.changedLocked()
	a.mu.Unlock()
}

// checkUpgrade holds the rules of bundle.md, "Trust and updates": the same key, a greater version code.
func (a *App) checkUpgrade(s *stage) error {
	m := s.bundle.Manifest
	a.mu.Lock()
	defer a.mu.Unlock()
	if in := a.byIDLocked(s.appID); in != nil {
		if in.rec.PublisherKey != s.bundle.PublicKey {
			return control.NewError(control.ExitRefused, "publisher_changed",
				fmt.Sprintf("%s is installed from the publisher with key %s, and this bundle is signed with %s.", in.rec.Name, shortKey(in.rec.PublisherKey), shortKey(s.bundle.PublicKey)),
				"The installed app was left as it is. Get the update from the original publisher, or uninstall the app first.", nil)
		}
		if s.dev {
			return nil // an author installs the same version again and again
		}
		if m.VersionCode == in.rec.VersionCode && s.back == nil {
			return control.NewError(control.ExitRefused, "already_installed",
				fmt.Sprintf("%s %s (version code %d) is already installed.", in.rec.Name, in.rec.Version, in.rec.VersionCode),
				"Nothing was changed.", nil)
		}
		if m.MinUpgradeFrom > in.rec.VersionCode && m.VersionCode != in.rec.VersionCode {
			return control.NewError(control.ExitRefused, "version_gap",
				fmt.Sprintf("%s %s can only be installed over version code %d or later; %d is installed.", m.Name, m.Version, m.MinUpgradeFrom, in.rec.VersionCode),
				"Install the version in between first.", nil)
		}
	}
	floor, err := a.floor(s)
	if err != nil {
		return err
	}
	if m.VersionCode < floor {
		hint := "Older versions are not installed over newer data. Uninstall with --purge to start over."
		if s.back != nil {
			hint = fmt.Sprintf("Nothing was changed. To go back to it, save the present state with “paddock backup”, delete it with “paddock uninstall %s --purge”, and restore again.", s.appID)
		}
		return control.NewError(control.ExitRefused, "version_lower",
			fmt.Sprintf("%s %s has version code %d, and %d was installed before.", m.Name, m.Version, m.VersionCode, floor), hint, nil)
	}
	return nil
}

// floor is the highest version code that this key ever had here under this id, while its data is kept.
func (a *App) floor(s *stage) (uint32, error) {
	if s.dev {
		return 0, nil
	}
	pin, ok, err := a.pin(s.appID, s.bundle.PublicKey)
	if err != nil || !ok {
		return 0, err
	}
	return pin.Floor, nil
}

// pin finds what binds an app id to a key: there is one while the app is installed or its data kept.
func (a *App) pin(appID, key string) (store.Pin, bool, error) {
	pins, err := a.store.Pins(appID)
	if err != nil {
		return store.Pin{}, false, fmt.Errorf("read the publisher of %s: %w", appID, err)
	}
	for _, p := range pins {
		if p.Key == key {
			return p, true, nil
		}
	}
	return store.Pin{}, false, nil
}

func shortKey(key string) string {
	if key == "" {
		return "(none, unsigned)"
	}
	if len(key) > 16 {
		return key[:8] + "…" + key[len(key)-6:]
	}
	return key
}

func (a *App) describeStage(id string, s *stage) control.Staged {
	m, b := s.bundle.Manifest, s.bundle
	out := control.Staged{
		Stage: id, ID: s.appID, Name: m.Name, Summary: m.Summary, Version: m.Version, VersionCode: m.VersionCode,
		Author: m.Author.Name, Homepage: m.Homepage, License: m.License,
		Publisher: a.publisher(b.PublicKey, s.appID), Origin: b.Origin, Bytes: b.Bytes, Unpacked: b.Unpacked,
		Requests: a.rows(m.Requests(), nil, nil), Wider: []string{},
		Budget: wireBudget(manifestBudget(m)), Icon: control.Icon{MIME: b.IconMIME, Data: b.Icon},
	}
	a.mu.Lock()
	in := a.byIDLocked(s.appID)
	var had []permission.Request
	if in != nil {
		out.Update, out.Installed = true, in.rec.Version
		had = in.manifest.Requests()
	}
	a.mu.Unlock()
	for _, p := range wider(m.Requests(), had).All() {
		out.Wider = append(out.Wider, p.String())
	}
	return out
}

// wider is what now asks beyond had. A file slot that turns from reading to writing counts as wider, and so does a
// schedule with more times.
func wider(now, had []permission.Request) permission.Set {
	before := map[permission.Permission]permission.Request{}
	old := permission.Set{}
	for _, r := range had {
		before[r.Permission] = r
		old = old.Union(permission.NewSet(r.Permission))
	}
	out := permission.Set{}
	for _, r := range now {
		b, same := before[r.Permission]
		if !old.Covers(r.Permission) || same && r.Wider(b) {
			out = out.Union(permission.NewSet(r.Permission))
		}
	}
	return out
}

// publisher says who signed, and whether that key is known from an installed app.
func (a *App) publisher(key, appID string) control.Publisher {
	if key == "" {
		return control.Publisher{Trust: "unsigned"}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, in := range a.apps {
		if in.rec.PublisherKey == key && (in.rec.AppID == appID || !in.rec.Dev) {
			return control.Publisher{Key: key, Trust: "known"}
		}
	}
	return control.Publisher{Key: key, Trust: "new"}
}

// Discard forgets a staged bundle. One that is not there any more is no error.
func (a *App) Discard(_ context.Context, in control.Discard) error {
	if s := a.takeStage(in.Stage); s != nil {
		return s.bundle.Discard()
	}
	return nil
}

func (a *App) takeStage(id string) *stage {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.stages[id]
	delete(a.stages, id)
	return s
}

func (a *App) expireStages() {
	a.mu.Lock()
	var old []*stage
	for id, s := range a.stages {
		if a.now().Sub(s.at) > stageExpiry {
			old = append(old, s)
			delete(a.stages, id)
		}
	}
	a.mu.Unlock()
	for _, s := range old {
		if err := s.bundle.Discard(); err != nil {
			a.log.Warn("discard an unanswered bundle", "err", err)
		}
	}
}

func (a *App) discardAllStages() {
	a.mu.Lock()
	all := slices.Collect(maps.Values(a.stages))
	clear(a.stages)
	a.mu.Unlock()
	for _, s := range all {
		if err := s.bundle.Discard(); err != nil {
			a.log.Warn("discard an unanswered bundle", "err", err)
		}
	}
}

// Commit installs a staged bundle: code into place by rename, then one store transaction. A crash between
// the two is cleaned at the next start. Only the answers named are stored; everything else stays on ask.
func (a *App) Commit(ctx context.Context, in control.Commit) (control.InstallResult, error) {
	s := a.takeStage(in.Stage)
	if s == nil {
		return control.InstallResult{}, control.NewError(control.ExitFailed, "stage_gone",
			"This review has expired.", "Open the bundle again.", nil)
	}
	res, err := a.commit(ctx, s, in)
	if err != nil {
		return res, errors.Join(err, s.bundle.Discard())
	}
	return res, nil
}

func (a *App) commit(ctx context.Context, s *stage, in control.Commit) (control.InstallResult, error) {
	m := s.bundle.Manifest
	answers, err := a.installAnswers(m.Requests(), in)
	if err != nil {
		return control.InstallResult{}, err
	}
	if err := a.checkUpgrade(s); err != nil { // again: another install may have come between
		return control.InstallResult{}, err
	}
	a.mu.Lock()
	prev := a.byIDLocked(s.appID)
	a.mu.Unlock()
	pin, kept, err := a.pin(s.appID, s.bundle.PublicKey)
	if err != nil {
		return control.InstallResult{}, err
	}
	if prev != nil {
		prev.lifecycle.Lock() // no start, stop or second install in between
		defer prev.lifecycle.Unlock()
	}
	if prev != nil && s.back != nil {
		resume, err := a.haltLocked(ctx, prev)
		if err != nil {
			return control.InstallResult{}, err
		}
		defer resume()
	}
	var rec store.Install
	switch {
	case prev != nil: // an update
		kept, rec = true, prev.rec
	case kept: // installed anew while the data of the last time is kept
		if rec, err = a.store.Install(pin.Install); err != nil {
			return control.InstallResult{}, fmt.Errorf("read the record of %s: %w", s.appID, err)
		}
	}
	now := a.now()
	if !kept {
		rec = store.Install{Install: newInstallID(), AppID: s.appID, PublisherKey: s.bundle.PublicKey, Dev: s.dev, InstalledAt: now, Budget: manifestBudget(m)}
		rec.Label = newLabel(m.ID)
	}
	oldDir := ""
	// A restore of the version that is installed leaves its code alone: it is verified, and the publisher's.
	same := s.back != nil && prev != nil && rec.VersionCode == m.VersionCode
	if prev != nil && !same {
		if rec.VersionCode != m.VersionCode {
			rec.Previous = []store.Version{{Version: rec.Version, VersionCode: rec.VersionCode}} // one way back is kept
		}
		oldDir = a.paths(rec.Install, rec.VersionCode).Code
	}
	if !same {
		rec.Name, rec.Version, rec.VersionCode = m.Name, m.Version, m.VersionCode
		rec.Source, rec.Manifest, rec.UpdatedAt = s.bundle.Source, s.bundle.Raw, now
		rec.CodeBytes = s.bundle.Unpacked
		rec.Workers = manifestWorkers(m)
	}
	rec.RemovedAt, rec.KeepData = nil, ""

	p := a.paths(rec.Install, rec.VersionCode)
	for _, d := range []string{p.Data, p.Runtime, p.Log} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return control.InstallResult{}, fmt.Errorf("make the app's folders: %w", err)
		}
	}
	aside := ""
	if oldDir == p.Code { // an author's reinstall of the same version
		aside = filepath.Join(a.stagingDir(), rand.Text())
		if err := os.Rename(oldDir, aside); err != nil {
			return control.InstallResult{}, fmt.Errorf("put the present version aside: %w", err)
		}
	}
	undo := func(err error) error {
		if same {
			return err
		}
		if aside != "" {
			err = errors.Join(err, bundle.RemoveTree(p.Code), os.Rename(aside, p.Code))
		} else {
			err = errors.Join(err, bundle.RemoveTree(p.Code), bundle.RemoveTree(keptBundle(p)))
		}
		if !kept {
			err = errors.Join(err, bundle.RemoveTree(a.installDir(rec.Install)))
		}
		return err
	}
	if aside == "" && !same {
		// Left from a version that was rolled back or uninstalled.
		if err := errors.Join(bundle.RemoveTree(p.Code), bundle.RemoveTree(keptBundle(p))); err != nil {
			return control.InstallResult{}, fmt.Errorf("clear the version's folder: %w", err)
		}
	}
	if !same {
		if err := s.bundle.KeepBundle(keptBundle(p)); err != nil {
			return control.InstallResult{}, undo(err)
		}
		if err := s.bundle.Commit(p.Code); err != nil {
			return control.InstallResult{}, undo(fmt.Errorf("move the new version into place: %w", err))
		}
	}
	grants, err := a.keptGrants(rec.Install, prev != nil)
	if err != nil {
		return control.InstallResult{}, undo(err)
	}
	before := rec.SetAside
	if s.back != nil {
		requests := m.Requests()
		if same {
			requests = prev.manifest.Requests()
		}
		var back func() error
		if answers, back, err = a.bringBack(s, &rec, requests, grants, kept); err != nil {
			return control.InstallResult{}, undo(err)
		}
		grants = nil
		forward := undo
		undo = func(err error) error { return forward(errors.Join(err, back())) }
	}
	grants = append(grants, answers...)
	if err := a.store.Commit(rec, grants); err != nil {
		return control.InstallResult{}, undo(fmt.Errorf("record the app: %w", err))
	}
	if s.back != nil {
		a.dropSetAside(rec.Install, before)
	}
	if aside != "" {
		if err := bundle.RemoveTree(aside); err != nil {
			a.log.Warn("remove the replaced version", "err", err)
		}
	}
	next, err := a.adopt(rec, prev)
	if err != nil {
		return control.InstallResult{}, err
	}
	if s.back != nil {
		a.endSession(next) // what was allowed for a session was allowed with other data
	}
	a.front.Set(a.doorEntry(next))
	if prev != nil && prev.inst != nil {
		if err := a.relaunchLocked(ctx, next); err != nil {
			a.log.Warn("restart after the update", "app", rec.AppID, "err", err)
		}
	}
	code, title := control.NoticeInstalled, rec.Name+" is installed"
	if s.back != nil {
		code, title = control.NoticeRestored, rec.Name+" is restored"
	}
	a.notify(control.Notice{
		Code: code, Facts: control.NoticeFacts{Name: rec.Name, Version: rec.Version}, Severity: "info", AppID: rec.AppID, Title: title, Text: "Version " + rec.Version + ". It has no rights that you did not give it.",
		Actions: []control.NoticeChoice{{Action: "open_app", Label: "Show"}, {Action: "dismiss", Label: "Dismiss"}},
	}, rec.Install)
	return a.installResult(next, answers), nil
}

// adopt makes rec the app that runs, in place of prev (nil for a new one).
func (a *App) adopt(rec store.Install, prev *installed) (*installed, error) {
	loaded, err := a.load(rec)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if prev != nil { // keep identity: others hold its lifecycle lock
		prev.rec, prev.manifest, prev.last, prev.deaths, prev.dueAt = loaded.rec, loaded.manifest, nil, nil, time.Time{}
		loaded = prev
	}
	a.apps[rec.Install] = loaded
	a.changedLocked()
	return loaded, nil
}

func (a *App) load(rec store.Install) (*installed, error) {
	m, err := bundle.ParseManifest(rec.Manifest)
	if err != nil {
		return nil, fmt.Errorf("the recorded manifest of %s: %w", rec.AppID, err)
	}
	return &installed{id: rec.Install, rec: rec, manifest: m, session: map[permission.Permission]permission.Grant{}}, nil
}

// keptGrants are the answers that an update leaves as they are: Resolve never lets one stand for more than
// was asked when it was given, and a "no" stays even for a row that the new version does not ask for any
// more. An app that was uninstalled in between asks anew.
func (a *App) keptGrants(install string, update bool) ([]permission.Grant, error) {
	if !update {
		return nil, nil
	}
	grants, err := a.store.Grants(install)
	if err != nil {
		return nil, fmt.Errorf("read the answers given before: %w", err)
	}
	return grants, nil
}

// installAnswers turns the answers named at install into grants. Naming a right that the app does not ask
// for refuses the install: it is a mistake, or a trap.
func (a *App) installAnswers(requests []permission.Request, in control.Commit) ([]permission.Grant, error) {
	var out []permission.Grant
	answer := func(r permission.Request, d permission.Decision) {
		if d == permission.Allow && r.Permission.Kind == permission.Files {
			return // stays on ask until a path is picked
		}
		out = append(out, permission.Grant{Permission: r.Permission, Decision: d, Lifetime: permission.Always, Access: r.Access, Schedule: r.Schedule, At: a.now(), By: permission.ByInstall})
	}
	switch {
	case in.DenyAll:
		for _, r := range requests {
			answer(r, permission.Deny)
		}
	case in.GrantAll:
		for _, r := range requests {
			answer(r, permission.Allow)
		}
	}
	for _, text := range in.Grant {
		r, err := findRequest(requests, text)
		if err != nil {
			return nil, err
		}
		if r.Permission.Kind == permission.Files {
			return nil, control.NewError(control.ExitUsage, "path_needed",
				fmt.Sprintf("%s needs a path.", text), fmt.Sprintf("Install first, then run “paddock grant APP %s --path DIR”.", text), nil)
		}
		out = slices.DeleteFunc(out, func(g permission.Grant) bool { return g.Permission == r.Permission })
		answer(r, permission.Allow)
	}
	return out, nil
}

// findRequest is the row that text names. A scope narrower than the row's is not accepted: the row is what
// the user is asked, and what the review shows.
func findRequest(requests []permission.Request, text string) (permission.Request, error) {
	p, err := permission.Parse(text)
	if err != nil {
		return permission.Request{}, permissionError(err)
	}
	for _, r := range requests {
		if r.Permission == p {
			return r, nil
		}
	}
	asked := make([]string, 0, len(requests))
	for _, r := range requests {
		asked = append(asked, r.Permission.String())
	}
	hint := "It asks for nothing."
	if len(asked) > 0 {
		hint = "It asks for " + strings.Join(asked, ", ") + "."
	}
	return permission.Request{}, control.NewError(control.ExitRefused, "not_requested", fmt.Sprintf("The app does not ask for %s.", p), hint, asked)
}

func (a *App) installResult(in *installed, answers []permission.Grant) control.InstallResult {
	out := control.InstallResult{
		ID: in.rec.AppID, Name: in.rec.Name, Version: in.rec.Version, VersionCode: in.rec.VersionCode,
		Publisher: a.publisherBefore(in), Requests: []control.Request{}, Granted: []string{},
	}
	for _, r := range in.manifest.Requests() {
		out.Requests = append(out.Requests, control.Request{Permission: r.Permission.String(), Reason: r.Reason, Required: r.Required, Risk: permission.RiskOf(r).String()})
	}
	for _, g := range answers {
		if g.Decision == permission.Allow {
			out.Granted = append(out.Granted, g.Permission.String())
		}
	}
	return out
}

// publisherBefore is the trust in the key as it was before this install: a first bundle is "new".
func (a *App) publisherBefore(in *installed) control.Publisher {
	key := in.rec.PublisherKey
	if key == "" {
		return control.Publisher{Trust: "unsigned"}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, other := range a.apps {
		if other.rec.PublisherKey == key && (other.id != in.id || !in.rec.UpdatedAt.Equal(in.rec.InstalledAt)) {
			return control.Publisher{Key: key, Trust: "known"}
		}
	}
	return control.Publisher{Key: key, Trust: "new"}
}

// newInstallID names an install's folder: 80 random bits, so that another key can never inherit its data.
func newInstallID() string { return strings.ToLower(rand.Text())[:16] }

// newLabel is the host label of an app's origin: its short name and 8 random base32 characters.
func newLabel(appID string) string {
	short := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return -1
	}, shortName(appID))
	short = strings.Trim(short, "-")
	if len(short) > 40 {
		short = short[:40]
	}
	if short == "" {
		short = "app"
	}
	var b [5]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(err) // crypto/rand never fails since Go 1.24
	}
	return short + "-" + strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// shortName is the last part of a reverse-DNS id; ".dev" counts as part of the name before it.
func shortName(appID string) string {
	base, dev := strings.CutSuffix(appID, devSuffix)
	short := base[strings.LastIndexByte(base, '.')+1:]
	if dev {
		return short + "-dev"
	}
	return short
}

// authorsName is what an author calls an app that is installed with --dev.
func authorsName(appID string) string { return shortName(strings.TrimSuffix(appID, devSuffix)) }

func manifestBudget(m *bundle.Manifest) store.Budget {
	b := sandbox.Budget{
		MemoryBytes: int64(m.Resources.MemoryMB) << 20, CPUPercent: float64(m.Resources.CPUPercent), DiskBytes: int64(m.Resources.DiskMB) << 20,
	}.WithDefaults()
	return store.Budget{MemoryBytes: max(b.MemoryBytes, minMemory), CPUPercent: b.CPUPercent, DiskBytes: max(b.DiskBytes, minDisk)}
}

// manifestWorkers is what sandbox.Budget.Workers means: 0 the default, -1 none.
func manifestWorkers(m *bundle.Manifest) int {
	switch w := m.Resources.Workers; {
	case w == nil:
		return 0
	case *w == 0:
		return -1
	default:
		return *w
	}
}

func wireBudget(b store.Budget) control.Budget {
	return control.Budget{MemoryBytes: b.MemoryBytes, CPUPercent: b.CPUPercent, DiskBytes: b.DiskBytes}
}
