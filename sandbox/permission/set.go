package permission

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Set is an immutable set of permissions. The zero value is empty and usable.
type Set struct {
	sorted []Permission // without duplicates; never changed after the set is made
}

// NewSet makes a set. Only members made by Parse are guaranteed to be canonical.
func NewSet(ps ...Permission) Set {
	if len(ps) == 0 {
		return Set{}
	}
	sorted := slices.Clone(ps)
	slices.SortFunc(sorted, Permission.Compare)
	return Set{sorted: slices.Compact(sorted)}
}

// ParseSet reads what Set.String writes: permissions joined by commas. An empty text is the empty set.
func ParseSet(s string) (Set, error) {
	if s == "" {
		return Set{}, nil
	}
	return parseAll(strings.Split(s, ","))
}

func parseAll(texts []string) (Set, error) {
	ps := make([]Permission, 0, len(texts))
	for _, text := range texts {
		p, err := Parse(text)
		if err != nil {
			return Set{}, fmt.Errorf("permission set: %w", err)
		}
		ps = append(ps, p)
	}
	return NewSet(ps...), nil
}

// Len is the number of members.
func (s Set) Len() int { return len(s.sorted) }

// All returns the members in order; the caller owns the slice.
func (s Set) All() []Permission { return slices.Clone(s.sorted) }

// Has reports whether p itself is a member.
func (s Set) Has(p Permission) bool {
	_, found := slices.BinarySearchFunc(s.sorted, p, Permission.Compare)
	return found
}

// Covers reports whether one member is p or wider. Several narrower members never add up to a wider one.
func (s Set) Covers(p Permission) bool {
	return slices.ContainsFunc(s.sorted, func(member Permission) bool { return member.Covers(p) })
}

// CoversSet reports whether every member of other is covered.
func (s Set) CoversSet(other Set) bool { return other.Diff(s).Len() == 0 }

// Union has the members of both.
func (s Set) Union(other Set) Set { return NewSet(slices.Concat(s.sorted, other.sorted)...) }

// Diff is what s holds that other does not cover: what is new or wider.
func (s Set) Diff(other Set) Set {
	return s.filter(func(p Permission) bool { return !other.Covers(p) })
}

// Equal reports whether both have the same members.
func (s Set) Equal(other Set) bool { return slices.Equal(s.sorted, other.sorted) }

// OfKind returns the members of kind k in order.
func (s Set) OfKind(k Kind) []Permission {
	return s.filter(func(p Permission) bool { return p.Kind == k }).sorted
}

// without removes exactly the members of other, wider or not.
func (s Set) without(other Set) Set {
	return s.filter(func(p Permission) bool { return !other.Has(p) })
}

func (s Set) filter(keep func(Permission) bool) Set {
	var kept []Permission
	for _, p := range s.sorted {
		if keep(p) {
			kept = append(kept, p)
		}
	}
	return Set{sorted: kept}
}

// Strings returns the members' String forms in order, never nil.
func (s Set) Strings() []string {
	texts := make([]string, len(s.sorted))
	for i, p := range s.sorted {
		texts[i] = p.String()
	}
	return texts
}

// String joins the members with commas, in order.
func (s Set) String() string { return strings.Join(s.Strings(), ",") }

// MarshalJSON writes a list of texts, [] when empty.
func (s Set) MarshalJSON() ([]byte, error) { return json.Marshal(s.Strings()) }

// UnmarshalJSON reads a list of texts and refuses everything that Parse refuses.
func (s *Set) UnmarshalJSON(raw []byte) error {
	var texts []string
	if err := json.Unmarshal(raw, &texts); err != nil {
		return fmt.Errorf("permission set: %w", err)
	}
	parsed, err := parseAll(texts)
	if err != nil {
		return err
	}
	*s = parsed
	return nil
}
