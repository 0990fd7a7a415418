package bundle

import "github.com/go-json-experiment/json/jsontext"

// ManifestName is the name of the manifest at the root of every bundle.
const ManifestName = "paddock.json"

// A Manifest is what an author says about an app. Values made by ParseManifest keep every rule of
// schema.json and the rules that a schema cannot say.
type Manifest struct {
	ManifestVersion int                       `json:"manifest_version"`
	ID              string                    `json:"id"`           // reverse-DNS, lower case
	Version         string                    `json:"version"`      // semver, shown
	VersionCode     uint32                    `json:"version_code"` // decides what is newer; from 1
	MinUpgradeFrom  uint32                    `json:"min_upgrade_from,omitzero"`
	Name            string                    `json:"name"`
	Summary         string                    `json:"summary"`
	Author          Author                    `json:"author"`
	License         string                    `json:"license"` // an SPDX expression
	Icons           []Icon                    `json:"icons"`
	Description     string                    `json:"description_file,omitzero"` // a Markdown file of the bundle
	Changelog       string                    `json:"changelog_file,omitzero"`   // the same
	Screenshots     []Screenshot              `json:"screenshots,omitempty"`
	Categories      []string                  `json:"categories,omitempty"`
	Keywords        []string                  `json:"keywords,omitempty"`
	AccentColor     string                    `json:"accent_color,omitzero"` // #rrggbb
	Homepage        string                    `json:"homepage,omitzero"`
	Repository      string                    `json:"repository,omitzero"`
	Support         string                    `json:"support,omitzero"` // https or mailto
	PrivacyPolicy   string                    `json:"privacy_policy,omitzero"`
	Localization    map[string]Localized      `json:"localization,omitempty"` // by BCP 47 tag
	Compat          *Compat                   `json:"compat,omitempty"`
	Serve           Serve                     `json:"serve"`
	Permissions     Permissions               `json:"permissions,omitzero"`
	Resources       Resources                 `json:"resources"`
	Config          map[string]Setting        `json:"config,omitempty"`
	Data            *Data                     `json:"data,omitempty"`
	Update          *Update                   `json:"update,omitempty"`
	Lineage         []Succession              `json:"lineage,omitempty"`
	Meta            map[string]jsontext.Value `json:"_meta,omitempty"` // reverse-DNS → object, for other programs
}

// Author is who says to have made the app. Nothing proves it; the key is the identity.
type Author struct {
	Name  string `json:"name"`
	Email string `json:"email,omitzero"`
	URL   string `json:"url,omitzero"`
}

// Icon is a PNG or SVG file of the bundle.
type Icon struct {
	Src   string `json:"src"`
	Size  int    `json:"size"`           // pixels along one side; for an SVG the size it was drawn for
	Theme string `json:"theme,omitzero"` // "light" or "dark" when it is meant for one of them only
}

// Screenshot is a PNG, JPEG or WebP file of the bundle.
type Screenshot struct {
	Src     string `json:"src"`
	Caption string `json:"caption,omitzero"`
}

// Localized replaces texts in one language.
type Localized struct {
	Name        string `json:"name,omitzero"`
	Summary     string `json:"summary,omitzero"`
	Description string `json:"description_file,omitzero"`
}

// Compat says where an app can run. An empty field allows everything.
type Compat struct {
	Paddock   string   `json:"paddock,omitzero"`    // like ">=0.1" or ">=0.2, <2"
	Platforms []string `json:"platforms,omitempty"` // linux, windows, macos
	Arch      []string `json:"arch,omitempty"`      // amd64, arm64
}

// Modes of Serve.
const (
	ModeServer = "server"
	ModeStatic = "static"
)

// Kinds of server a module can hold: the API of Serve.
const (
	APIFetch = "fetch" // exports { fetch }
	APIDeno  = "deno"  // calls Deno.serve
	APINode  = "node"  // starts a node:http server
)

