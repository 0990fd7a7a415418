package bundle

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
)

// This file makes words for problems: paths, values and what the schema says about a place.

// join appends a key to a path. Keys that are not plain words are quoted.
func join(path, key string) string {
	plain := key != "" && len(key) <= maxGot && strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$-") == ""
	switch {
	case !plain:
		return path + "[" + quote(key) + "]"
	case path == "":
		return key
	}
	return path + "." + key
}

// pointerPath turns a JSON Pointer (RFC 6901) into a path. Numbers are taken for indexes.
func pointerPath(pointer string) string {
	path := ""
	for _, part := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		switch {
		case part == "":
		case path != "" && strings.Trim(part, "0123456789") == "":
			path += "[" + part + "]"
		default:
			path = join(path, part)
		}
	}
	return path
}

func quote(s string) string {
	return `"` + strings.ReplaceAll(printable(s, maxGot), `"`, `\"`) + `"`
}

// show prints a JSON value for a message, shortened.
func show(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return quote(v)
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return number(v)
	case []any:
		return fmt.Sprintf("an array of %d items", len(v))
	case map[string]any:
		return fmt.Sprintf("an object with %d keys", len(v))
	}
	return printable(fmt.Sprint(v), maxGot)
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func typeName(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case float64:
		return "number"
	case []any:
		return "array"
	}
	return "null"
}

var typeWords = map[string]string{
	"object": "an object", "array": "an array", "string": "a string", "boolean": "true or false",
	"number": "a number", "integer": "a whole number", "null": "null",
}

func orList(types []string) string {
	words := make([]string, len(types))
	for i, t := range types {
		words[i] = typeWords[t]
	}
	return strings.Join(words, " or ")
}

// schemaDoc is the schema as a plain document, to look up descriptions and keys.
var schemaDoc = sync.OnceValue(func() any {
	var doc any
	if err := json.Unmarshal(schemaFile, &doc); err != nil {
		return nil // a test parses it
	}
	return doc
})

// schemaAt returns the part of the schema that a validation error's URL points to.
func schemaAt(url string) map[string]any {
	_, pointer, _ := strings.Cut(url, "#")
	place := schemaDoc()
	for _, part := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		if part == "" {
			continue
		}
		object, ok := place.(map[string]any)
		if !ok {
			return nil
		}
		place = object[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
	}
	object, _ := place.(map[string]any)
	return object
}

// describe returns what the schema says belongs at a place, or in its property key when that is given.
func (p *problems) describe(url, key, otherwise string) string {
	place := schemaAt(url)
	if key != "" {
		properties, _ := place["properties"].(map[string]any)
		place, _ = properties[key].(map[string]any)
		if ref, ok := place["$ref"].(string); ok {
			place = schemaAt(ref)
		}
	}
	if text, ok := place["description"].(string); ok {
		return text
	}
	if values, ok := place["enum"].([]any); ok {
		words := make([]string, len(values))
		for i, v := range values {
			words[i] = show(v)
		}
		return "one of " + strings.Join(words, ", ")
	}
	if kind, ok := place["type"].(string); ok {
		return typeWords[kind]
	}
	return otherwise
}

// known lists the keys that an object at a place may have.
func (p *problems) known(url string) []string {
	properties, _ := schemaAt(url)["properties"].(map[string]any)
	keys := make([]string, 0, len(properties))
	for key := range properties {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// nearest finds the word that a typing error most likely meant: at most two changes away.
func nearest(word string, words []string) string {
	best, bestAt := "", 3
	if len(word) > 40 {
		return ""
	}
	for _, w := range words {
		if d := distance(strings.ToLower(word), w); d < bestAt && d < len(w) {
			best, bestAt = w, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete or replace to get from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
