package assets

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

type note struct {
	ID      string   `json:"id"`
	Title   string   `json:"title"`
	Text    string   `json:"text"`
	Tags    []string `json:"tags"`
	Pinned  bool     `json:"pinned"`
	Trashed string   `json:"trashed"`
	Rev     int      `json:"rev"`
	Error   string   `json:"error"`
	Current *note    `json:"current"`
}

type saving struct {
	Text string `json:"text"`
	Rev  int    `json:"rev"`
}

// Notes runs with no right but its own data folder.
func TestNotes(t *testing.T) {
	bundle, data := bundled(t, "notes"), t.TempDir()
	r := start(t, bundle, data, nil)
	servesItsPage(t, r, "Notes")

	var all []note
	r.call(t, http.MethodGet, "/api/notes", nil, &all)
	if len(all) != 1 || all[0].Title != "Welcome to Notes" {
		t.Fatalf("a new user finds %+v", all)
	}
	tab := r.events(t)

	var n note
	if status := r.call(t, http.MethodPost, "/api/notes", map[string]string{"text": "# First\r\n#work"}, &n); status != http.StatusCreated || n.Text != "# First\n#work" || n.Rev != 1 {
		t.Fatalf("created %d %+v", status, n)
	}
	if got := receive(t, tab); !strings.Contains(got, n.ID) || !strings.Contains(got, `"kind":"note"`) {
		t.Errorf("the other tab is told %s", got)
	}
	path := "/api/notes/" + n.ID
	if status := r.call(t, http.MethodPut, path, saving{"# Second\n#home", 1}, &n); status != http.StatusOK || n.Rev != 2 || n.Tags[0] != "home" {
		t.Errorf("saved %d %+v", status, n)
	}
	if got := receive(t, tab); !strings.Contains(got, "Second") {
		t.Errorf("the other tab is told %s", got)
	}

	// A page that has not seen the change loses nothing and takes nothing.
	var conflict note
	if status := r.call(t, http.MethodPut, path, saving{"mine", 1}, &conflict); status != http.StatusConflict || conflict.Current == nil || conflict.Current.Text != "# Second\n#home" {
		t.Errorf("conflict %d %+v", status, conflict)
	}

	for query, want := range map[string]int{"second": 1, "%23home": 1, "%23work": 0, "zebra": 0, "": 2} {
		r.call(t, http.MethodGet, "/api/notes?q="+query, nil, &all)
		if len(all) != want {
			t.Errorf("?q=%s finds %d, want %d", query, len(all), want)
		}
	}
	r.call(t, http.MethodPost, path+"/pin", map[string]bool{"pinned": true}, &n)
	if r.call(t, http.MethodGet, "/api/notes", nil, &all); !n.Pinned || all[0].ID != n.ID {
		t.Errorf("pinned %+v, list %+v", n, all)
	}
	if status, body, h := r.text(t, "/api/export"); status != http.StatusOK || !strings.Contains(body, "# Second") || !strings.Contains(h.Get("Content-Disposition"), ".md") {
		t.Errorf("export %d %s", status, body)
	}

	// Trash, restore, delete for good: only from the trash.
	if status := r.call(t, http.MethodDelete, path, nil, nil); status != http.StatusConflict {
		t.Errorf("deleting a note outside the trash: %d", status)
	}
	r.call(t, http.MethodPost, path+"/trash", struct{}{}, &n)
	if r.call(t, http.MethodGet, "/api/notes?trash", nil, &all); len(all) != 1 || n.Trashed == "" || n.Pinned {
		t.Errorf("trashed %+v, trash %+v", n, all)
	}
	if _, body, _ := r.text(t, "/api/export"); strings.Contains(body, "# Second") {
		t.Error("the export holds the trash")
	}
	r.call(t, http.MethodPost, path+"/restore", struct{}{}, &n)
	r.call(t, http.MethodPost, path+"/trash", struct{}{}, nil)
	r.call(t, http.MethodDelete, "/api/trash", nil, nil)
	if status := r.call(t, http.MethodGet, path, nil, &n); status != http.StatusNotFound || n.Error == "" {
		t.Errorf("after emptying: %d %+v", status, n)
	}
	if files := must(os.ReadDir(filepath.Join(data, "notes"))); len(files) != 1 {
		t.Errorf("%d files are left", len(files))
	}
}