// Serve says how the app answers requests.
type Serve struct {
	Mode         string `json:"mode"`
	Entry        string `json:"entry,omitzero"`           // server: the module; a bundle has JavaScript here
	API          string `json:"api,omitzero"`             // server: empty means find out at start
	Dir          string `json:"dir,omitzero"`             // static: the folder served; server: its public files
	Health       string `json:"health,omitzero"`          // a path that answers below 500 when the app is well
	ReadyTimeout int    `json:"ready_timeout_s,omitzero"` // seconds, 1–120
}

// Permissions are what the app asks for; see Manifest.Requests.
type Permissions struct {
	Network       []NetworkRequest   `json:"network,omitempty"`
	LocalNetwork  *PlainRequest      `json:"local_network,omitempty"`
	Files         []FileRequest      `json:"files,omitempty"`
	Sys           []SysRequest       `json:"sys,omitempty"`
	Browser       []BrowserRequest   `json:"browser,omitempty"`
	Background    *BackgroundRequest `json:"background,omitempty"`
	Notifications *PlainRequest      `json:"notifications,omitempty"`
	Links         *PlainRequest      `json:"links,omitempty"`
}

// NetworkRequest asks for one site, for a site with its subdomains, or for every site.
type NetworkRequest struct {
	Host       string `json:"host"`
	Port       int    `json:"port,omitzero"` // 443 when absent
	Reason     string `json:"reason"`
	Required   bool   `json:"required,omitzero"`
	Background bool   `json:"background,omitzero"`
}

// PlainRequest asks for a kind that has no scope.
type PlainRequest struct {
	Reason   string `json:"reason"`
	Required bool   `json:"required,omitzero"`
}

// FileRequest asks for a file or folder that the user picks.
type FileRequest struct {
	Slot     string   `json:"slot"`
	Kind     string   `json:"kind"`            // "file" or "folder"
	Access   string   `json:"access"`          // "read" or "readwrite"
	Types    []string `json:"types,omitempty"` // extensions like ".md" or media types like "image/*"
	Reason   string   `json:"reason"`
	Required bool     `json:"required,omitzero"`
}

// SysRequest asks for one fact about the machine, by Deno's name.
type SysRequest struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// BrowserRequest asks for one ability of the page.
type BrowserRequest struct {
	Feature string `json:"feature"`
	Reason  string `json:"reason"`
}

// BackgroundRequest asks to work while no page is open.
type BackgroundRequest struct {
	Reason   string `json:"reason"`
	Required bool   `json:"required,omitzero"`
	Schedule string `json:"schedule,omitzero"` // five fields of cron, see permission.Schedule; empty means all the time
}

// Resources is what the app would like to use. The host shows, edits and caps it.
type Resources struct {
	MemoryMB   int  `json:"memory_mb"`             // MiB
	CPUPercent int  `json:"cpu_percent"`           // of one core
	DiskMB     int  `json:"disk_mb"`               // MiB
	Workers    *int `json:"workers,omitempty"`     // 0–8; nil: the host's default
	IdleStop   *int `json:"idle_stop_s,omitempty"` // seconds without use before it is stopped
}

// Setting is one typed value that the user can set for the app.
type Setting struct {
	Type        string         `json:"type"` // string, number, integer, boolean, choice, secret
	Title       string         `json:"title"`
	Description string         `json:"description,omitzero"`
	Default     jsontext.Value `json:"default,omitempty"`
	Required    bool           `json:"required,omitzero"`
	Choices     []string       `json:"choices,omitempty"`
	Min         *float64       `json:"min,omitempty"`
	Max         *float64       `json:"max,omitempty"`
}

// Data describes the app's own data.
type Data struct {
	Schema  int     `json:"schema"`
	Migrate string  `json:"migrate,omitzero"` // a module of the bundle that brings data to Schema
	Backup  *Backup `json:"backup,omitempty"`
}

// Backup says what a backup leaves out.
type Backup struct {
	Exclude []string `json:"exclude,omitempty"` // patterns below the data folder
}

// Update says where newer versions are announced.
type Update struct {
	ManifestURL string `json:"manifest_url"`
	Channel     string `json:"channel,omitzero"`
}

// Succession is one step of a key rotation; the old key signs it.
type Succession struct {
	OldKey string `json:"old_key"`
	NewKey string `json:"new_key"`
	Seq    uint32 `json:"seq"`
	Sig    string `json:"sig"`
}
