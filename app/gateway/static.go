package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"time"
)

// file answers from the app's static folder. It reports false, with nothing written, when a server app is to
// answer instead. Only regular files inside the folder are given out, none that begins with a dot, and not the
// manifest.
func (g *Gateway) file(w http.ResponseWriter, r *http.Request, s *site, st *siteState) (answered bool) {
	static := st.app.Mode == ModeStatic
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		if static {
			w.Header().Set("Allow", "GET, HEAD")
			g.show(w, r, s, http.StatusMethodNotAllowed, page{Title: "This is not possible here", Text: "This app is made of files, which can only be read."})
		}
		return static
	}
	name, ok := fileName(r.URL.Path)
	if !ok {
		return static && g.noFile(w, r, s)
	}
	root, err := os.OpenRoot(st.app.StaticDir)
	if err != nil {
		if static {
			g.log.Error("static folder of an app", "app", st.app.ID, "err", err)
			g.refuse(w, r, s, &StateError{Code: "no_files", Title: s.name() + " cannot be read", Text: "Its files are missing. Install the app again."})
		}
		return static
	}
	defer root.Close()

	if static {
		info, err := root.Stat(name)
		switch {
		case err == nil && info.IsDir() && name != "." && !strings.HasSuffix(r.URL.Path, "/"):
			return g.toFolder(w, r, s, st, root, name)
		case name == "." || strings.HasSuffix(r.URL.Path, "/"):
			name = path.Join(name, "index.html")
		}
	} else if strings.HasSuffix(r.URL.Path, "/") {
		return false
	}
	if sendFile(w, r, s, st, root, name) {
		return true
	}
	return static && g.noFile(w, r, s)
}

func (g *Gateway) noFile(w http.ResponseWriter, r *http.Request, s *site) bool {
	g.show(w, r, s, http.StatusNotFound, page{Title: "There is no such page", Text: s.name() + " has nothing at this address.", Link: "/", LinkLabel: "Back to the start"})
	return true
}

// toFolder sends the browser to the address of a folder's index with a slash, where relative links work.
func (g *Gateway) toFolder(w http.ResponseWriter, r *http.Request, s *site, st *siteState, root *os.Root, name string) bool {
	if _, err := root.Stat(path.Join(name, "index.html")); err != nil {
		return g.noFile(w, r, s)
	}
	target := pathOf(r) + "/"
	if _, query, found := strings.Cut(r.RequestURI, "?"); found {
		target += "?" + query
	}
	if !staysAt(target, s.origin) {
		return g.noFile(w, r, s)
	}
	h := w.Header()
	st.protect(h, r, "text/html", false)
	h["Location"] = []string{target}
	h["Content-Type"] = nil
	w.WriteHeader(http.StatusMovedPermanently)
	return true
}

// fileName turns the path of a URL into a name below the static folder.
func fileName(urlPath string) (name string, ok bool) {
	for part := range strings.SplitSeq(urlPath, "/") {
		if strings.HasPrefix(part, ".") || strings.ContainsAny(part, "\\:\x00") {
			return "", false
		}
	}
	name = strings.TrimPrefix(path.Clean(urlPath), "/")
	if name == "" {
		name = "."
	}
	if strings.EqualFold(name, "paddock.json") || !fs.ValidPath(name) {
		return "", false
	}
	return name, true
}

// variants are the precompressed forms of a file, best first.
var variants = []struct{ suffix, encoding string }{{".br", "br"}, {".gz", "gzip"}}

func sendFile(w http.ResponseWriter, r *http.Request, s *site, st *siteState, root *os.Root, name string) bool {
	plain, info, err := openRegular(root, name)
	if err != nil {
		return false
	}
	defer plain.Close()
	kind := typeOf(name)
	h := w.Header()
	file, encoding, varies := plain, "", false
	for _, v := range variants {
		packed, packedInfo, err := openRegular(root, name+v.suffix)
		if err != nil {
			continue
		}
		defer packed.Close()
		varies = true
		if encoding == "" && accepts(r.Header["Accept-Encoding"], v.encoding) {
			file, info, encoding = packed, packedInfo, v.encoding
		}
	}
	if varies {
		h["Vary"] = []string{"Accept-Encoding"}
	}
	if encoding != "" {
		h["Content-Encoding"] = []string{encoding}
		h["Content-Length"] = []string{strconv.FormatInt(info.Size(), 10)}
	}
	h["Content-Type"] = []string{kind}
	h["Etag"] = []string{entityTag(st.app.StaticDir, name, encoding, info)}
	h["Cache-Control"] = []string{"no-cache"} // kept, but asked for again with the tag
	st.protect(h, r, mediaType(h["Content-Type"]), true)
	http.ServeContent(w, r, "", time.Time{}, file)
	return true
}

var errNotRegular = errors.New("not a regular file")

func openRegular(root *os.Root, name string) (*os.File, fs.FileInfo, error) {
	// Looked at before it is opened: opening a pipe would wait for its other end.
	info, err := root.Stat(name)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, errNotRegular
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, nil, err
	}
	if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
		err = errNotRegular
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// entityTag is strong: the folder differs for each installed version, and while an author edits a folder the
// time of change does.
func entityTag(dir, name, encoding string, info fs.FileInfo) string {
	sum := sha256.New()
	for _, part := range []string{dir, name, encoding, strconv.FormatInt(info.Size(), 10), strconv.FormatInt(info.ModTime().UnixNano(), 10)} {
		sum.Write([]byte(part))
		sum.Write([]byte{0})
	}
	return `"` + hex.EncodeToString(sum.Sum(nil)[:12]) + `"`
}

// accepts reports whether an Accept-Encoding names an encoding without refusing it by "q=0" (RFC 9110, 12.5.3).
func accepts(headers []string, encoding string) bool {
	for _, header := range headers {
		for item := range strings.SplitSeq(header, ",") {
			name, parameters, _ := strings.Cut(item, ";")
			if !strings.EqualFold(strings.TrimSpace(name), encoding) {
				continue
			}
			weight, found := strings.CutPrefix(strings.ReplaceAll(parameters, " ", ""), "q=")
			if !found {
				return true
			}
			q, err := strconv.ParseFloat(weight, 64)
			return err == nil && q > 0
		}
	}
	return false
}
