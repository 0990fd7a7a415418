// Package control is the language between the agent and everything that drives it: the command line,
// the tray, the windows and tests. It holds the wire types and the client, and nothing that decides.
//
// A call is one HTTP/1.1 request over the agent's Unix socket: POST /v1/METHOD with a JSON body.
// The answer is a stream of JSON lines: any number of {"event":…}, then exactly one {"result":…} or
// {"error":…}. Closing the connection cancels the call. HTTP carries it only because the standard
// library's client and server are well tested; nothing here is ever reachable from a browser, because
// the socket is a file that only the user may open (security.md, rules 1 and 2).
//
// It must not know: the store, processes, windows. Every client links it, so it stays small.
package control

import (
	"encoding/json"
	"time"
)

// Protocol is the version of this package's wire format. A client and an agent whose numbers differ
// refuse each other: they come from different installations.
const Protocol = 1

// Methods of the agent. The request and result types stand beside each.
const (
	MethodGreet   = "greet"   // Greet → Greeting
	MethodState   = "state"   // Empty → State
	MethodWatch   = "watch"   // Empty → events of State (the present one at once, then after each change; the latest wins)
	MethodShow    = "show"    // Show → Empty: bring a window to the front
	MethodWindows = "windows" // Empty → events of Show: only paddock-window calls it; while open, the agent sends what to show
	MethodQuit    = "quit"    // Empty → Empty once every app has ended

	MethodStage   = "stage"   // Stage → events of Progress, then Staged
	MethodCommit  = "commit"  // Commit → InstallResult
	MethodDiscard = "discard" // Discard → Empty
	MethodBackup  = "backup"  // Backup → events of Progress, then BackupResult
	MethodRestore = "restore" // Restore → events of Progress, then RestoreResult

	MethodList        = "list"        // Empty → []ListEntry
	MethodInfo        = "info"        // AppRef → Info
	MethodIcon        = "icon"        // AppRef → Icon
	MethodOpen        = "open"        // Open → OpenResult
	MethodPs          = "ps"          // Empty → []Running
	MethodStop        = "stop"        // AppRef → Empty
	MethodRestart     = "restart"     // AppRef → Empty
	MethodAhead       = "ahead"       // AppRef → Empty: a person is about to open the app; it is started if that costs nobody anything
	MethodRest        = "rest"        // Rest → Empty: put an unused app to sleep now
	MethodPermissions = "permissions" // AppRef → []PermissionRow
	MethodDecide      = "decide"      // Decide → Empty: grant, deny or revoke one permission
	MethodBudget      = "budget"      // SetBudget → Budget
	MethodActivity    = "activity"    // ActivityQuery → []Activity
	MethodHistory     = "history"     // AppRef → []Run
	MethodLogs        = "logs"        // Logs → events of LogLine, then Empty
	MethodUninstall   = "uninstall"   // Uninstall → Empty
	MethodDoctor      = "doctor"      // Empty → Doctor
	MethodSettings    = "settings"    // Empty → []Setting
	MethodSetSetting  = "set-setting" // SetSetting → Empty

	MethodPrompt  = "prompt"  // PromptRef → Prompt: what a prompt window shows
	MethodPreview = "preview" // Preview → []string: the exact technical lines for a choice of answers
	MethodAnswer  = "answer"  // Answer → Empty
	MethodNotice  = "notice"  // NoticeAction → Empty: take an action of a notice, or dismiss it
)

// Empty is the request or result of a call that has none.
type Empty struct{}

// Greet opens a conversation.
type Greet struct {
	Protocol int    `json:"protocol"`
	Client   string `json:"client"` // program name, for the agent's log
}

// Greeting tells a client whom it talks to.
type Greeting struct {
	Name     string `json:"name"`
	ID       string `json:"id"` // reverse-DNS id of the product
	Version  string `json:"version"`
	Protocol int    `json:"protocol"`
	PID      int    `json:"pid"`
	Gateway  string `json:"gateway"` // address of the front door, "127.0.0.1:PORT"
	Home     string `json:"home"`
}

// Desktop is the caller's display environment. An agent that was started without one starts the tray
// and opens windows with it.
type Desktop struct {
	Display     string `json:"display,omitempty"`      // DISPLAY
	Wayland     string `json:"wayland,omitempty"`      // WAYLAND_DISPLAY
	XAuthority  string `json:"xauthority,omitempty"`   // XAUTHORITY
	RuntimeDir  string `json:"runtime_dir,omitempty"`  // XDG_RUNTIME_DIR
	SessionBus  string `json:"session_bus,omitempty"`  // DBUS_SESSION_BUS_ADDRESS
	CurrentName string `json:"current_name,omitempty"` // XDG_CURRENT_DESKTOP
}

