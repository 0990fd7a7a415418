package bundle

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

const (
	svgSpace = "http://www.w3.org/2000/svg"
	xmlSpace = "http://www.w3.org/XML/1998/namespace"

	maxSVGDepth = 64
	// maxSVGDrawn bounds how many elements a drawing unfolds to through references: twenty elements that
	// each use the one before twice would draw a million.
	maxSVGDrawn = 20_000
)

// svgElements is everything an icon needs. What is missing runs code (script, animation, handlers),
// fetches (image, feImage), holds another document (foreignObject, iframe) or leads away (a).
var svgElements = set("svg g defs symbol use title desc metadata style switch path rect circle ellipse line polyline polygon " +
	"text tspan textPath linearGradient radialGradient stop pattern clipPath mask marker")

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// checkSVG says why content is not an SVG image that can be drawn without running or fetching anything.
func checkSVG(content []byte) error {
	if !utf8.Valid(content) {
		return errors.New("it is not UTF-8 text")
	}
	dec := xml.NewDecoder(bytes.NewReader(content))
	dec.Strict = true
	var stack []svgOpen
	refs := newSVGRefs()
	rootDone := false
	for first := true; ; first = false {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("it is not well-formed XML: %s", printable(err.Error(), 100))
		}
		switch t := token.(type) {
		case xml.ProcInst:
			// xml-stylesheet fetches. The encoding in an XML declaration is checked by the decoder.
			if t.Target != "xml" || !first {
				return fmt.Errorf("it has the processing instruction %q", printable(t.Target, 40))
			}
		case xml.Directive:
			return errors.New("it has a document type, which can define entities")
		case xml.StartElement:
			if rootDone && len(stack) == 0 {
				return errors.New("it has a second root element")
			}
			if err := checkSVGElement(t, len(stack)); err != nil {
				return err
			}
			ids := []string(nil)
			if len(stack) > 0 {
				ids = stack[len(stack)-1].ids
			}
			ids, err = refs.element(t, ids)
			if err != nil {
				return err
			}
			stack = append(stack, svgOpen{name: t.Name.Local, ids: ids})
			rootDone = true
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) == 0 {
				if len(bytes.TrimSpace(t)) > 0 {
					return errors.New("it has text outside its root element")
				}
			} else if stack[len(stack)-1].name == "style" {
				if err := checkCSS(string(t)); err != nil {
					return err
				}
			}
		}
	}
	if !rootDone {
		return errors.New("it has no svg element")
	}
	return refs.check()
}

// svgOpen is an element whose end was not seen yet.
type svgOpen struct {
	name string
	ids  []string // its own and those of the elements around it
}

func checkSVGElement(t xml.StartElement, depth int) error {
	name := t.Name.Local
	switch {
	case t.Name.Space != svgSpace:
		if depth == 0 {
			return fmt.Errorf("its root is not an svg element in the namespace %s", svgSpace)
		}
		return fmt.Errorf("it has the element %q of another namespace", printable(name, 40))
	case (name == "svg") != (depth == 0):
		if depth == 0 {
			return fmt.Errorf("its root is %q, not svg", printable(name, 40))
		}
		return errors.New("it has an svg element inside the other")
	case !svgElements[name]:
		return fmt.Errorf("it has the element %q, which an icon may not have", printable(name, 40))
	case depth >= maxSVGDepth:
		return fmt.Errorf("its elements are nested deeper than %d", maxSVGDepth)
	}
	for _, a := range t.Attr {
		if err := checkSVGAttr(a); err != nil {
			return err
		}
	}
	return nil
}

func checkSVGAttr(a xml.Attr) error {
	name := strings.ToLower(a.Name.Local)
	switch {
	case a.Name.Space == "xmlns" || a.Name.Space == "" && name == "xmlns":
		return nil // the element's own namespace is what counts
	case strings.HasPrefix(name, "on"):
		return fmt.Errorf("it has the script attribute %q", printable(name, 40))
	case a.Name.Space == xmlSpace && name == "base", a.Name.Space == "" && name == "base":
		return errors.New("it sets a base address")
	case name == "href", name == "src": // in any namespace: xlink:href is the old form
		if !strings.HasPrefix(a.Value, "#") {
			return fmt.Errorf("it refers to %q outside itself", printable(a.Value, 60))
		}
		return nil
	}
	return checkCSS(a.Value)
}

