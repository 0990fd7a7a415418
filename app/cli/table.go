package cli

import (
	"strings"

	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

// cell is one field of a table.
type cell struct {
	text  string
	style string
	right bool // numbers
}

func text(s string) cell   { return cell{text: s} }
func number(s string) cell { return cell{text: s, right: true} }

// table is a result for people: a head in capitals and aligned columns. Without a head it is a list of facts.
type table struct {
	head []string
	rows [][]cell
}

func (t *table) add(cells ...cell) { t.rows = append(t.rows, cells) }

// fact adds a name and a value; a fact without a value is left out.
func (t *table) fact(name, value string) {
	if value != "" {
		t.add(cell{text: name, style: dim}, text(value))
	}
}

// print writes t with two spaces between columns and none at the ends of lines.
func (p *program) print(t table) {
	rows := t.rows
	if len(t.head) > 0 {
		head := make([]cell, len(t.head))
		for i, name := range t.head {
			head[i] = cell{text: name, style: bold}
			if len(rows) > 0 && i < len(rows[0]) {
				head[i].right = rows[0][i].right
			}
		}
		rows = append([][]cell{head}, rows...)
	}
	var widths []int
	for _, row := range rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], columns(harmless(c.text)))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, c := range row {
			if i > 0 {
				line.WriteString("  ")
			}
			gap := strings.Repeat(" ", widths[i]-columns(harmless(c.text)))
			if c.right {
				line.WriteString(gap + string(p.paint(c.style, c.text)))
			} else {
				line.WriteString(string(p.paint(c.style, c.text)) + gap)
			}
		}
		p.say("%s", painted(strings.TrimRight(line.String(), " ")))
	}
}

// columns is how many places of a terminal a text takes: two for wide characters (UAX #11), none for marks that
// combine with the one before.
func columns(s string) int {
	n := 0
	for _, r := range s {
		switch kind := width.LookupRune(r).Kind(); {
		case kind == width.EastAsianWide || kind == width.EastAsianFullwidth:
			n += 2
		case norm.NFC.PropertiesString(string(r)).CCC() == 0:
			n++
		}
	}
	return n
}
