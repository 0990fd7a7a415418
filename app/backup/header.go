package backup

import (
	"bytes"
	"encoding/json"
	"io"
	"time"
	"unicode/utf8"

	"paddock/sandbox/permission"
)

// Format is the version of the file's form that this package writes, and the only one that it reads.
const Format = 1

// Header says what a backup holds. Nothing in it is believed that the bundle's signature or the seal does not confirm.
type Header struct {
	Format  int                `json:"format"`
	Paddock string             `json:"paddock"` // version of the program that made it
	MadeAt  time.Time          `json:"made_at"`
	App     App                `json:"app"`
	Budget  Budget             `json:"budget"`
	Grants  []permission.Grant `json:"grants"` // lasting answers, refusals included; none that ends with a session
}

// App names the version that was installed.
type App struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	Version      string `json:"version"`
	VersionCode  uint32 `json:"version_code"`
	PublisherKey string `json:"publisher_key"` // minisign public key, base64
}

// Budget is what the user had set.
type Budget struct {
	MemoryBytes int64   `json:"memory_bytes"`
	CPUPercent  float64 `json:"cpu_percent"` // percent of one core
	DiskBytes   int64   `json:"disk_bytes"`
}

const (
	maxHeader = 1 << 20 // bytes of paddock-backup.json
	maxGrants = 1000    // answers in it
	maxText   = 4096    // bytes of one text: a path is the longest
)

// ParseHeader reads paddock-backup.json. Errors are *RefusedError.
func ParseHeader(raw []byte) (Header, error) {
	bad := func(format string, args ...any) (Header, error) {
		return Header{}, refuse(RuleHeader, entryHeader, format, args...)
	}
	if len(raw) > maxHeader {
		return bad("it has more than %d KiB", maxHeader>>10)
	}
	// The version first: a newer form may have fields that are unknown here.
	var version struct {
		Format int `json:"format"`
	}
	if !utf8.Valid(raw) {
		return bad("it is not text")
	}
	if err := json.Unmarshal(raw, &version); err != nil {
		return bad("it is not JSON of the expected form")
	}
	switch {
	case version.Format > Format:
		return Header{}, refuse(RuleNewer, "", "the backup was made by a newer Paddock (form %d, this one knows %d)", version.Format, Format).
			hint("Install the newer version of Paddock, then restore it.")
	case version.Format < 1:
		return bad("it does not say which form the backup has")
	}
	var h Header
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&h); err != nil {
		return bad("it is not JSON of the expected form")
	}
	if _, err := d.Token(); err != io.EOF {
		return bad("there is more than one document in it")
	}
	if len(h.Grants) > maxGrants {
		return bad("it has %d answers; %d are allowed", len(h.Grants), maxGrants)
	}
	for _, text := range []string{h.Paddock, h.App.ID, h.App.Name, h.App.Version, h.App.PublisherKey} {
		if len(text) > maxText {
			return bad("it has a text of %d bytes", len(text))
		}
	}
	if h.App.ID == "" || h.App.PublisherKey == "" || h.App.VersionCode == 0 {
		return bad("it does not say which app this is")
	}
	for _, g := range h.Grants {
		if !g.Permission.Valid() || len(g.Path) > maxText || len(g.By) > maxText || len(g.Schedule) > maxText {
			return bad("one of its answers is about nothing that an app can ask for")
		}
	}
	return h, nil
}
