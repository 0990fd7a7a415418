// Package backup writes and reads the one file that holds an app: its signed bundle, its data, the user's answers and
// limits, and a seal.
//
//	report, err := backup.Write(ctx, file, backup.Source{Header: h, Bundle: path, Data: dir, Key: key}, progress)
//
//	r, err := backup.Open(ctx, file, backup.Options{Key: key})  // the header
//	err = r.Bundle(path)                                        // to be verified like any stranger's bundle
//	err = r.Data(dir)                                           // then the data; the seal is checked at the end
//	if r.Own() { … }                                            // made here and not changed since
//
// The file is an uncompressed POSIX tar with these entries, in this order:
//
//	paddock-backup.json   what it is: a [Header]
//	app.paddock           the bundle, byte for byte as it was installed
//	data/…                folders before what lies in them, plain files
//	seal.json             SHA-256 and HMAC-SHA256 of every byte before this entry
//
// It is not compressed, so that no entry can unpack to more than it has bytes in the file, and any tar shows what is
// inside. The SHA-256 finds damage. The HMAC is made with a key of one machine, which is in no backup: it tells
// a file that this machine made from one that anybody else could have written (security.md, rule 3).
//
// What it guarantees when reading: every number is counted again; nothing is written outside the folder named; only
// folders and plain files come out, with the host's own modes, so that no link, device, set-uid, set-gid or sticky bit
// of the archive survives; an entry never replaces another one. Names are judged by the system that unpacks: an
// app may have made any name that its file system can store, and what it could make itself, a restore may make.
//
// The package must not know apps, stores, processes, nor what a grant is worth: it says whether the seal is this
// machine's, the caller decides what follows.
package backup
