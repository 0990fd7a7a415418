package bundle

import (
	"bytes"
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

//go:embed schema.json
var schemaFile []byte

// Schema returns the JSON Schema (draft 2020-12) of the manifest.
func Schema() []byte { return bytes.Clone(schemaFile) }

const (
	// maxProblems bounds a report: nobody reads more, and a hostile manifest could make thousands.
	maxProblems = 100
	maxGot      = 60 // bytes of a value shown in a problem
)

// schema is compiled once: it is ours, so that it compiles is a matter of the tests.
var schema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaFile))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	const location = "manifest.json"
	if err := c.AddResource(location, doc); err != nil {
		return nil, err
	}
	return c.Compile(location)
})

// ParseManifest reads and checks the bytes of a paddock.json. Everything that is wrong comes back at
// once, sorted, in a *ManifestError. Whether the files it names exist is checked by Open.
func ParseManifest(data []byte) (*Manifest, error) {
	p := &problems{}
	if int64(len(data)) > DefaultLimits.Manifest {
		p.add("", fmt.Sprintf("at most %d KiB", DefaultLimits.Manifest>>10), fmt.Sprintf("%d bytes", len(data)))
		return nil, p.err()
	}
	p.duplicates(data)
	var doc any
	if err := json.Unmarshal(data, &doc, jsontext.AllowDuplicateNames(true)); err != nil {
		p.syntax(data, err)
		return nil, p.err()
	}
	root, ok := doc.(map[string]any)
	if !ok {
		p.add("", "a JSON object", "a "+typeName(doc))
		return nil, p.err()
	}
	compiled, err := schema()
	if err != nil {
		return nil, fmt.Errorf("the manifest schema does not compile: %w", err)
	}
	p.doc = doc
	if err := compiled.Validate(doc); err != nil {
		var invalid *jsonschema.ValidationError
		if !errors.As(err, &invalid) {
			return nil, fmt.Errorf("validate the manifest: %w", err)
		}
		p.schemaErrors(invalid)
		p.clear(invalid)
	}
	p.keyNames(root)
	p.texts(root)
	m := &Manifest{}
	if len(p.list) == 0 {
		if err := decodeManifest(data, m); err != nil {
			p.decode(err)
			return nil, p.err()
		}
		p.rules(m)
		if err := p.err(); err != nil {
			return nil, err
		}
		return m, nil
	}
	// The rules below look at whatever the schema found right, so that everything is reported together:
	// what it found wrong was set to null, which fits every Go type.
	if rest, err := json.Marshal(doc); err == nil && decodeManifest(rest, m) == nil {
		p.rules(m)
	}
	return nil, p.err()
}

// decodeManifest fills m. Unknown keys and duplicates were reported before, with better words.
func decodeManifest(data []byte, m *Manifest) error {
	return json.Unmarshal(data, m, jsontext.AllowDuplicateNames(true))
}

// problems collects what is wrong, each field and expectation once.
type problems struct {
	doc  any
	list []Problem
}

func (p *problems) add(path, expected, got string) {
	problem := Problem{Path: path, Expected: expected, Got: got}
	if !slices.Contains(p.list, problem) {
		p.list = append(p.list, problem)
	}
}

func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	slices.SortStableFunc(p.list, func(a, b Problem) int {
		return cmp.Or(comparePaths(a.Path, b.Path), cmp.Compare(a.Expected, b.Expected), cmp.Compare(a.Got, b.Got))
	})
	if len(p.list) > maxProblems {
		more := len(p.list) - maxProblems
		p.list = append(p.list[:maxProblems], Problem{Expected: "a shorter list of problems", Got: fmt.Sprintf("%d more", more)})
	}
	return &ManifestError{Problems: p.list}
}

