package bundle

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

// TestRefusedArchives has one archive for each refusal, signed properly: what is refused here is the content.
func TestRefusedArchives(t *testing.T) {
	named := func(name string) []rawEntry { return sampleEntries(t, nil, file(name, "x")) }
	small := Limits{Entries: 10, Unpacked: 1 << 20, Ratio: 200}
	many := sampleEntries(t, nil)
	for i := range 8 {
		many = append(many, file(fmt.Sprintf("f%d", i), ""))
	}
	noise := make([]byte, 600<<10)
	for i, x := 0, uint32(1); i < len(noise); i++ {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	bomb := rawEntry{name: "bomb", body: make([]byte, 900<<10), deflate: true}
	liar := bomb
	liar.size = ptr(uint32(10))
	manifest := rawEntry{name: ManifestName, body: sampleManifest(t, nil), deflate: true}
	app, icon := file("app.js", sampleApp), rawEntry{name: "icon.png", body: samplePNG()}
	withMode := func(name string, mode uint32) []rawEntry {
		return sampleEntries(t, nil, rawEntry{name: name, body: []byte("/etc/passwd"), mode: mode})
	}
	for name, c := range map[string]struct {
		entries []rawEntry
		limits  Limits
		rule    string
		entry   string
	}{
		"too many entries":          {many, small, RuleEntries, ""},
		"too big unpacked":          {sampleEntries(t, nil, rawEntry{name: "a", body: noise}, rawEntry{name: "b", body: noise}), small, RuleUnpacked, "b"},
		"ratio":                     {sampleEntries(t, nil, bomb), Limits{}, RuleRatio, "bomb"},
		"ratio with a false size":   {sampleEntries(t, nil, liar), Limits{}, RuleContent, "bomb"},
		"link":                      {withMode("link", 0o120777), Limits{}, RuleLink, "link"},
		"character device":          {withMode("dev", 0o020666), Limits{}, RuleSpecial, "dev"},
		"block device":              {withMode("dev", 0o060666), Limits{}, RuleSpecial, "dev"},
		"pipe":                      {withMode("pipe", 0o010666), Limits{}, RuleSpecial, "pipe"},
		"socket":                    {withMode("sock", 0o140666), Limits{}, RuleSpecial, "sock"},
		"folder mode on a file":     {withMode("odd", 0o040755), Limits{}, RuleZip, "odd"},
		"file mode on a folder":     {withMode("odd/", 0o100644), Limits{}, RuleZip, "odd"},
		"absolute":                  {named("/etc/cron.d/x"), Limits{}, RuleName, "/etc"},
		"only a slash":              {named("/"), Limits{}, RuleName, "/"},
		"parent":                    {named("../x"), Limits{}, RuleName, "../x"},
		"parent in the middle":      {named("a/../../x"), Limits{}, RuleName, ".."},
		"parent at the end":         {named("a/.."), Limits{}, RuleName, ".."},
		"dot":                       {named("a/./b"), Limits{}, RuleName, "a/./b"},
		"empty part":                {named("a//b"), Limits{}, RuleName, "a//b"},
		"empty name":                {named(""), Limits{}, RuleName, ""},
		"backslash":                 {named(`a\b`), Limits{}, RuleName, `a\b`},
		"drive":                     {named("c:/x"), Limits{}, RuleName, "c:"},
		"stream":                    {named("a.txt:evil"), Limits{}, RuleName, "a.txt"},
		"NUL":                       {named("a\x00b"), Limits{}, RuleName, "a"},
		"control character":         {named("a\x1bb"), Limits{}, RuleName, "a"},
		"line break":                {named("a\nb"), Limits{}, RuleName, "a"},
		"direction change":          {named("a\u202egnp.exe"), Limits{}, RuleName, "a"},
		"wildcard":                  {named("a*"), Limits{}, RuleName, "a*"},
		"trailing dot":              {named("a./b"), Limits{}, RuleName, "a./b"},
		"trailing space":            {named("a "), Limits{}, RuleName, "a "},
		"device name":               {named("a/NUL"), Limits{}, RuleName, "NUL"},
		"device name, extension":    {named("com1.txt"), Limits{}, RuleName, "com1.txt"},
		"device name, superscript":  {named("lpt²"), Limits{}, RuleName, "lpt"},
		"long part":                 {named(strings.Repeat("a", 256)), Limits{}, RuleName, ""},
		"long name":                 {named(strings.Repeat("aaaaaaaaa/", 110) + "x"), Limits{}, RuleName, ""},
		"deep name":                 {named(strings.Repeat("a/", 32) + "x"), Limits{}, RuleName, ""},
		"not UTF-8":                 {named("a\xffb"), Limits{}, RuleEncoding, "a"},
		"same name":                 {sampleEntries(t, nil, file("a", "1"), file("a", "2")), Limits{}, RuleDuplicate, "a"},
		"same manifest":             {sampleEntries(t, nil, manifest), Limits{}, RuleDuplicate, ManifestName},
		"same but for case":         {sampleEntries(t, nil, file("Read", "1"), file("rEAD", "2")), Limits{}, RuleDuplicate, "rEAD"},
		"same but for composition":  {sampleEntries(t, nil, file("\u00e9", "1"), file("e\u0301", "2")), Limits{}, RuleDuplicate, "e"},
		"same but for sharp s":      {sampleEntries(t, nil, file("stra\u00dfe", "1"), file("STRASSE", "2")), Limits{}, RuleDuplicate, "STRASSE"},
		"same folders but for case": {sampleEntries(t, nil, file("dir/a", "1"), file("DIR/b", "2")), Limits{}, RuleDuplicate, "DIR/b"},
		"entry under a file":        {sampleEntries(t, nil, file("a", "1"), file("a/b", "2")), Limits{}, RuleUnderFile, "a/b"},
		"file over entries":         {sampleEntries(t, nil, file("a/b", "1"), file("a", "2")), Limits{}, RuleUnderFile, "a"},
		"no manifest":               {[]rawEntry{app, icon}, Limits{}, RuleManifest, ManifestName},
		"no entries":                {nil, Limits{}, RuleManifest, ManifestName},
		"manifest as a folder":      {[]rawEntry{{name: ManifestName + "/"}, app, icon}, Limits{}, RuleManifest, ManifestName},
		"manifest too big":          {[]rawEntry{{name: ManifestName, body: append(sampleManifest(t, nil), bytes.Repeat([]byte(" \n\t \r \n"), 40<<10)...)}, app, icon}, Limits{}, RuleManifest, ManifestName},
		"no entry module":           {[]rawEntry{manifest, icon}, Limits{}, RuleMissing, "app.js"},
		"no icon":                   {[]rawEntry{manifest, app}, Limits{}, RuleMissing, "icon.png"},
		"other name in the header":  {sampleEntries(t, nil, rawEntry{name: "good", localName: ptr("evil"), body: []byte("x")}), Limits{}, RuleZip, "good"},
		"longer name in the header": {sampleEntries(t, nil, rawEntry{name: "good", localName: ptr("good.exe"), body: []byte("x")}), Limits{}, RuleZip, "good"},
		"overlap":                   {append(sampleEntries(t, nil), rawEntry{name: ManifestName + "2", localName: ptr(ManifestName), body: manifest.body, deflate: true, offset: ptr(uint32(0))}), Limits{}, RuleOverlap, ""},
		"gap":                       {sampleEntries(t, nil, rawEntry{name: "a", gap: []byte("hidden"), body: []byte("x")}), Limits{}, RuleOverlap, "a"},
		"bytes in front":            {[]rawEntry{{name: ManifestName, body: manifest.body, gap: []byte("PK\x03\x04MZ")}, app, icon}, Limits{}, RuleOverlap, ManifestName},
		"bad checksum":              {sampleEntries(t, nil, rawEntry{name: "a", body: []byte("x"), crc: ptr(uint32(1))}), Limits{}, RuleContent, "a"},
		"more than declared":        {sampleEntries(t, nil, rawEntry{name: "a", body: []byte("hello there"), deflate: true, size: ptr(uint32(3))}), Limits{}, RuleContent, "a"},
		"less than declared":        {sampleEntries(t, nil, rawEntry{name: "a", body: []byte("hello there"), deflate: true, size: ptr(uint32(300))}), Limits{}, RuleContent, "a"},
		"bytes after the data":      {sampleEntries(t, nil, rawEntry{name: "a", body: []byte("x"), deflate: true, tail: []byte("evil")}), Limits{}, RuleContent, "a"},
		"stored with two sizes":     {sampleEntries(t, nil, rawEntry{name: "a", body: []byte("hello"), size: ptr(uint32(3))}), Limits{}, RuleZip, "a"},
		"encrypted":                 {sampleEntries(t, nil, rawEntry{name: "a", body: []byte("x"), flags: 1}), Limits{}, RuleZip, "a"},
		"strange flags":             {sampleEntries(t, nil, rawEntry{name: "a", body: []byte("x"), flags: 1 << 13}), Limits{}, RuleZip, "a"},
		"folder with content":       {sampleEntries(t, nil, rawEntry{name: "a/", body: []byte("hello")}), Limits{}, RuleZip, "a/"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := openBytes(t, sampleBundle(t, rawZip(c.entries...)), Options{Limits: c.limits})
			assertRefused(t, err, c.rule, c.entry)
		})
	}
}