// Present reports whether windows can be opened with d.
func (d Desktop) Present() bool { return d.Display != "" || d.Wayland != "" }

// Window kinds of Show.
const (
	WindowLibrary  = "library"  // Show{}
	WindowReview   = "review"   // Show{Source}: the install review of a bundle, before anything is installed
	WindowApp      = "app"      // Show{App}: one app: state, permissions, history
	WindowPrompt   = "prompt"   // Show{Prompt}: the permission prompt with that id
	WindowActivity = "activity" // Show{App} optional
	WindowSettings = "settings" // Show{}
)

// Show asks for a window.
type Show struct {
	Window  string  `json:"window"`
	App     string  `json:"app,omitempty"`
	Source  string  `json:"source,omitempty"` // file path, URL or paddock:// link
	Prompt  string  `json:"prompt,omitempty"`
	Why     string  `json:"why,omitempty"` // one sentence shown at the top of the window, e.g. why there is no tray
	Desktop Desktop `json:"desktop,omitzero"`
}

// States of an app, as `paddock list` prints them.
const (
	StateStopped         = "stopped"
	StateStarting        = "starting"
	StateRunning         = "running"
	StateFrozen          = "frozen"
	StateNeedsPermission = "needs_permission"
	StateOverBudget      = "over_budget"
	StateFailed          = "failed"
)

// State is a snapshot of everything a tray or a library window shows.
type State struct {
	Seq       uint64     `json:"seq"` // grows with each change
	Apps      []AppState `json:"apps"`
	Notices   []Notice   `json:"notices"`
	Prompts   []string   `json:"prompts"`   // ids of open permission prompts, oldest first
	Downloads []Progress `json:"downloads"` // installs under way
	Tray      TrayState  `json:"tray"`
}

// AppState is one installed app in a State.
type AppState struct {
	ID          string `json:"id"`
	Short       string `json:"short"`
	Name        string `json:"name"`
	Summary     string `json:"summary"`
	Version     string `json:"version"`
	State       string `json:"state"`
	Publisher   string `json:"publisher"` // author's name as the manifest gives it
	Usage       *Usage `json:"usage,omitempty"`
	Budget      Budget `json:"budget"`
	IconVersion string `json:"icon_version"` // changes when the icon does; fetch it with MethodIcon
}

// Usage is what a running app uses now.
type Usage struct {
	PID         int       `json:"pid"`
	CPUPercent  float64   `json:"cpu_percent"` // percent of one core, over the last second
	MemoryBytes int64     `json:"memory_bytes"`
	DiskBytes   int64     `json:"disk_bytes"`
	StartedAt   time.Time `json:"started_at"`
}

// Budget limits a running app. A zero field in a request keeps the present value.
type Budget struct {
	MemoryBytes int64   `json:"memory_bytes"`
	CPUPercent  float64 `json:"cpu_percent"` // percent of one core
	DiskBytes   int64   `json:"disk_bytes"`
}

// TrayState says whether the tray is there, and why not.
type TrayState struct {
	State string `json:"state"` // "running", "absent", "starting", "no_display"
	Why   string `json:"why,omitempty"`
}

// Codes of a Notice.
const (
	NoticeInstalled        = "installed"
	NoticeRestored         = "restored"
	NoticeOverBudget       = "over_budget"
	NoticeAppFailed        = "app_failed"
	NoticePermissionNeeded = "permission_needed"
)

// Notice is a condition that the user should know of, as data.
type Notice struct {
	ID       string         `json:"id"`
	At       time.Time      `json:"at"`
	Code     string         `json:"code"` // one of the Notice constants, or a later version's
	Title    string         `json:"title"`
	Text     string         `json:"text"`
	Severity string         `json:"severity"` // "info", "warning", "error"
	AppID    string         `json:"app_id,omitempty"`
	Actions  []NoticeChoice `json:"actions"`
	Facts    NoticeFacts    `json:"facts,omitzero"`
}