// comparePaths orders paths as text, but network[2] before network[10].
func comparePaths(a, b string) int {
	for a != "" && b != "" {
		na, restA := leadingNumber(a)
		nb, restB := leadingNumber(b)
		if restA != a && restB != b {
			if na != nb {
				return cmp.Compare(na, nb)
			}
			a, b = restA, restB
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

func leadingNumber(s string) (int, string) {
	rest := strings.TrimLeft(s, "0123456789")
	n, _ := strconv.Atoi(s[:len(s)-len(rest)]) // an absurd number compares as the biggest, which is order enough
	return n, rest
}

// duplicates finds keys that occur twice in one object: readers differ in which of the two they take.
// Broken syntax ends the search quietly; it is reported by the reading proper.
func (p *problems) duplicates(data []byte) {
	dec := jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true))
	var seen []map[string]bool // one for each open object, nil for arrays
	for {
		token, err := dec.ReadToken()
		if err != nil {
			return
		}
		switch token.Kind() {
		case '{':
			seen = append(seen, map[string]bool{})
		case '[':
			seen = append(seen, nil)
		case '}', ']':
			seen = seen[:len(seen)-1]
		case '"':
			depth := len(seen)
			container, index := dec.StackIndex(dec.StackDepth())
			if depth == 0 || container != '{' || index%2 == 0 { // after a value, the count of tokens is even
				continue
			}
			key := token.String()
			if seen[depth-1][key] {
				p.add(pointerPath(string(dec.StackPointer())), "each key once", "the key "+quote(key)+" again")
			}
			seen[depth-1][key] = true
		}
	}
}

// syntax explains why data is not JSON.
func (p *problems) syntax(data []byte, err error) {
	var broken *jsontext.SyntacticError
	if !errors.As(err, &broken) {
		p.add("", "valid JSON", printable(err.Error(), 200))
		return
	}
	if bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
		p.add("", "JSON without a byte order mark", "a byte order mark")
		return
	}
	offset := min(max(int(broken.ByteOffset), 0), len(data))
	line := 1 + bytes.Count(data[:offset], []byte("\n"))
	column := offset - bytes.LastIndexByte(data[:offset], '\n')
	what := broken.Err.Error()
	p.add(pointerPath(string(broken.JSONPointer)), "valid JSON",
		fmt.Sprintf("%s at line %d, column %d", printable(what, 120), line, column))
}

// decode explains why valid JSON does not fit the Go types although the schema let it pass: a number
// like 1.0 where a whole one belongs.
func (p *problems) decode(err error) {
	var misfit *json.SemanticError
	if !errors.As(err, &misfit) {
		p.add("", "a manifest", printable(err.Error(), 200))
		return
	}
	expected := "another type of value"
	if misfit.JSONKind == '0' {
		expected = "a whole number without a fraction"
	}
	p.add(pointerPath(string(misfit.JSONPointer)), expected, printable(string(misfit.JSONValue), maxGot))
}

