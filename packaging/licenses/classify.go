package main

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// marks are phrases that only one licence has, on text in lower case with single spaces. All of them
// are permissive: they may be linked into and shipped with a program under Apache-2.0.
var marks = []struct {
	id      string
	phrases []string // all must be there
	not     []string // and none of these
}{
	{"Apache-2.0", []string{"apache license", "version 2.0", "grant of copyright license"}, nil},
	{"MIT", []string{"permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files", "without restriction"}, nil},
	{"BSD-3-Clause", []string{"redistribution and use in source and binary forms, with or without modification, are permitted", "neither the name"}, nil},
	{"BSD-3-Clause", []string{"redistribution and use in source and binary forms, with or without modification, are permitted", "may not be used to endorse or promote products"}, []string{"neither the name"}},
	{"BSD-2-Clause", []string{"redistribution and use in source and binary forms, with or without modification, are permitted"}, []string{"neither the name", "endorse or promote"}},
	{"ISC", []string{"permission to use, copy, modify, and distribute this software for any purpose with or without fee is hereby granted"}, nil},
	{"ISC", []string{"permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted"}, nil},
	{"Zlib", []string{"altered source versions must be plainly marked as such", "misrepresented"}, nil},
	{"OFL-1.1", []string{"sil open font license version 1.1"}, nil},
	{"Unlicense", []string{"this is free and unencumbered software released into the public domain"}, nil},
	{"CC0-1.0", []string{"cc0 1.0 universal"}, nil},
	{"Bitstream-Vera", []string{"bitstream vera fonts copyright", "permission is hereby granted, free of charge, to any person obtaining a copy of the fonts"}, nil},
}

// copyleft never passes by a mark; a file with such words needs a row in reviewed.
var copyleft = regexp.MustCompile(`gnu (lesser |library |affero )?general public license|mozilla public license|eclipse public license|common development and distribution|server side public license|business source license|commons clause|creative commons attribution-(sharealike|noncommercial)`)

// reviewed holds files that a person has read because no mark decides them, by part/file.
var reviewed = map[string][]string{
	// It asks for attribution, which the notice is.
	"EmojiOne Color typeface/notice": {"CC-BY-4.0"},
	// "one or the other of these two": BSD-3-Clause or GPL-2.0. We take the first.
	"kernel.org/pub/linux/libs/security/libcap/psx/License": {"BSD-3-Clause"},
}

var spaces = regexp.MustCompile(`\s+`)

// classify returns the SPDX ids of the licences in a text, none when it is unknown or not permissive.
func classify(text []byte) (ids []string) {
	s := spaces.ReplaceAllString(strings.ToLower(string(text)), " ")
	if copyleft.MatchString(s) {
		return nil
	}
	inText := func(phrase string) bool { return strings.Contains(s, phrase) }
	for _, m := range marks {
		found := !slices.ContainsFunc(m.not, inText)
		for _, phrase := range m.phrases {
			found = found && inText(phrase)
		}
		if found && (len(ids) == 0 || ids[len(ids)-1] != m.id) {
			ids = append(ids, m.id)
		}
	}
	return ids
}

// isLicence tells a licence from a notice by its file name.
func isLicence(name string) bool {
	base := strings.ToLower(path.Base(name))
	for _, word := range []string{"licen", "copying", "unlicense", "ofl"} {
		if strings.Contains(base, word) {
			return true
		}
	}
	return false
}

// isLegal tells the files whose text has to travel.
func isLegal(name string) bool {
	base := strings.ToLower(path.Base(name))
	switch path.Ext(base) {
	case "", ".md", ".txt", ".markdown", ".rst":
	default:
		return false
	}
	return isLicence(base) || strings.HasPrefix(base, "notice") || strings.HasPrefix(base, "patents")
}
