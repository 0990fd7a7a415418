package pack

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"slices"
	"strings"

	"paddock/app/bundle"
)

// compressedTypes gain nothing from another compression.
var compressedTypes = map[string]bool{
	".png": true, ".jpg": true, ".jpeg": true, ".gif": true, ".webp": true, ".avif": true, ".woff": true, ".woff2": true,
	".mp3": true, ".mp4": true, ".ogg": true, ".webm": true, ".zip": true, ".gz": true, ".br": true, ".zst": true, ".pdf": true,
}

// dosDate1980 is 1980-01-01 in the date format of zip: years since 1980, month, day.
const dosDate1980 = 0<<9 | 1<<5 | 1

// writeZip writes files so that the same files give the same bytes: sorted by the bytes of their names, all
// with the same date and mode, no extra fields, no records after the data.
func writeZip(ctx context.Context, w io.Writer, files map[string][]byte) error {
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	z := zip.NewWriter(w)
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := writeEntry(z, name, files[name]); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return z.Close()
}

func writeEntry(z *zip.Writer, name string, content []byte) error {
	const unixVersion20 = 3<<8 | 20
	h := &zip.FileHeader{
		Name: name, Method: zip.Store, Flags: 1 << 11, // names are UTF-8
		//lint:ignore SA1019 CreateRaw writes this field as it is and never looks at Modified
		ModifiedDate:   dosDate1980,
		CreatorVersion: unixVersion20, ReaderVersion: 20,
		CRC32: crc32.ChecksumIEEE(content), UncompressedSize64: uint64(len(content)),
		ExternalAttrs: 0o100644 << 16,
	}
	packed := content
	if !compressedTypes[strings.ToLower(path.Ext(name))] {
		smaller, err := deflate(content)
		if err != nil {
			return err
		}
		// An entry that shrinks too well would be refused as a bomb, so it is stored.
		if len(smaller) < len(content) && int64(len(content)) < int64(len(smaller))*bundle.DefaultLimits.Ratio/2 {
			h.Method, packed = zip.Deflate, smaller
		}
	}
	h.CompressedSize64 = uint64(len(packed))
	entry, err := z.CreateRaw(h)
	if err != nil {
		return err
	}
	_, err = entry.Write(packed)
	return err
}

func deflate(content []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
