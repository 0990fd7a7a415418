package ui

import (
	"time"

	"paddock/app/control"
)

// sampleIcon is the icon of the app in the samples.
var sampleIcon = control.Icon{MIME: "image/svg+xml", Data: []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><defs><linearGradient id="g" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="#22c58b"/><stop offset="1" stop-color="#0f8f7a"/></linearGradient></defs><rect width="64" height="64" rx="15" ry="15" fill="url(#g)"/><rect x="16" y="13" width="31" height="38" rx="5" ry="5" fill="#fff"/><path d="M22 23h19M22 30.500h19M22 38h12" stroke="#0f8f7a" stroke-width="3.200" stroke-linecap="round"/><path d="M38 47l11-11 4 4-11 11-5 1z" fill="#ffd166"/></svg>`)}

var weatherIcon = control.Icon{MIME: "image/svg+xml", Data: []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect width="64" height="64" rx="15" ry="15" fill="#3b6ef5"/><circle cx="40" cy="25" r="10" fill="#ffd166"/><circle cx="21" cy="39" r="8" fill="#fff"/><circle cx="31" cy="34" r="10" fill="#fff"/><circle cx="42" cy="40" r="7" fill="#fff"/><rect x="21" y="37" width="22" height="10" fill="#fff"/></svg>`)}

