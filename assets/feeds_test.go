package assets

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

type feed struct {
	ID      string `json:"id"`
	URL     string `json:"url"`
	Title   string `json:"title"`
	Unread  int    `json:"unread"`
	Total   int    `json:"total"`
	Trouble *struct {
		Text       string `json:"text"`
		Permission string `json:"permission"`
	} `json:"trouble"`
	Error string `json:"error"`
}

type item struct {
	ID      string   `json:"id"`
	Feed    string   `json:"feed"`
	Title   string   `json:"title"`
	Read    bool     `json:"read"`
	Starred bool     `json:"starred"`
	Shown   []string `json:"shown"`
	Blocked []string `json:"blocked"`
	Content []any    `json:"content"`
}

// site serves one feed of n articles, and what else a reader meets.
func site(t *testing.T) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	var articles atomic.Int32
	articles.Store(2)
	mux := http.NewServeMux()
	mux.HandleFunc("/feed.xml", func(w http.ResponseWriter, r *http.Request) {
		n := articles.Load()
		tag := fmt.Sprintf(`"%d"`, n)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Etag", tag)
		fmt.Fprintf(w, `<rss><channel><title>The &lt;b&gt;Site&lt;/b&gt;</title><link>/</link>`)
		for i := n; i > 0; i-- {
			fmt.Fprintf(w, `<item><guid>%d</guid><link>/%[1]d</link><title>Article %[1]d</title><pubDate>%02[1]d Jan 2026 00:00:00 GMT</pubDate>
				<description>&lt;p onclick=x&gt;Hi&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src="/own.png"&gt;&lt;img src="https://tracker.example/x.png"&gt;</description></item>`, i)
		}
		fmt.Fprint(w, `</channel></rss>`)
	})
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/feed.xml", http.StatusMovedPermanently)
	})
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://elsewhere.example/feed", http.StatusFound)
	})
	mux.HandleFunc("/round", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/round", http.StatusFound) })
	mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `<!doctype html><link rel="alternate" type="application/rss+xml" href="/feed.xml">`)
	})
	mux.HandleFunc("/gone", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusGone) })
	mux.HandleFunc("/huge", func(w http.ResponseWriter, r *http.Request) {
		chunk := []byte(strings.Repeat("x", 1<<20))
		for range 9 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/refused", func(w http.ResponseWriter, r *http.Request) { // as Paddock's proxy answers
		w.Header().Set("Paddock-Refused", r.URL.Query().Get("why"))
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, "That address is on this computer. Feeds may not go there.")
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s, &articles
}

func TestFeeds(t *testing.T) {
	s, articles := site(t)
	host := strings.TrimPrefix(s.URL, "http://")
	bundle, data := bundled(t, "feeds"), t.TempDir()
	granted := map[string]string{"net:" + host: "granted", "net:go.dev": "denied", "net:xkcd.com": "prompt"}
	r := start(t, bundle, data, granted, host)
	servesItsPage(t, r, "Feeds")

	var all []feed
	if r.call(t, http.MethodGet, "/api/feeds", nil, &all); len(all) != 3 {
		t.Fatalf("a new user finds %+v", all)
	}
	// What was not allowed says so, with the place to change it, whether denied, unanswered or never asked for.
	for _, f := range all {
		name := strings.Split(f.URL, "/")[2]
		r.call(t, http.MethodPost, "/api/feeds/"+f.ID+"/refresh", struct{}{}, &f)
		want := "You have not allowed Feeds to talk to " + name + ". Change it in Paddock › Feeds › Permissions."
		if f.Trouble == nil || f.Trouble.Text != want || f.Trouble.Permission != "net:"+name {
			t.Errorf("%s: %+v, want %q", f.URL, f.Trouble, want)
		}
	}

	var f feed
	if status := r.call(t, http.MethodPost, "/api/feeds", map[string]string{"url": s.URL + "/moved"}, &f); status != http.StatusCreated || f.Trouble != nil || f.Title != "The Site" || f.Unread != 2 {
		t.Fatalf("added %d %+v %+v", status, f, f.Trouble)
	}
	var items []item
	r.call(t, http.MethodGet, "/api/items?view=unread&feed=", nil, &items)
	if len(items) != 2 || items[0].Title != "Article 2" {
		t.Fatalf("unread %+v", items)
	}
	path := "/api/items/" + items[0].Feed + "/" + items[0].ID
	var full item
	r.call(t, http.MethodGet, path, nil, &full)
	if len(full.Shown) != 1 || full.Shown[0] != host || len(full.Blocked) != 1 || full.Blocked[0] != "tracker.example" {
		t.Errorf("pictures: shown %v, blocked %v", full.Shown, full.Blocked)
	}
	if content := fmt.Sprint(full.Content); strings.Contains(content, "alert") || strings.Contains(content, "onclick") || !strings.Contains(content, "Hi") {
		t.Errorf("content %s", content)
	}

	// Read and starred stay over a refresh that brings more, a quiet one, and a crash.
	r.call(t, http.MethodPost, path, map[string]bool{"read": true, "starred": true}, &full)
	articles.Store(3)
	if r.call(t, http.MethodPost, "/api/feeds/"+f.ID+"/refresh", struct{}{}, &f); f.Total != 3 || f.Unread != 2 {
		t.Errorf("after more: %+v", f)
	}
	if r.call(t, http.MethodPost, "/api/feeds/"+f.ID+"/refresh", struct{}{}, &f); f.Total != 3 || f.Trouble != nil {
		t.Errorf("after nothing new: %+v", f)
	}
	r.stop()
	r = start(t, bundle, data, granted, host)
	if r.call(t, http.MethodGet, "/api/items?view=starred&feed=", nil, &items); len(items) != 1 || !items[0].Read || !items[0].Starred {
		t.Errorf("starred after a crash: %+v", items)
	}
	r.call(t, http.MethodPost, "/api/read", map[string]string{"feed": f.ID}, nil)
	if r.call(t, http.MethodGet, "/api/items?view=unread&feed="+f.ID, nil, &items); len(items) != 0 {
		t.Errorf("unread after marking all: %+v", items)
	}
	if _, body, _ := r.text(t, "/api/export"); !strings.Contains(body, `xmlUrl="`+s.URL+`/moved"`) {
		t.Errorf("export %s", body)
	}
	r.call(t, http.MethodDelete, "/api/feeds/"+f.ID, nil, nil)
	if r.call(t, http.MethodGet, "/api/feeds", nil, &all); len(all) != 3 {
		t.Errorf("after removing: %+v", all)
	}
	if _, err := os.Stat(filepath.Join(data, "feeds", "items-"+f.ID+".json")); !os.IsNotExist(err) {
		t.Errorf("the articles of a removed feed are kept: %v", err)
	}
}