// TestRefusedZips has archives whose outer records are wrong.
func TestRefusedZips(t *testing.T) {
	good := sampleZip(t)
	le := binary.LittleEndian
	edit := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(good)) }
	end := len(good) - endSize
	dirOffset := int(le.Uint32(good[end+16:]))
	for name, c := range map[string]struct {
		content []byte
		rule    string
	}{
		"empty":                   {nil, RuleTruncated},
		"cut in the middle":       {good[:len(good)/2], RuleZip},
		"cut by a byte":           {good[:len(good)-1], RuleZip},
		"bytes after the end":     {append(bytes.Clone(good), 'x'), RuleZip},
		"comment":                 {edit(func(b []byte) []byte { le.PutUint16(b[end+20:], 2); return append(b, 'h', 'i') }), RuleZip},
		"several disks":           {edit(func(b []byte) []byte { b[end+4] = 1; return b }), RuleZip},
		"count too high":          {edit(func(b []byte) []byte { b[end+8], b[end+10] = 9, 9; return b }), RuleZip},
		"count too low":           {edit(func(b []byte) []byte { b[end+8], b[end+10] = 2, 2; return b }), RuleEntries},
		"zip64":                   {edit(func(b []byte) []byte { copy(b[end+8:], "\xff\xff\xff\xff"); return b }), RuleZip},
		"directory elsewhere":     {edit(func(b []byte) []byte { b[end+16]++; return b }), RuleZip},
		"directory damaged":       {edit(func(b []byte) []byte { b[dirOffset] = 'X'; return b }), RuleZip},
		"method unknown":          {edit(func(b []byte) []byte { b[dirOffset+10] = 12; return b }), RuleZip},
		"header damaged":          {edit(func(b []byte) []byte { b[0] = 'X'; return b }), RuleZip},
		"header disagrees":        {edit(func(b []byte) []byte { b[14] ^= 1; return b }), RuleZip},
		"data damaged":            {edit(func(b []byte) []byte { b[localSize+len(ManifestName)+4] ^= 0xff; return b }), RuleContent},
		"no local entry there":    {append(append(bytes.Clone(good[:dirOffset]), good[dirOffset:end]...), endRecord(3, end-dirOffset, 0)...), RuleZip},
		"hole before directory":   {append(append(append(bytes.Clone(good[:dirOffset]), "hole"...), good[dirOffset:end]...), endRecord(3, end-dirOffset, dirOffset+4)...), RuleOverlap},
		"descriptor disagrees":    {rawZip(sampleEntries(t, nil, rawEntry{name: "a", body: []byte("x"), streamed: true, tail: nil, flags: 0})...), ""},
		"descriptor without data": {badDescriptor(t), RuleZip},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := openBytes(t, sampleBundle(t, c.content), Options{})
			if c.rule == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			assertRefused(t, err, c.rule, "")
		})
	}
}