var feedsIcon = control.Icon{MIME: "image/svg+xml", Data: []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect width="64" height="64" rx="15" ry="15" fill="#f2762e"/><circle cx="21" cy="44" r="4.500" fill="#fff"/><path d="M17 29a18 18 0 0 1 18 18M17 18a29 29 0 0 1 29 29" stroke="#fff" stroke-width="5" stroke-linecap="round" fill="none"/></svg>`)}

func ago(d time.Duration) *time.Time { t := noon.Add(-d); return &t }

func sampleRows() []control.PermissionRow {
	return []control.PermissionRow{
		{
			Permission: "net:api.weather.gov", Kind: "net", Sentence: "Send and receive data with %s", Scope: "api.weather.gov", Risk: "normal", Enforced: true,
			Decision: "ask", Required: true, Reason: "Shows the forecast beside your notes.",
		},
		{
			Permission: "files:notes", Kind: "files", Sentence: "Read and change files in %s", Scope: "a folder you choose", Risk: "normal", Enforced: true,
			Access: "readwrite", Slot: "notes", Folder: true, Decision: "ask", Reason: "Keeps your notes as plain files that you can open elsewhere.",
		},
		{
			Permission: "browser:camera", Kind: "browser", Sentence: "Use %s", Scope: "the camera", Risk: "high", Enforced: true,
			Decision: "ask", Reason: "Take photos to attach to your notes.",
		},
		{
			Permission: "background", Kind: "background", Sentence: "Keep working when no page is open", Risk: "high", Enforced: true,
			Decision: "ask", Reason: "Syncs every night.",
		},
		{
			Permission: "sys:hostname", Kind: "sys", Sentence: "See %s", Scope: "the name of this computer", Risk: "low", Enforced: false,
			Why: "this system cannot hide it", Decision: "ask", Reason: "",
		},
	}
}

func samplePrompt() control.Prompt {
	return control.Prompt{
		Prompt: "p1", App: "com.example.fieldnotes", Name: "Fieldnotes", Author: "Northwind Software",
		Publisher: control.Publisher{Key: "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3", Trust: "new"},
		Origin:    "apps.northwind.example", Bytes: 1258291, Icon: sampleIcon, Rows: sampleRows(),
		Budget: control.Budget{MemoryBytes: 256 << 20, CPUPercent: 50, DiskBytes: 1 << 30},
		Caps:   control.Budget{MemoryBytes: 4 << 30, CPUPercent: 200, DiskBytes: 50 << 30},
	}
}

var sampleFlags = []string{
	"deno run --no-prompt --ignore-env --no-remote --no-npm --cached-only",
	"--allow-read=/home/ada/.local/share/paddock/apps/k3v9/1.4.0",
	"--allow-net=api.weather.gov:443",
	"--deny-run --deny-ffi --deny-import",
	"wall: kernel, 14 rules; memory 256 MB",
}

func sampleState() control.State {
	b := control.Budget{MemoryBytes: 256 << 20, CPUPercent: 50, DiskBytes: 1 << 30}
	return control.State{
		Seq: 7,
		Apps: []control.AppState{
			{ID: "com.example.fieldnotes", Short: "fieldnotes", Name: "Fieldnotes", Summary: "Notes with the weather of the day", Version: "1.4.0", State: control.StateRunning, Publisher: "Northwind Software", Budget: b, IconVersion: "1", Usage: &control.Usage{PID: 4711, CPUPercent: 12.4, MemoryBytes: 118 << 20, DiskBytes: 340 << 20, StartedAt: noon.Add(-134 * time.Minute)}},
			{ID: "org.paddock.feeds", Short: "feeds", Name: "Feeds", Summary: "Follow the sites you like without an account", Version: "1.0.0", State: control.StateFrozen, Publisher: "Paddock", Budget: b, IconVersion: "1", Usage: &control.Usage{PID: 4712, MemoryBytes: 61 << 20, DiskBytes: 12 << 20, StartedAt: noon.Add(-20 * time.Minute)}},
			{ID: "net.sky.now", Short: "now", Name: "Sky Now", Summary: "A weather map", Version: "0.3.1", State: control.StateOverBudget, Publisher: "Sky", Budget: b, IconVersion: "1"},
			{ID: "io.ledger", Short: "ledger", Name: "Ledger", Summary: "A household budget", Version: "2.1.0", State: control.StateStopped, Publisher: "Ada", Budget: b},
			{ID: "io.walls", Short: "walls", Name: "Photo Wall", Summary: "", Version: "0.9.0", State: control.StateNeedsPermission, Publisher: "M. Curie", Budget: b},
			{ID: "io.broken", Short: "broken", Name: "Quill", Summary: "Letters and postcards", Version: "0.1.0", State: control.StateFailed, Publisher: "Q", Budget: b},
		},
		Notices: []control.Notice{{
			ID: "n1", At: noon.Add(-3 * time.Minute), Code: "over_budget", Severity: "warning", AppID: "net.sky.now", Title: "Sky Now was stopped",
			Text:    "It used 271 MB of memory; 256 MB were allowed.",
			Actions: []control.NoticeChoice{{Action: "restart", Label: "Start again"}, {Action: "raise", Label: "Allow 512 MB"}, {Action: "dismiss", Label: "Keep stopped"}},
		}},
		Downloads: []control.Progress{{Source: "https://apps.northwind.example/atlas.paddock", Step: "download", Bytes: 7 << 20, Total: 18 << 20, BytesPerS: 1.6 * (1 << 20)}},
	}
}

func sampleIconOf(app string) control.Icon {
	switch app {
	case "com.example.fieldnotes":
		return sampleIcon
	case "net.sky.now":
		return weatherIcon
	case "org.paddock.feeds":
		return feedsIcon
	}
	return control.Icon{}
}

func sampleInfo() control.Info {
	rows := sampleRows()
	rows[0].Decision, rows[0].Lifetime, rows[0].Used, rows[0].LastUsed = "allow", "always", 214, ago(3*time.Minute)
	rows[1].Decision, rows[1].Lifetime, rows[1].Path, rows[1].Used, rows[1].LastUsed = "allow", "always", "/home/ada/Documents/Notes", 37, ago(26*time.Hour)
	rows[2].Decision, rows[2].Refused = "deny", 2
	return control.Info{
		ListEntry: control.ListEntry{ID: "com.example.fieldnotes", Short: "fieldnotes", Name: "Fieldnotes", Version: "1.4.0", State: control.StateRunning},
		Summary:   "Notes with the weather of the day", Author: "Northwind Software", Homepage: "https://northwind.example", License: "MIT",
		Publisher: samplePrompt().Publisher, Source: "apps.northwind.example", InstalledAt: noon.AddDate(0, -1, 0), UpdatedAt: noon.Add(-30 * time.Hour),
		Origin: "http://fieldnotes-1a2b3c4d.localhost:7421", Permissions: rows,
		Budget: control.Budget{MemoryBytes: 256 << 20, CPUPercent: 50, DiskBytes: 1 << 30}, DiskBytes: 340 << 20,
		Paths: control.Paths{Data: "/home/ada/.local/share/paddock/apps/k3v9/data"}, Flags: sampleFlags,
		Walls: control.Walls{Level: "partial", Open: "it can see the names of your files, not what is in them.", Walls: []control.Wall{
			{Name: "Deno permissions", State: "enforced", Why: "Only the flags below."},
			{Name: "Kernel file rules", State: "enforced", Why: "Landlock, ABI 6."},
			{Name: "Separate file view", State: "absent", Why: "bubblewrap is not installed."},
		}},
	}
}

func sampleStaged() control.Staged {
	return control.Staged{
		Stage: "s1", ID: "com.example.fieldnotes", Name: "Fieldnotes", Summary: "Notes with the weather of the day.", Version: "1.4.0", VersionCode: 14,
		Author: "Northwind Software", Homepage: "https://northwind.example", License: "MIT", Publisher: samplePrompt().Publisher,
		Origin: "apps.northwind.example", Bytes: 1258291, Unpacked: 3 << 20, Requests: sampleRows()[:4],
		Budget: control.Budget{MemoryBytes: 256 << 20, CPUPercent: 50, DiskBytes: 1 << 30}, Icon: sampleIcon,
	}
}

func sampleRuns() []control.Run {
	return []control.Run{
		{StartedAt: noon.Add(-134 * time.Minute)},
		{StartedAt: noon.Add(-5 * time.Hour), EndedAt: ago(4 * time.Hour), Reason: "over_budget", Breach: &control.Breach{Budget: "memory", Limit: 256 << 20, Measured: 271 << 20}, Tail: "loading 14 sources\nFATAL: out of memory"},
		{StartedAt: noon.Add(-50 * time.Hour), EndedAt: ago(49 * time.Hour), Reason: "stopped"},
		{StartedAt: noon.Add(-51 * time.Hour), EndedAt: ago(51*time.Hour - 2*time.Second), Reason: "crashed", Tail: "error: Uncaught TypeError: notes is not iterable\n    at main.ts:14:22"},
	}
}

func sampleActivity() []control.Activity {
	return []control.Activity{
		{At: noon.Add(-time.Hour), Permission: "net:api.weather.gov", Outcome: "allowed", Count: 214, BytesIn: 1843200, BytesOut: 34000, Side: "process"},
		{At: noon.Add(-2 * time.Hour), Permission: "net:tracker.example", Outcome: "refused", Count: 12, Side: "process"},
		{At: noon.Add(-3 * time.Hour), Permission: "browser:camera", Outcome: "refused", Count: 2, Side: "page"},
		{At: noon.Add(-26 * time.Hour), Permission: "files:notes", Outcome: "allowed", Count: 37, Side: "process"},
	}
}

func sampleDoctor() control.Doctor {
	return control.Doctor{
		Deno:  control.DoctorDeno{Version: "2.9.6", Path: "/usr/lib/paddock/deno", State: "pinned"},
		Walls: sampleInfo().Walls.Walls, Tray: control.TrayState{State: "absent", Why: "This desktop shows no tray icons."},
		Gateway: control.DoctorGateway{Address: "127.0.0.1:7421", IPv6: true, Peers: true}, Home: "/home/ada/.local/share/paddock",
	}
}

// fill gives the agent the samples. The windows have the sample state when it returns: their first state may have been
// an empty one.
func (r *rig) fill() {
	r.t.Helper()
	a := r.agent
	r.state(sampleState())
	a.reply(control.MethodPrompt, samplePrompt())
	a.reply(control.MethodPreview, sampleFlags)
	a.reply(control.MethodInfo, sampleInfo())
	a.reply(control.MethodHistory, sampleRuns())
	a.reply(control.MethodActivity, sampleActivity())
	a.reply(control.MethodDoctor, sampleDoctor())
	a.reply(control.MethodSettings, []control.Setting{{
		Key: "walls.require", Value: "partial", Default: "partial", Choices: []string{"full", "partial", "basic"}, Title: "The least that must hold",
	}})
	a.reply(control.MethodSetSetting, control.Empty{})
	a.reply(control.MethodList, []control.ListEntry{{ID: "com.example.fieldnotes", Short: "fieldnotes", Name: "Fieldnotes"}})
}