// NoticeFacts are what a notice is about, so that a window can say it in its user's language by Code. A notice of a code
// or a version that a window does not know has its Title and Text.
type NoticeFacts struct {
	Name       string  `json:"name"`                 // of the app; "": there are no facts
	Version    string  `json:"version,omitempty"`    // installed, restored
	Permission string  `json:"permission,omitempty"` // permission_needed
	ExitCode   int     `json:"exit_code,omitempty"`  // app_failed, where there is no Signal
	Signal     string  `json:"signal,omitempty"`     // app_failed
	Breach     *Breach `json:"breach,omitempty"`     // over_budget; nil where it is not known
	DiskFull   bool    `json:"disk_full,omitempty"`  // over_budget: not by its own limit
}

// NoticeChoice is one thing the user can do about a notice.
type NoticeChoice struct {
	Action string `json:"action"` // "restart", "raise", "dismiss", "open_app", "review"
	Label  string `json:"label"`
}

// NoticeAction takes an action of a notice; "dismiss" is always there.
type NoticeAction struct {
	ID     string `json:"id"`
	Action string `json:"action"`
}

// Stage downloads or reads a bundle, verifies it and unpacks it aside. Nothing is installed.
type Stage struct {
	Source string `json:"source"` // absolute file path, URL or paddock://install?url=… link
	Dev    bool   `json:"dev,omitempty"`
}

// Progress reports a download or an install step.
type Progress struct {
	Source     string  `json:"source"`
	Step       string  `json:"step"` // "download", "verify", "unpack", StepCopy, StepRestore
	Bytes      int64   `json:"bytes"`
	Total      int64   `json:"total"`              // -1 when the server did not say
	BytesPerS  float64 `json:"bytes_per_s"`        // over the last seconds
	RedirectTo string  `json:"redirect,omitempty"` // the host now downloading from, when it changed
}

// Staged is a verified bundle that waits for the user's decision. It expires after 30 minutes.
type Staged struct {
	Stage       string          `json:"stage"`
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	Summary     string          `json:"summary"`
	Version     string          `json:"version"`
	VersionCode uint32          `json:"version_code"`
	Author      string          `json:"author"`
	Homepage    string          `json:"homepage,omitempty"`
	License     string          `json:"license"`
	Publisher   Publisher       `json:"publisher"`
	Origin      string          `json:"origin"` // where it came from, for people: a host name or a file name
	Bytes       int64           `json:"bytes"`  // size of the bundle file
	Unpacked    int64           `json:"unpacked"`
	Update      bool            `json:"update"` // replaces an installed version
	Installed   string          `json:"installed,omitempty"`
	Requests    []PermissionRow `json:"requests"`
	Wider       []string        `json:"wider"` // permissions that are new or wider than the installed version's
	Budget      Budget          `json:"budget"`
	Icon        Icon            `json:"icon"`
}

// Publisher is who signed a bundle.
type Publisher struct {
	Key   string `json:"key"`   // minisign public key, base64; empty when unsigned
	Trust string `json:"trust"` // "new", "known", "unsigned"
}

// Icon is an image as the bundle carries it, already checked to be what MIME says.
type Icon struct {
	MIME string `json:"mime"` // image/png or image/svg+xml
	Data []byte `json:"data"`
}

// Commit installs a staged bundle. Only what Grant and Deny name is answered; the rest stays on ask.
type Commit struct {
	Stage    string   `json:"stage"`
	Grant    []string `json:"grant,omitempty"`
	GrantAll bool     `json:"grant_all,omitempty"`
	DenyAll  bool     `json:"deny_all,omitempty"`
}

// Discard forgets a staged bundle.
type Discard struct {
	Stage string `json:"stage"`
}

// InstallResult is the document `paddock install` prints.
type InstallResult struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Version     string    `json:"version"`
	VersionCode uint32    `json:"version_code"`
	Publisher   Publisher `json:"publisher"`
	Requests    []Request `json:"requests"`
	Granted     []string  `json:"granted"`
}

// Request is one right that an app asks for.
type Request struct {
	Permission string `json:"permission"`
	Reason     string `json:"reason"`
	Required   bool   `json:"required"`
	Risk       string `json:"risk"` // "low", "normal", "high"
}

// Steps of a Progress beside those of a download.
const (
	StepCopy    = "copy"    // into a backup
	StepRestore = "restore" // out of one
)

// Backup writes an app to one file.
type Backup struct {
	App  string `json:"app"`
	File string `json:"file"` // absolute path, at which there must be nothing
}

// BackupResult is the document that `paddock backup` prints.
type BackupResult struct {
	OK           bool      `json:"ok"`
	File         string    `json:"file"`
	Bytes        int64     `json:"bytes"`          // of the file
	Files        int       `json:"files"`          // of the app's data in it
	LeftOut      []LeftOut `json:"left_out"`       // what a backup cannot hold; at most 100 are named
	LeftOutCount int       `json:"left_out_count"` // how many there are
}

