package bundle

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// This file reads the records of a zip (PKWARE APPNOTE 6.3.10) itself, and accepts much less than
// archive/zip does: records that follow each other without a gap, a local header that says the same as
// the directory, methods store and deflate, no zip64, no encryption, no comment, no several disks.
// Whatever it accepts, archive/zip reads the same way (the fuzz target compares the two), so no other
// tool can see other files in a bundle than the ones that were checked.

const (
	sigLocal      = 0x04034b50
	sigDirectory  = 0x02014b50
	sigEnd        = 0x06054b50
	sigDescriptor = 0x08074b50

	localSize     = 30
	directorySize = 46
	endSize       = 22

	methodStore   = 0
	methodDeflate = 8

	flagDescriptor = 1 << 3
	flagUTF8       = 1 << 11
	// flagsAllowed are the deflate level bits, the descriptor and the UTF-8 mark. Everything else
	// changes how bytes must be read: encryption, patches, hidden headers.
	flagsAllowed = 1<<1 | 1<<2 | flagDescriptor | flagUTF8

	maxDirectory = 32 << 20 // bytes of all directory records: 20,000 entries with long names need 21 MiB
)

// zipEntry is one file or folder of an archive, as both of its headers say.
type zipEntry struct {
	name   string // without the final slash of a folder
	folder bool
	method uint16
	flags  uint16
	crc    uint32
	packed int64 // compressed bytes
	size   int64 // unpacked bytes as declared
	offset int64 // of the local header
	data   int64 // of the first compressed byte
}

// readZip checks every record of the archive in r and returns its entries in directory order.
// It unpacks nothing. Errors are *RefusedError or wrap what r returned.
func readZip(r io.ReaderAt, size int64, l Limits) ([]zipEntry, error) {
	entries, dirOffset, err := readZipDirectory(r, size, l)
	if err != nil {
		return nil, err
	}
	names := newNameSet()
	for i := range entries {
		e := &entries[i]
		if bad := checkName(e.name); bad != nil {
			return nil, bad
		}
		if bad := names.add(e.name, e.folder); bad != nil {
			return nil, bad
		}
	}
	order := make([]*zipEntry, len(entries))
	for i := range entries {
		order[i] = &entries[i]
	}
	slices.SortStableFunc(order, func(a, b *zipEntry) int { return cmp.Compare(a.offset, b.offset) })
	next := int64(0)
	for _, e := range order {
		switch {
		case e.offset < next:
			return nil, refuse(RuleOverlap, e.name, "it overlaps another entry of the zip")
		case e.offset > next:
			return nil, refuse(RuleOverlap, e.name, "there are %d bytes before it that belong to no entry", e.offset-next)
		}
		if next, err = readLocal(r, e, dirOffset); err != nil {
			return nil, err
		}
	}
	if next != dirOffset {
		return nil, refuse(RuleOverlap, "", "the zip has %d bytes that belong to no entry", dirOffset-next)
	}
	return entries, nil
}

