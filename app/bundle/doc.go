// Package bundle turns a stranger's file or link into a verified, unpacked app with a valid manifest, and
// makes and checks the signatures that authors put on bundles.
//
//	staged, err := bundle.Open(ctx, "https://example.org/notes.paddock", bundle.Options{Staging: dir})
//	if err != nil { … }              // nothing is left in dir
//	defer staged.Discard()           // does nothing after Commit
//	err = staged.Commit(home + "/apps/INSTALL/1.0.0")
//
// What it guarantees: not one byte of an archive is parsed before the signature over all of it was
// verified; every number that a file declares is counted again while reading; nothing is written outside
// the staging folder; every file has the host's own modes; and after a failure the staging folder is as
// it was before. The limits are in [Limits], the refusals in [RefusedError].
//
// The file NAME.paddock is an uncompressed USTAR tar of exactly three entries: publisher.pub (a minisign
// public key), content.zip.minisig and content.zip. Standard tools can check it:
//
//	tar xf NAME.paddock && minisign -V -p publisher.pub -m content.zip
//
// A bare content.zip or a folder is accepted only with [Options.Dev] and comes out with Signed false.
//
// The package must not know users, grants, processes, nor which keys are trusted: it says which key
// signed, the caller compares it with the key it pinned.
package bundle