// LeftOut is something in an app's data that is not in a backup.
type LeftOut struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// Restore installs an app with its data from a backup, or with Undo goes back to an app's data before the last restore.
type Restore struct {
	File string `json:"file,omitempty"` // absolute path
	App  string `json:"app,omitempty"`  // with Undo
	Undo bool   `json:"undo,omitempty"`
}

// RestoreResult is the document that `paddock restore` prints: that of an install, and what became of the answers.
type RestoreResult struct {
	OK bool `json:"ok"`
	InstallResult
	Trusted   bool         `json:"trusted"`   // the backup was made by this machine and not changed since: its answers were taken over
	Suggested []Suggestion `json:"suggested"` // answers in it that were not
	Undo      bool         `json:"undo"`      // the data of before is kept, and --undo goes back to it
}

// Suggestion is an answer of a backup that the user may give again.
type Suggestion struct {
	Permission string `json:"permission"`
	Decision   string `json:"decision"` // "allow" or "deny"
	Path       string `json:"path,omitempty"`
	Why        string `json:"why"` // why it was not taken over
}

// ListEntry is one line of `paddock list`.
type ListEntry struct {
	ID           string `json:"id"`
	Short        string `json:"short"`
	Name         string `json:"name"`
	Version      string `json:"version"`
	State        string `json:"state"`
	PublisherKey string `json:"publisher_key"`
}

// AppRef names an app: its id, or its short name where that is unique.
type AppRef struct {
	App string `json:"app"`
}

// Info is one app in full, as `paddock info` prints it.
type Info struct {
	ListEntry
	VersionCode uint32          `json:"version_code"`
	Summary     string          `json:"summary"`
	Author      string          `json:"author"`
	Homepage    string          `json:"homepage,omitempty"`
	License     string          `json:"license"`
	Publisher   Publisher       `json:"publisher"`
	Source      string          `json:"source"`
	InstalledAt time.Time       `json:"installed_at"`
	UpdatedAt   time.Time       `json:"updated_at"`
	Origin      string          `json:"origin"`
	Permissions []PermissionRow `json:"permissions"`
	Budget      Budget          `json:"budget"`
	Usage       *Usage          `json:"usage,omitempty"`
	DiskBytes   int64           `json:"disk_bytes"` // last known, also when stopped
	Paths       Paths           `json:"paths"`
	Flags       []string        `json:"flags"` // the exact arguments Deno gets with the present answers
	Walls       Walls           `json:"walls"`
	Manifest    json.RawMessage `json:"manifest"`
}

// Paths says where an app lives on disk.
type Paths struct {
	Code    string `json:"code"`
	Data    string `json:"data"`
	Runtime string `json:"runtime"`
	Log     string `json:"log"`
	Socket  string `json:"socket,omitempty"` // where the running process answers
}

// Walls is what confines an app, as read back from the running process where there is one.
type Walls struct {
	Level string `json:"level"` // "full", "partial", "basic"
	Open  string `json:"open"`  // the open doors in one sentence, empty for full
	Walls []Wall `json:"walls"`
}

// Wall is one enforcing layer.
type Wall struct {
	Name  string `json:"name"`
	State string `json:"state"` // "enforced", "partial", "absent"
	Why   string `json:"why"`
}

// PermissionRow is one requested permission with its answer and everything a window needs to draw it.
type PermissionRow struct {
	Permission string     `json:"permission"`
	Decision   string     `json:"decision"` // "ask", "allow", "deny"
	Lifetime   string     `json:"lifetime"` // "session", "always"; meaningful with allow
	Required   bool       `json:"required"`
	Reason     string     `json:"reason"` // the author's claim
	LastUsed   *time.Time `json:"last_used"`
	Used       int64      `json:"used"`
	Refused    int64      `json:"refused"`

	Kind     string `json:"kind"`               // "net", "lan", "files", …
	Sentence string `json:"sentence"`           // the host's wording; %s stands where Scope belongs
	Scope    string `json:"scope"`              // the literal scope to be shown in bold; may be empty
	Risk     string `json:"risk"`               // "low", "normal", "high"
	Access   string `json:"access,omitempty"`   // files: "read" or "readwrite"
	Slot     string `json:"slot,omitempty"`     // files: the slot's name
	Folder   bool   `json:"folder,omitempty"`   // files: a folder rather than a file
	Path     string `json:"path,omitempty"`     // files: what the user picked
	Enforced bool   `json:"enforced"`           // false: this machine cannot enforce it; shown greyed
	Why      string `json:"why,omitempty"`      // why it cannot be enforced here
	Asks     int    `json:"asks"`               // times the user was asked
	Schedule string `json:"schedule,omitempty"` // background: when, as the manifest says it; Scope says it in words
}

