// Command licenses writes what travels with the installers about other people's work: the licence texts
// of everything that is linked into the programs or shipped beside them, and a bill of materials
// (SPDX 2.3, JSON). It fails when a licence is missing, unknown, or not permissive.
//
//	licenses -texts FILE -sbom FILE PACKAGE...
//
// It asks the Go tool what each program links, so a library that is only in go.mod is not listed. The
// output depends on nothing but the sources, the platform and SOURCE_DATE_EPOCH.
//
// It must not know installers: they take the two files and put them where they belong.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("licenses: ")
	texts := flag.String("texts", "", "write all licence texts to `FILE`")
	sbom := flag.String("sbom", "", "write the bill of materials to `FILE`")
	version := flag.String("version", "", "Paddock's `VERSION`, for the bill of materials")
	flag.Parse()
	if *texts == "" || *sbom == "" || *version == "" || flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*texts, *sbom, *version, flag.Args()); err != nil {
		log.Fatal(err)
	}
}

func run(texts, sbom, version string, programs []string) error {
	parts, err := linked(programs)
	if err != nil {
		return err
	}
	shipped, err := shipped()
	if err != nil {
		return err
	}
	parts = append(parts, shipped...)
	slices.SortFunc(parts, func(a, b part) int { return strings.Compare(a.name, b.name) })
	if problems := judge(parts); len(problems) > 0 {
		return fmt.Errorf("%d problems:\n  %s", len(problems), strings.Join(problems, "\n  "))
	}
	if err := os.WriteFile(texts, allTexts(parts), 0o644); err != nil {
		return fmt.Errorf("write licence texts: %w", err)
	}
	raw, err := document(parts, version)
	if err != nil {
		return err
	}
	if err := os.WriteFile(sbom, raw, 0o644); err != nil {
		return fmt.Errorf("write bill of materials: %w", err)
	}
	return nil
}

// judge fills in the licence of each part and says what may not be shipped.
func judge(parts []part) (problems []string) {
	for i := range parts {
		p := &parts[i]
		if len(p.files) == 0 {
			problems = append(problems, p.name+" has no licence file")
			continue
		}
		seen := map[string]bool{}
		for _, f := range p.files {
			ids := reviewed[p.name+"/"+f.name]
			if ids == nil {
				ids = classify(f.text)
			}
			if len(ids) == 0 && !isLicence(f.name) {
				continue // a NOTICE or PATENTS file says more, but grants nothing by itself
			}
			if len(ids) == 0 {
				problems = append(problems, fmt.Sprintf("%s: %s is no licence that is known here to be permissive: read it, then add it to reviewed", p.name, f.name))
			}
			for _, id := range ids {
				seen[id] = true
			}
		}
		for id := range seen {
			p.licences = append(p.licences, id)
		}
		slices.Sort(p.licences)
	}
	return problems
}

const rule = "--------------------------------------------------------------------------------\n"

// allTexts is for people: a list first, then every text, equal ones once.
func allTexts(parts []part) []byte {
	var b bytes.Buffer
	b.WriteString("Paddock contains the work of others, under the licences below.\n\n")
	for _, p := range parts {
		fmt.Fprintf(&b, "%s %s\n    %s\n", p.name, p.version, strings.Join(p.licences, " AND "))
	}
	var order []string
	users := map[string][]string{}
	for _, p := range parts {
		for _, f := range p.files {
			text := strings.TrimSpace(strings.ReplaceAll(string(f.text), "\r\n", "\n"))
			if users[text] == nil {
				order = append(order, text)
			}
			users[text] = append(users[text], p.name+" ("+f.name+")")
		}
	}
	for _, text := range order {
		b.WriteString("\n" + rule)
		for _, u := range users[text] {
			b.WriteString(u + "\n")
		}
		b.WriteString(rule + "\n" + text + "\n")
	}
	return b.Bytes()
}