func TestNotesRefusesBadRequests(t *testing.T) {
	r := start(t, bundled(t, "notes"), t.TempDir(), nil)
	for _, tc := range []struct {
		method, path string
		body         any
		want         int
	}{
		{http.MethodPost, "/api/notes", map[string]int{"text": 5}, http.StatusBadRequest},
		{http.MethodPost, "/api/notes", []int{1}, http.StatusBadRequest},
		{http.MethodPost, "/api/notes", map[string]string{"text": strings.Repeat("x", 1<<20+1)}, http.StatusRequestEntityTooLarge},
		{http.MethodPost, "/api/notes", map[string]string{"text": strings.Repeat("x", 5<<20)}, http.StatusRequestEntityTooLarge},
		{http.MethodPut, "/api/notes/unknown", saving{"x", 1}, http.StatusNotFound},
		{http.MethodPut, "/api/notes/..%2f..%2fetc", saving{"x", 1}, http.StatusNotFound},
		{http.MethodGet, "/api/nothing", nil, http.StatusNotFound},
		{http.MethodPatch, "/api/notes", nil, http.StatusNotFound},
	} {
		var answer note
		if got := r.call(t, tc.method, tc.path, tc.body, &answer); got != tc.want || answer.Error == "" {
			t.Errorf("%s %s: %d %q, want %d", tc.method, tc.path, got, answer.Error, tc.want)
		}
	}
	// A form that another site could send without asking is refused.
	resp, err := http.Post(r.url+"/api/notes", "text/plain", strings.NewReader(`{"text":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("text/plain: %d", resp.StatusCode)
	}
}

// The process is killed while many notes are written. Afterwards each holds a version that was sent, at
// least as new as the last one that was confirmed, and nothing half written is left.
func TestNotesSurvivesACrash(t *testing.T) {
	bundle, data := bundled(t, "notes"), t.TempDir()
	r := start(t, bundle, data, nil)
	const notes, enough = 4, 40
	type progress struct {
		id        string
		confirmed int
	}
	states := make([]progress, notes)
	text := func(i, v int) string { return fmt.Sprintf("note %d version %d\n%s", i, v, strings.Repeat("x", 20_000)) }
	var writers sync.WaitGroup
	confirmed := make(chan struct{}, 10_000)
	for i := range states {
		var n note
		r.call(t, http.MethodPost, "/api/notes", map[string]string{"text": text(i, 1)}, &n)
		states[i] = progress{n.ID, 1}
		writers.Go(func() {
			for v := 2; ; v++ {
				body := strings.NewReader(fmt.Sprintf(`{"text":%q,"rev":%d}`, text(i, v), v-1))
				req, _ := http.NewRequest(http.MethodPut, r.url+"/api/notes/"+n.ID, body)
				req.Header.Set("Content-Type", "application/json")
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					return // killed
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					t.Errorf("saving version %d: %d", v, resp.StatusCode)
					return
				}
				states[i].confirmed = v
				confirmed <- struct{}{}
			}
		})
	}
	for range enough {
		<-confirmed
	}
	r.stop()
	writers.Wait()

	if err := os.WriteFile(filepath.Join(data, "notes", ".writing-left"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	r = start(t, bundle, data, nil)
	for i, s := range states {
		var n note
		r.call(t, http.MethodGet, "/api/notes/"+s.id, nil, &n)
		if n.Text != text(i, s.confirmed) && n.Text != text(i, s.confirmed+1) {
			t.Errorf("note %d: revision %d with %.30q, confirmed was %d", i, n.Rev, n.Text, s.confirmed)
		}
	}
	if left := must(leftovers(filepath.Join(data, "notes"))); len(left) > 0 {
		t.Errorf("half written: %v", left)
	}
}

// Files that somebody else put there are notes; what cannot be read is left alone.
func TestNotesReadsForeignFiles(t *testing.T) {
	data := t.TempDir()
	dir := filepath.Join(data, "notes")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"mine.md": "# By hand", "huge.md": strings.Repeat("x", 5<<20), "other.txt": "no", "bad name.md": "no"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := start(t, bundled(t, "notes"), data, nil)
	var all []note
	if r.call(t, http.MethodGet, "/api/notes", nil, &all); len(all) != 1 || all[0].Title != "By hand" {
		t.Errorf("notes %+v", all)
	}
	if files := must(os.ReadDir(dir)); len(files) != 4 {
		t.Errorf("%d files are left, want all 4", len(files))
	}
}