// readZipDirectory reads the end record and the directory.
func readZipDirectory(r io.ReaderAt, size int64, l Limits) (entries []zipEntry, offset int64, err error) {
	if size < endSize {
		return nil, 0, refuse(RuleTruncated, "", "a zip of %d bytes is too short", size)
	}
	var end [endSize]byte
	if err := readAt(r, end[:], size-endSize); err != nil {
		return nil, 0, err
	}
	le := binary.LittleEndian
	if le.Uint32(end[:]) != sigEnd || le.Uint16(end[20:]) != 0 {
		return nil, 0, refuse(RuleZip, "", "the zip does not end with its end record: it is cut short, has a comment, or has bytes after it").
			hint("Make it again with `paddock pack`.")
	}
	disk, dirDisk := le.Uint16(end[4:]), le.Uint16(end[6:])
	onDisk, count := int(le.Uint16(end[8:])), int(le.Uint16(end[10:]))
	dirSize, dirOffset := int64(le.Uint32(end[12:])), int64(le.Uint32(end[16:]))
	switch {
	case disk != 0 || dirDisk != 0 || onDisk != count:
		return nil, 0, refuse(RuleZip, "", "the zip is split over several disks")
	case count == 0xFFFF || dirSize == 0xFFFFFFFF || dirOffset == 0xFFFFFFFF:
		return nil, 0, refuse(RuleZip, "", "the zip uses zip64, which no bundle of an allowed size needs")
	case count > l.Entries:
		return nil, 0, refuse(RuleEntries, "", "the zip has %d entries; %d are allowed", count, l.Entries)
	case dirSize > maxDirectory || dirSize > size-endSize || dirOffset != size-endSize-dirSize:
		return nil, 0, refuse(RuleZip, "", "the directory of the zip does not lie right before its end record")
	}
	dir := make([]byte, dirSize)
	if err := readAt(r, dir, dirOffset); err != nil {
		return nil, 0, err
	}
	entries = make([]zipEntry, 0, min(count, 1024))
	for len(dir) > 0 {
		if len(entries) >= count {
			return nil, 0, refuse(RuleEntries, "", "the directory of the zip has more entries than the %d it declares", count)
		}
		e, n, err := parseDirectoryRecord(dir)
		if err != nil {
			return nil, 0, err
		}
		entries, dir = append(entries, e), dir[n:]
	}
	if len(entries) != count {
		return nil, 0, refuse(RuleZip, "", "the directory of the zip has %d entries but declares %d", len(entries), count)
	}
	return entries, dirOffset, nil
}

// parseDirectoryRecord reads the first record of b and says how long it is.
func parseDirectoryRecord(b []byte) (zipEntry, int, error) {
	le := binary.LittleEndian
	if len(b) < directorySize || le.Uint32(b) != sigDirectory {
		return zipEntry{}, 0, refuse(RuleZip, "", "the directory of the zip is damaged")
	}
	nameLen, extraLen, commentLen := int(le.Uint16(b[28:])), int(le.Uint16(b[30:])), int(le.Uint16(b[32:]))
	total := directorySize + nameLen + extraLen + commentLen
	if total > len(b) {
		return zipEntry{}, 0, refuse(RuleZip, "", "the directory of the zip is damaged")
	}
	name := string(b[directorySize : directorySize+nameLen])
	e := zipEntry{
		name:   strings.TrimSuffix(name, "/"),
		folder: strings.HasSuffix(name, "/"),
		flags:  le.Uint16(b[8:]),
		method: le.Uint16(b[10:]),
		crc:    le.Uint32(b[16:]),
		packed: int64(le.Uint32(b[20:])),
		size:   int64(le.Uint32(b[24:])),
		offset: int64(le.Uint32(b[42:])),
	}
	if name == "/" {
		return e, 0, refuse(RuleName, name, "the name is an absolute path")
	}
	switch {
	case e.packed == 0xFFFFFFFF || e.size == 0xFFFFFFFF || e.offset == 0xFFFFFFFF:
		return e, 0, refuse(RuleZip, name, "it uses zip64, which no bundle of an allowed size needs")
	case le.Uint16(b[34:]) != 0:
		return e, 0, refuse(RuleZip, name, "it lies on another disk")
	case e.flags&1 != 0:
		return e, 0, refuse(RuleZip, name, "it is encrypted")
	case e.flags&^flagsAllowed != 0:
		return e, 0, refuse(RuleZip, name, "it has the unknown flags %#04x", e.flags&^flagsAllowed)
	case e.method != methodStore && e.method != methodDeflate:
		return e, 0, refuse(RuleZip, name, "it is compressed with method %d; only store and deflate are allowed", e.method)
	case e.method == methodStore && e.packed != e.size:
		return e, 0, refuse(RuleZip, name, "it is stored, but its two sizes differ")
	case e.folder && (e.size != 0 || e.packed > 2): // an empty deflate stream has two bytes
		return e, 0, refuse(RuleZip, name, "it is a folder with content")
	}
	if bad := checkZipMode(name, e.folder, le.Uint32(b[38:])); bad != nil {
		return e, 0, bad
	}
	return e, total, nil
}