// Rest puts an app to sleep as if nobody had used it for long; the next request wakes it. It is refused while the app
// is in use.
type Rest struct {
	App  string `json:"app"`
	Stop bool   `json:"stop,omitempty"` // stopped rather than frozen
}

// Open launches an app and makes a link to it.
type Open struct {
	App    string   `json:"app"`
	Grant  []string `json:"grant,omitempty"`
	Insist bool     `json:"insist,omitempty"` // start although a required row is denied
	// Ask lets the agent open a prompt window for unanswered rows and wait for it. Without it (or
	// without a display) unanswered optional rows count as denied for this run.
	Ask     bool    `json:"ask"`
	Desktop Desktop `json:"desktop,omitzero"`
	Browse  bool    `json:"browse,omitempty"` // the caller starts a browser with OpenResult.ForBrowser
}

// OpenResult is the document `paddock open` prints.
type OpenResult struct {
	ID      string  `json:"id"`
	URL     string  `json:"url"`
	AppURL  string  `json:"app_url"`
	Origin  string  `json:"origin"`
	PID     int     `json:"pid"`
	State   string  `json:"state"`
	StartMS float64 `json:"start_ms"`
	// Handed leads a browser to URL without its being on the browser's command line, which other users of the machine
	// may read. It is there for a caller that said Browse, where the front door cannot tell other users apart.
	Handed string `json:"handed,omitempty"`
}

// ForBrowser is what a browser is started with.
func (r OpenResult) ForBrowser() string {
	if r.Handed != "" {
		return r.Handed
	}
	return r.URL
}

// Running is one line of `paddock ps`.
type Running struct {
	ID          string    `json:"id"`
	PID         int       `json:"pid"`
	State       string    `json:"state"`
	CPUPercent  float64   `json:"cpu_percent"`
	MemoryBytes int64     `json:"memory_bytes"`
	DiskBytes   int64     `json:"disk_bytes"`
	StartedAt   time.Time `json:"started_at"`
	Budget      Budget    `json:"budget"`
}

// Decisions of Decide.
const (
	DecideAllow  = "allow"
	DecideDeny   = "deny"
	DecideForget = "ask"
)

// Decide stores or forgets one answer.
type Decide struct {
	App        string `json:"app"`
	Permission string `json:"permission"`
	Decision   string `json:"decision"`
	Session    bool   `json:"session,omitempty"`
	Path       string `json:"path,omitempty"` // files: absolute path of the picked file or folder
	By         string `json:"by,omitempty"`   // what the user answered with: "cli", else a review window
}

// SetBudget changes the named limits of an app; a zero Budget only reads.
type SetBudget struct {
	App    string `json:"app"`
	Budget Budget `json:"budget"`
}

// ActivityQuery asks what an app used.
type ActivityQuery struct {
	App   string    `json:"app"`
	Since time.Time `json:"since,omitzero"`
}

// Activity is what was used, or refused, of one permission around one time.
type Activity struct {
	At         time.Time `json:"at"`
	Permission string    `json:"permission"`
	Outcome    string    `json:"outcome"` // "allowed", "refused"
	Count      int64     `json:"count"`
	BytesIn    int64     `json:"bytes_in"`
	BytesOut   int64     `json:"bytes_out"`
	Side       string    `json:"side"`               // "process", "page"
	Reported   bool      `json:"reported,omitempty"` // the app's own runtime says so, and the app could make it say so
}

// Run is one launch of an app and how it ended.
type Run struct {
	StartedAt time.Time  `json:"started_at"`
	EndedAt   *time.Time `json:"ended_at"` // nil while it runs
	Reason    string     `json:"reason"`   // "" while it runs; "finished", "crashed", "stopped", "over_budget", "start_failed", "host_closed"
	Breach    *Breach    `json:"breach"`
	Tail      string     `json:"tail"`
}

// Breach is a budget that was crossed. Bytes for memory and disk, core-seconds for cpu, threads for processes.
type Breach struct {
	Budget   string  `json:"budget"`
	Limit    float64 `json:"limit"`
	Measured float64 `json:"measured"`
}