func TestFeedsSaysWhatIsWrong(t *testing.T) {
	s, _ := site(t)
	host := strings.TrimPrefix(s.URL, "http://")
	r := start(t, bundled(t, "feeds"), t.TempDir(), map[string]string{"net:" + host: "granted"}, host)
	for path, want := range map[string]string{
		"/away":                      "You have not allowed Feeds to talk to elsewhere.example. Change it in Paddock › Feeds › Permissions.",
		"/round":                     "without end",
		"/page":                      "not a feed, but it names one. Add " + s.URL + "/feed.xml instead.",
		"/gone":                      "no feed at this address any more",
		"/huge":                      "larger than 8 MB",
		"/none":                      "no feed at this address any more",
		"/refused?why=not_granted":   "You have not allowed Feeds to talk to " + host,
		"/refused?why=this_computer": "That address is on this computer. Feeds may not go there.",
	} {
		var f feed
		if status := r.call(t, http.MethodPost, "/api/feeds", map[string]string{"url": s.URL + path}, &f); status != http.StatusCreated || f.Trouble == nil || !strings.Contains(f.Trouble.Text, want) {
			t.Errorf("%s: %d %+v, want %q", path, status, f.Trouble, want)
		}
	}
	for _, address := range []string{"", "ftp://a.example/", "https://u:p@a.example/", "javascript:alert(1)"} {
		var f feed
		if status := r.call(t, http.MethodPost, "/api/feeds", map[string]string{"url": address}, &f); status != http.StatusBadRequest || f.Error == "" {
			t.Errorf("%q: %d %+v", address, status, f)
		}
	}
}

// "Ask Paddock…" asks for exactly what was missing and tries again.
func TestFeedsAsks(t *testing.T) {
	s, _ := site(t)
	host := strings.TrimPrefix(s.URL, "http://")
	r := start(t, bundled(t, "feeds"), t.TempDir(), map[string]string{"net:" + host: "prompt"}, host)
	var f feed
	r.call(t, http.MethodPost, "/api/feeds", map[string]string{"url": s.URL + "/feed.xml"}, &f)
	if f.Trouble == nil || f.Trouble.Permission != "net:"+host {
		t.Fatalf("added %+v", f.Trouble)
	}
	if r.call(t, http.MethodPost, "/api/feeds/"+f.ID+"/ask", struct{}{}, &f); f.Trouble != nil || f.Total != 2 {
		t.Errorf("after the answer: %+v %+v", f, f.Trouble)
	}
	if status := r.call(t, http.MethodPost, "/api/feeds/"+f.ID+"/ask", struct{}{}, &f); status != http.StatusConflict {
		t.Errorf("asking for nothing: %d", status)
	}
}

// A damaged file is put aside and the reader goes on.
func TestFeedsSurvivesADamagedFile(t *testing.T) {
	data := t.TempDir()
	dir := filepath.Join(data, "feeds")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "feeds.json"), []byte("[{"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, bundled(t, "feeds"), data, nil)
	var all []feed
	if r.call(t, http.MethodGet, "/api/feeds", nil, &all); len(all) != 3 {
		t.Errorf("feeds %+v", all)
	}
	if aside := must(filepath.Glob(filepath.Join(dir, "feeds.json.damaged-*"))); len(aside) != 1 {
		t.Errorf("put aside: %v", aside)
	}
}
