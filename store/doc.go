// Package store keeps everything that must outlive the agent in one bbolt file: installed apps, the user's answers,
// histories, sessions, notices, settings.
//
// It must not know: what a permission means, whether an app may start, where anything lies on disk. It stores what it
// is given and gives back copies.
//
// # The tree, schema 2
//
//	meta
//	  schema                  → 2 (8 bytes, big-endian)
//	  created                 → RFC 3339 time
//	  aged                    → the time by which age is judged, see Aged; seconds since 1970 (8 bytes)
//	installs
//	  INSTALL                 one bucket per installed or removed app, named by its random install id
//	    record                → Install without its manifest, JSON
//	    manifest              → paddock.json, the bytes that were installed
//	    disk                  → last measured bytes (8 bytes)
//	    woken                 → when its schedule last woke it, seconds since 1970 (8 bytes)
//	    grants/               permission → permission.Grant, JSON
//	    runs/                 run id (8 bytes, growing) → Run, JSON; at most 200
//	    open/                 run id → nothing, for runs that have not ended
//	    activity/             hour (8 bytes) permission NUL outcome NUL side [NUL "reported"] → Activity, JSON; 7 days, at most 2,000
//	    use/                  permission → Use, JSON; at most 500
//	    sessions/             sha256 of the cookie (32 bytes) → Session, JSON; at most 64
//	pins
//	  APP ID                  → [Pin, …], JSON, the last used first; at most 8
//	notices
//	  NOTICE ID               → Notice, JSON; at most 100
//	settings
//	  KEY                     → value
//	runtimes
//	  HASH                    one bucket per Deno binary
//	    KEY                   → measured value (8 bytes)
//
// Everything of an app lies under its own bucket, so that deleting an app is deleting a bucket. Pins lie outside:
// they outlive the bucket's app id being installed again, and go with DeleteInstall of the install they name.
//
// # Schema changes
//
// A new schema is one more entry at the end of migrations, with a test that starts from a file of the version before.
// All steps run in one transaction, after the file was copied to PATH.vN.bak; a file of a newer program is left alone
// (ErrNewer). Schema 1 kept an app's whole history in one value and rewrote it at every start.
//
// # Guarantees and limits
//
// Every exported method is one transaction: after a crash or a SIGKILL it has happened wholly or not at all, and what
// returned without an error is on disk. One process at a time: the file lock is the agent's single-instance lock. A
// damaged file is an error that names it (ErrDamaged), never a crash and never an empty store. Methods may be called
// from several goroutines; writers wait for each other.
package store
