package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestClassify(t *testing.T) {
	const bsd = "Redistribution and use in source and binary forms, with or without\nmodification, are permitted provided that …"
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"MIT", string(denoText), []string{"MIT"}},
		{"BSD with two clauses", bsd, []string{"BSD-2-Clause"}},
		{"BSD with three clauses", bsd + " Neither the name of X", []string{"BSD-3-Clause"}},
		{"two in one file", string(denoText) + bsd, []string{"MIT", "BSD-2-Clause"}},
		{"the word Apache alone", "Licensed under the Apache License, Version 2.0", nil},
		{"GPL", "GNU GENERAL PUBLIC LICENSE\nVersion 3", nil},
		{"GPL beside MIT", string(denoText) + "or the GNU Lesser General\n Public License", nil},
		{"MPL", "Mozilla Public License Version 2.0", nil},
		{"nothing known", "All rights reserved.", nil},
		{"empty", "", nil},
	} {
		if got := classify([]byte(c.text)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestJudgeRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		p    part
		want string // part of the problem, "" for none
	}{
		{"permissive", part{name: "a", files: []file{{"LICENSE", denoText}}}, ""},
		{"no file", part{name: "a"}, "no licence file"},
		{"copyleft", part{name: "a", files: []file{{"COPYING", []byte("GNU Affero General Public License")}}}, "COPYING"},
		{"a good one does not cover a bad one", part{name: "a", files: []file{{"LICENSE", denoText}, {"x/LICENSE", []byte("no")}}}, "x/LICENSE"},
		{"a notice needs no licence of its own", part{name: "a", files: []file{{"LICENSE", denoText}, {"NOTICE", []byte("thanks")}}}, ""},
	} {
		problems := judge([]part{c.p})
		if c.want == "" && len(problems) > 0 || c.want != "" && (len(problems) != 1 || !strings.Contains(problems[0], c.want)) {
			t.Errorf("%s: problems %q, want %q", c.name, problems, c.want)
		}
	}
}

// Everything that go.mod's direct users link here has a permissive licence, and both files say the same
// parts. SOURCE_DATE_EPOCH makes them the same bytes every time.
func TestWritesTextsAndBillOfMaterials(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	dir := t.TempDir()
	var texts, sboms [2][]byte
	for i := range texts {
		text, sbom := filepath.Join(dir, "texts"), filepath.Join(dir, "sbom")
		// The toolkit and the tray by name: the widest graph, whatever our own programs link today.
		err := run(text, sbom, "1.2.3", []string{"./app/ui", "./app/control", "fyne.io/fyne/v2/app", "github.com/getlantern/systray"})
		if err != nil {
			t.Fatal(err)
		}
		for file, to := range map[string]*[]byte{text: &texts[i], sbom: &sboms[i]} {
			if *to, err = os.ReadFile(file); err != nil {
				t.Fatal(err)
			}
		}
	}
	if string(texts[0]) != string(texts[1]) || string(sboms[0]) != string(sboms[1]) {
		t.Error("two runs wrote different bytes")
	}
	var doc spdxDocument
	if err := json.Unmarshal(sboms[0], &doc); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, p := range doc.Packages {
		if ids[p.SPDXID] {
			t.Errorf("two packages have the id %s", p.SPDXID)
		}
		ids[p.SPDXID] = true
		if p.LicenseConcluded == "" {
			t.Errorf("%s has no licence", p.Name)
		}
		if p.Name != "paddock" && !strings.Contains(string(texts[0]), p.Name+" ") {
			t.Errorf("%s is in the bill of materials and not in the texts", p.Name)
		}
	}
	for _, r := range doc.Relationships {
		if r.Related != "SPDXRef-paddock" && !ids[r.Related] {
			t.Errorf("relationship to %s, which is not listed", r.Related)
		}
	}
	for _, want := range []string{"SPDXRef-Deno", "SPDXRef-Inter-typeface", "SPDXRef-fyne.io-fyne-v2", "SPDXRef-Go-standard-library"} {
		if !ids[want] {
			t.Errorf("%s is missing", want)
		}
	}
	// GLFW's C sources have their own licence, two folders below the Go package.
	if !strings.Contains(string(texts[0]), "Altered source versions") {
		t.Error("the licence of GLFW's C sources is missing")
	}
}