// schemaErrors turns the leaves of a validation error into problems.
func (p *problems) schemaErrors(e *jsonschema.ValidationError) {
	if _, ok := e.ErrorKind.(*kind.PropertyNames); ok {
		return // see keyNames
	}
	for _, cause := range e.Causes {
		p.schemaErrors(cause)
	}
	if len(e.Causes) > 0 {
		return
	}
	path, value := p.locate(e.InstanceLocation)
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, key := range k.Missing {
			p.add(join(path, key), p.describe(e.SchemaURL, key, "a value"), "nothing")
		}
	case *kind.AdditionalProperties:
		for _, key := range k.Properties {
			p.unknownKey(path, key, e.SchemaURL)
		}
	case *kind.Type:
		p.add(path, orList(k.Want), show(value))
	case *kind.Const:
		p.add(path, show(k.Want), show(value))
	case *kind.Enum:
		words := make([]string, len(k.Want))
		for i, w := range k.Want {
			words[i] = show(w)
		}
		p.add(path, "one of "+strings.Join(words, ", "), show(value))
	case *kind.Pattern:
		p.add(path, p.describe(e.SchemaURL, "", "a text that matches "+k.Want), show(value))
	case *kind.MinLength:
		p.add(path, fmt.Sprintf("a text of at least %d characters", k.Want), show(value))
	case *kind.MaxLength:
		p.add(path, fmt.Sprintf("at most %d characters", k.Want), fmt.Sprintf("%d", k.Got))
	case *kind.MinItems:
		p.add(path, fmt.Sprintf("at least %d items", k.Want), fmt.Sprintf("%d", k.Got))
	case *kind.MaxItems:
		p.add(path, fmt.Sprintf("at most %d items", k.Want), fmt.Sprintf("%d", k.Got))
	case *kind.MaxProperties:
		p.add(path, fmt.Sprintf("at most %d keys", k.Want), fmt.Sprintf("%d", k.Got))
	case *kind.UniqueItems:
		p.add(path, "each item once", fmt.Sprintf("items %d and %d alike", k.Duplicates[0], k.Duplicates[1]))
	case *kind.Minimum:
		want, _ := k.Want.Float64()
		p.add(path, fmt.Sprintf("a number of at least %s", number(want)), show(value))
	case *kind.Maximum:
		want, _ := k.Want.Float64()
		p.add(path, fmt.Sprintf("a number of at most %s", number(want)), show(value))
	default:
		p.add(path, p.describe(e.SchemaURL, "", "another value"), show(value))
	}
}

// keyNames checks the keys of objects whose keys the author chooses. The validator's own errors about
// them carry a location that it overwrites later (jsonschema v6.0.3 does not clone it).
func (p *problems) keyNames(root map[string]any) {
	for _, field := range []string{"localization", "config", "_meta"} {
		object, _ := root[field].(map[string]any)
		url := "#/properties/" + field + "/propertyNames"
		pattern, _ := schemaAt(url)["pattern"].(string)
		form, err := regexp.Compile(pattern)
		if err != nil {
			continue // a test compiles the schema
		}
		for key := range object {
			if !form.MatchString(key) {
				p.add(join(field, key), p.describe(url, "", "another key"), "the key "+quote(key))
			}
		}
	}
}

// clear sets every value that the schema found wrong to null.
func (p *problems) clear(e *jsonschema.ValidationError) {
	for _, cause := range e.Causes {
		p.clear(cause)
	}
	if len(e.Causes) > 0 || len(e.InstanceLocation) == 0 {
		return
	}
	switch e.ErrorKind.(type) {
	case *kind.Required, *kind.AdditionalProperties, *kind.PropertyNames:
		return // the value itself is of the right type
	}
	last := len(e.InstanceLocation) - 1
	_, parent := p.locate(e.InstanceLocation[:last])
	switch parent := parent.(type) {
	case []any:
		if i, err := strconv.Atoi(e.InstanceLocation[last]); err == nil && i >= 0 && i < len(parent) {
			parent[i] = nil
		}
	case map[string]any:
		parent[e.InstanceLocation[last]] = nil
	}
}

// unknownKey explains a key that the schema does not have.
func (p *problems) unknownKey(path, key, schemaURL string) {
	if path == "permissions" {
		p.unknownPermission(key)
		return
	}
	expected := "a known key"
	if near := nearest(key, p.known(schemaURL)); near != "" {
		expected = "a known key, perhaps " + near
	}
	p.add(join(path, key), expected, "the unknown key "+quote(key))
}

// locate returns the path of a location in the document, and the value there. The name of a property
// that is wrong itself is at the location of the property.
func (p *problems) locate(location []string) (string, any) {
	path, value := "", p.doc
	for _, part := range location {
		switch v := value.(type) {
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(v) {
				return path, nil
			}
			path, value = fmt.Sprintf("%s[%d]", path, i), v[i]
		case map[string]any:
			path, value = join(path, part), v[part]
		default:
			return path, nil
		}
	}
	return path, value
}
