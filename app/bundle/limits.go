package bundle

import "time"

// Limits bound what a stranger's file or server can make this package read, write or wait for.
// A zero field means the value of [DefaultLimits].
type Limits struct {
	File     int64         // bytes of the bundle file, and of content.zip; 200 MiB
	Unpacked int64         // bytes of all files together once unpacked; 500 MiB
	Entries  int           // files and folders in content.zip; 20,000
	Ratio    int64         // unpacked bytes for each compressed byte of one entry; 200
	Manifest int64         // bytes of paddock.json; 256 KiB
	Document int64         // bytes of one Markdown file that the manifest names; 256 KiB
	Icon     int64         // bytes of one icon; 512 KiB
	IconSide int           // pixels along one side of a PNG icon; 1024
	Stall    time.Duration // a server must deliver StallMin bytes in each such span; 30 s
	StallMin int64         // bytes; 16 KiB
	Connect  time.Duration // to resolve, connect, shake hands and get the first header; 30 s
	Retries  int           // new connections after a cut one, in one download; 8
	Redirect int           // redirects followed in one download; 5
}

// DefaultLimits are the limits of the bundle format.
var DefaultLimits = Limits{
	File:     200 << 20,
	Unpacked: 500 << 20,
	Entries:  20_000,
	Ratio:    200,
	Manifest: 256 << 10,
	Document: 256 << 10,
	Icon:     512 << 10,
	IconSide: 1024,
	Stall:    30 * time.Second,
	StallMin: 16 << 10,
	Connect:  30 * time.Second,
	Retries:  8,
	Redirect: 5,
}

const (
	maxNameBytes  = 1024    // of one entry's whole path
	maxNamePart   = 255     // of one part of it: the limit of every common file system
	maxNameDepth  = 32      // folders
	maxKeyFile    = 4 << 10 // publisher.pub and content.zip.minisig; real ones have about 300 bytes
	copyChunkSize = 128 << 10
)

// withDefaults fills zero and negative fields: a limit can be changed, never switched off.
func (l Limits) withDefaults() Limits {
	d := DefaultLimits
	orInt64(&l.File, d.File)
	orInt64(&l.Unpacked, d.Unpacked)
	orInt64(&l.Ratio, d.Ratio)
	orInt64(&l.Manifest, d.Manifest)
	orInt64(&l.Document, d.Document)
	orInt64(&l.Icon, d.Icon)
	orInt64(&l.StallMin, d.StallMin)
	orInt(&l.Entries, d.Entries)
	orInt(&l.IconSide, d.IconSide)
	orInt(&l.Retries, d.Retries)
	orInt(&l.Redirect, d.Redirect)
	if l.Stall <= 0 {
		l.Stall = d.Stall
	}
	if l.Connect <= 0 {
		l.Connect = d.Connect
	}
	return l
}

func orInt64(v *int64, def int64) {
	if *v <= 0 {
		*v = def
	}
}

func orInt(v *int, def int) {
	if *v <= 0 {
		*v = def
	}
}