// checkCSS refuses what fetches in a style sheet or in an attribute that holds style. Escapes are
// refused rather than understood: an icon has no use for them, and they hide the rest.
func checkCSS(text string) error {
	low := strings.ToLower(text)
	for _, word := range []string{`\`, "@import", "@font-face", "@namespace", "@charset", "image-set", "image(", "src(", "expression(", "javascript:", "data:", "-moz-binding", "behavior:"} {
		if strings.Contains(low, word) {
			return fmt.Errorf("it has %q in a style or an attribute", word)
		}
	}
	for rest := low; ; {
		_, after, found := strings.Cut(rest, "url(")
		if !found {
			return nil
		}
		if target := strings.TrimLeft(after, " \t\r\n'\""); !strings.HasPrefix(target, "#") {
			return fmt.Errorf("it refers to %q outside itself", printable(target, 60))
		}
		rest = after
	}
}

// svgRefs follows what elements refer to inside the drawing.
type svgRefs struct {
	size map[string]int      // elements under each id
	to   map[string][]string // references made under each id
}

// svgRoot stands for the drawing itself.
const svgRoot = "\x00root"

func newSVGRefs() *svgRefs { return &svgRefs{size: map[string]int{}, to: map[string][]string{}} }

// element counts t under the ids around it and returns them with its own.
func (r *svgRefs) element(t xml.StartElement, around []string) ([]string, error) {
	ids := around
	if len(ids) == 0 {
		ids = []string{svgRoot}
	}
	var targets []string
	for _, a := range t.Attr {
		if a.Name.Local == "id" && a.Value != "" {
			if _, twice := r.size[a.Value]; twice {
				return nil, fmt.Errorf("it has the id %q twice", printable(a.Value, 40))
			}
			r.size[a.Value] = 0
			ids = append(ids[:len(ids):len(ids)], a.Value)
		}
		if target, ok := strings.CutPrefix(a.Value, "#"); ok && strings.EqualFold(a.Name.Local, "href") {
			targets = append(targets, target)
		}
		for rest := a.Value; ; {
			_, after, found := cutFold(rest, "url(")
			if !found {
				break
			}
			target := strings.TrimLeft(after, " \t\r\n'\"#")
			end := strings.IndexAny(target, "'\") \t\r\n")
			if end >= 0 {
				target = target[:end]
			}
			targets = append(targets, target)
			rest = after
		}
	}
	for _, id := range ids {
		r.size[id]++
		r.to[id] = append(r.to[id], targets...)
	}
	return ids, nil
}

// cutFold is strings.Cut that ignores ASCII case.
func cutFold(s, sep string) (before, after string, found bool) {
	if i := strings.Index(strings.ToLower(s), sep); i >= 0 && len(strings.ToLower(s)) == len(s) {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// check refuses references in circles and drawings that unfold beyond maxSVGDrawn.
func (r *svgRefs) check() error {
	const open = -1
	drawn := map[string]int{} // open while it is being counted
	var count func(id string) (int, error)
	count = func(id string) (int, error) {
		if n, done := drawn[id]; done {
			if n == open {
				return 0, fmt.Errorf("its element %q refers to itself", printable(id, 40))
			}
			return n, nil
		}
		drawn[id] = open
		total := r.size[id]
		for _, target := range r.to[id] {
			n, err := count(target)
			if err != nil {
				return 0, err
			}
			if total += n; total > maxSVGDrawn {
				return 0, fmt.Errorf("it unfolds to more than %d elements", maxSVGDrawn)
			}
		}
		drawn[id] = total
		return total, nil
	}
	_, err := count(svgRoot)
	if err == nil && r.size[svgRoot] > maxSVGDrawn {
		return fmt.Errorf("it has more than %d elements", maxSVGDrawn)
	}
	return err
}