// checkZipMode refuses everything but plain files and folders. The upper half of the attributes is a
// Unix mode when the archive was made on such a system, else zero; it is judged in any case, because
// unpackers differ in whom they believe.
func checkZipMode(name string, folder bool, attrs uint32) *RefusedError {
	const (
		typeMask, typeFolder, typeFile, typeLink = 0o170000, 0o040000, 0o100000, 0o120000
		dosFolder, dosReparse                    = 0x10, 0x400
	)
	switch kind := attrs >> 16 & typeMask; {
	case kind == typeLink || attrs&dosReparse != 0:
		return refuse(RuleLink, name, "it is a link, which could lead out of the app's folder")
	case kind == 0 && (folder || attrs&dosFolder == 0), kind == typeFile && !folder, kind == typeFolder && folder:
		return nil
	case kind == typeFile || kind == typeFolder || kind == 0:
		return refuse(RuleZip, name, "its name and its attributes disagree about whether it is a folder")
	}
	return refuse(RuleSpecial, name, "it is a device, socket or pipe")
}

// readLocal compares the local header of e with the directory, sets e.data, and returns where the next
// record must start. limit is where the directory starts.
func readLocal(r io.ReaderAt, e *zipEntry, limit int64) (int64, error) {
	var h [localSize]byte
	if e.offset+localSize > limit {
		return 0, refuse(RuleOverlap, e.name, "its header reaches into the directory of the zip")
	}
	if err := readAt(r, h[:], e.offset); err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	if le.Uint32(h[:]) != sigLocal {
		return 0, refuse(RuleZip, e.name, "the directory of the zip points to something that is no entry")
	}
	nameLen, extraLen := int64(le.Uint16(h[26:])), int64(le.Uint16(h[28:]))
	e.data = e.offset + localSize + nameLen + extraLen
	end := e.data + e.packed
	if end > limit {
		return 0, refuse(RuleOverlap, e.name, "it reaches into the directory of the zip")
	}
	name := make([]byte, nameLen)
	if err := readAt(r, name, e.offset+localSize); err != nil {
		return 0, err
	}
	want := e.name
	if e.folder {
		want += "/"
	}
	if string(name) != want {
		return 0, refuse(RuleZip, e.name, "its own header gives it another name, %q", printable(string(name), 80))
	}
	crc, packed, size := le.Uint32(h[14:]), int64(le.Uint32(h[18:])), int64(le.Uint32(h[22:]))
	same := crc == e.crc && packed == e.packed && size == e.size
	streamed := e.flags&flagDescriptor != 0 && crc == 0 && packed == 0 && size == 0
	if le.Uint16(h[6:]) != e.flags || le.Uint16(h[8:]) != e.method || !same && !streamed {
		return 0, refuse(RuleZip, e.name, "its own header and the directory of the zip contradict each other")
	}
	if e.flags&flagDescriptor == 0 {
		return end, nil
	}
	return readDescriptor(r, e, end, limit)
}

// readDescriptor checks the record after a streamed entry's data, which comes with and without a
// signature of its own, and returns where it ends.
func readDescriptor(r io.ReaderAt, e *zipEntry, at, limit int64) (int64, error) {
	want := make([]byte, 0, 16)
	want = binary.LittleEndian.AppendUint32(want, sigDescriptor)
	want = binary.LittleEndian.AppendUint32(want, e.crc)
	want = binary.LittleEndian.AppendUint32(want, uint32(e.packed))
	want = binary.LittleEndian.AppendUint32(want, uint32(e.size))
	for _, form := range [][]byte{want, want[4:]} {
		if at+int64(len(form)) > limit {
			continue
		}
		got := make([]byte, len(form))
		if err := readAt(r, got, at); err != nil {
			return 0, err
		}
		if string(got) == string(form) {
			return at + int64(len(form)), nil
		}
	}
	return 0, refuse(RuleZip, e.name, "the record after its data contradicts the directory of the zip")
}

// readAt fills b from offset.
func readAt(r io.ReaderAt, b []byte, offset int64) error {
	n, err := r.ReadAt(b, offset)
	if n == len(b) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return refuse(RuleTruncated, "", "the zip ends too early")
	}
	return fmt.Errorf("read the zip: %w", err)
}