// Logs asks for an app's own output.
type Logs struct {
	App    string `json:"app"`
	Lines  int    `json:"lines"` // 0 means 100; at most 10,000
	Follow bool   `json:"follow,omitempty"`
}

// LogLine is one line of an app's output.
type LogLine struct {
	At     time.Time `json:"at,omitzero"`
	Stream string    `json:"stream"` // "out", "err", "host"
	Text   string    `json:"text"`
}

// Uninstall removes an app. By default its data is kept 30 days for Undo.
type Uninstall struct {
	App      string `json:"app"`
	KeepData bool   `json:"keep_data,omitempty"` // keep the data for ever
	Purge    bool   `json:"purge,omitempty"`     // delete the data now
	Undo     bool   `json:"undo,omitempty"`      // bring back an app uninstalled within 30 days
}

// Doctor says what this machine can enforce.
type Doctor struct {
	Deno    DoctorDeno    `json:"deno"`
	Walls   []Wall        `json:"walls"`
	Tray    TrayState     `json:"tray"`
	Gateway DoctorGateway `json:"gateway"`
	Home    string        `json:"home"`
	Resolve []string      `json:"resolve"` // names led elsewhere by --resolve
}

// DoctorDeno is the runtime in use.
type DoctorDeno struct {
	Version string `json:"version"`
	Path    string `json:"path"`
	State   string `json:"state"` // "pinned", "altered", "missing"
	Why     string `json:"why,omitempty"`
}

// DoctorGateway is the front door.
type DoctorGateway struct {
	Address  string `json:"address"`
	IPv6     bool   `json:"ipv6"` // ::1 is held too
	Why      string `json:"why,omitempty"`
	Peers    bool   `json:"peers_checked"` // connections of other users of this machine are closed
	PeersWhy string `json:"peers_why,omitempty"`
	// Origins says under what a browser finds an app: "names" below localhost, or loopback "addresses" of their own.
	Origins    string `json:"origins"`
	OriginsWhy string `json:"origins_why,omitempty"` // why names, though addresses were chosen
	// PagesCan says, in words, how the page of an app with no right to the network can still send something out.
	PagesCan []string `json:"pages_can"`
}

// Setting is one choice that holds for all of Paddock.
type Setting struct {
	Key     string   `json:"key"`
	Value   string   `json:"value"`
	Default string   `json:"default"`
	Choices []string `json:"choices"`
	Title   string   `json:"title"` // what it decides, for people
}

// SetSetting changes one setting to one of its choices.
type SetSetting struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// PromptRef names an open permission prompt.
type PromptRef struct {
	Prompt string `json:"prompt"`
}

// Prompt is everything a permission prompt shows.
type Prompt struct {
	Prompt    string          `json:"prompt"`
	App       string          `json:"app"`
	Name      string          `json:"name"`
	Author    string          `json:"author"`
	Publisher Publisher       `json:"publisher"`
	Origin    string          `json:"origin"`
	Bytes     int64           `json:"bytes"`
	Icon      Icon            `json:"icon"`
	Rows      []PermissionRow `json:"rows"`
	Budget    Budget          `json:"budget"`
	Caps      Budget          `json:"caps"`   // the most the host allows
	Update    bool            `json:"update"` // an update asks: only new or wider rows are here
	// PagesCan is what refusing every row about the network does not close, in words. Empty where all of it is asked for.
	PagesCan string `json:"pages_can,omitempty"`
}

// RowAnswer is the user's answer to one row.
type RowAnswer struct {
	Permission string `json:"permission"`
	Allow      bool   `json:"allow"`
	Session    bool   `json:"session,omitempty"`
	Path       string `json:"path,omitempty"` // files rows
}

// Answer closes a prompt. Cancel grants nothing and stores nothing.
type Answer struct {
	Prompt string      `json:"prompt"`
	Cancel bool        `json:"cancel,omitempty"`
	Rows   []RowAnswer `json:"rows"`
	Budget Budget      `json:"budget,omitzero"`
	Insist bool        `json:"insist,omitempty"` // start although a required row was refused
}

// Preview asks for the technical lines (exact Deno flags and walls) that a choice of answers would give.
type Preview struct {
	Prompt string      `json:"prompt,omitempty"`
	App    string      `json:"app,omitempty"`
	Rows   []RowAnswer `json:"rows"`
	Budget Budget      `json:"budget,omitzero"`
}