// badDescriptor is an archive whose last entry's data descriptor has another checksum.
func badDescriptor(t *testing.T) []byte {
	b := rawZip(sampleEntries(t, nil, rawEntry{name: "a", body: []byte("x"), streamed: true})...)
	at := bytes.LastIndex(b, []byte("PK\x07\x08"))
	b[at+4] ^= 1
	return b
}

func TestRefusedTars(t *testing.T) {
	content := sampleZip(t)
	key, sig := signedParts(testKeys()[0], content, honestComment(content))
	good := tarOf(t, key, sig, content)
	entry := func(name string, body []byte) []byte {
		b := append(tarHeader(name, int64(len(body))), body...)
		return append(b, make([]byte, -len(body)&(tarBlock-1))...)
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	end := make([]byte, 2*tarBlock)
	k, s, c := entry(entryKey, key), entry(entrySignature, sig), entry(entryContent, content)
	header := func(at int, f func(h []byte)) []byte {
		b := bytes.Clone(good)
		h := b[at : at+tarBlock]
		f(h)
		copy(h[offSum:], fmt.Sprintf("%06o\x00 ", tarChecksum(h)))
		return b
	}
	padded := bytes.Clone(good)
	padded[tarBlock+len(key)] = 'x'
	huge := header(len(k)+len(s), func(h []byte) { copy(h[offSize:], "77777777777\x00") })
	for name, c := range map[string]struct {
		file []byte
		rule string
	}{
		"empty file":            {nil, RuleTruncated},
		"three bytes":           {[]byte("abc"), RuleTruncated},
		"not a tar":             {bytes.Repeat([]byte("hello "), 500), RuleFormat},
		"web page":              {[]byte("<!doctype html>" + strings.Repeat(" ", 600)), RuleFormat},
		"other order":           {join(s, k, c, end), RuleTar},
		"content first":         {join(c, k, s, end), RuleTar},
		"entry missing":         {join(k, c, end), RuleTar},
		"content missing":       {join(k, s, end), RuleTar},
		"no entries":            {join(end, end), RuleTar},
		"entry before":          {join(entry("README", []byte("x")), k, s, c, end), RuleTar},
		"entry between":         {join(k, entry("README", []byte("x")), s, c, end), RuleTar},
		"extra entry":           {join(k, s, c, entry("evil.sh", []byte("x")), end), RuleTar},
		"extra entry after end": {join(good, entry("evil.sh", []byte("x")), end), RuleTar},
		"trailing data":         {join(good, []byte("x")), RuleTar},
		"trailing block":        {join(good, bytes.Repeat([]byte("x"), tarBlock)), RuleTar},
		"odd end":               {join(good, make([]byte, 100)), RuleTar},
		"endless padding":       {join(good, make([]byte, 30*tarBlock)), RuleTar},
		"hidden in padding":     {padded, RuleTar},
		"cut in the content":    {good[:len(good)-2*tarBlock-1000], RuleTruncated},
		"cut in the header":     {good[:100], RuleTruncated},
		"no end mark":           {good[:len(good)-2*tarBlock], RuleTruncated},
		"half an end mark":      {good[:len(good)-tarBlock], RuleTruncated},
		"bad checksum":          {append([]byte("q"), good[1:]...), RuleFormat},
		"GNU magic":             {header(0, func(h []byte) { copy(h[offMagic:], "ustar  \x00") }), RuleFormat},
		"PAX header":            {header(0, func(h []byte) { h[offType] = 'x' }), RuleTar},
		"link":                  {header(0, func(h []byte) { h[offType] = '2' }), RuleLink},
		"hard link":             {header(len(k)+len(s), func(h []byte) { h[offType] = '1' }), RuleLink},
		"link name":             {header(0, func(h []byte) { copy(h[offLink:], "/etc/passwd") }), RuleLink},
		"device":                {header(0, func(h []byte) { h[offType] = '3' }), RuleSpecial},
		"folder":                {header(0, func(h []byte) { h[offType] = '5' }), RuleTar},
		"prefix":                {header(0, func(h []byte) { copy(h[offPrefix:], "..") }), RuleTar},
		"name after NUL":        {header(0, func(h []byte) { copy(h[20:], "evil") }), RuleTar},
		"size not octal":        {header(0, func(h []byte) { copy(h[offSize:], "9999\x00") }), RuleFormat},
		"size negative":         {header(0, func(h []byte) { copy(h[offSize:], "-0000000001\x00") }), RuleFormat},
		"size in base 256":      {header(0, func(h []byte) { h[offSize] = 0x80 }), RuleFormat},
		"key too big":           {header(0, func(h []byte) { copy(h[offSize:], "00000100000\x00") }), RuleTar},
		"content too big":       {huge, RuleFileSize},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := openBytes(t, c.file, Options{})
			assertRefused(t, err, c.rule, "")
		})
	}
	if _, err := openBytes(t, join(good, make([]byte, 18*tarBlock)), Options{}); err != nil {
		t.Errorf("tar pads to 20 blocks, and that is fine: %v", err)
	}
	_, err := openBytes(t, good, Options{Limits: Limits{File: 100}})
	assertRefused(t, err, RuleFileSize, "")
}
