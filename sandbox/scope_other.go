//go:build !linux

package sandbox

// scopes are Linux's.
type scopes struct{}

type scopeLimits struct {
	memory int64
	cpu    bool
}

func findScopes() (*scopes, string) { return nil, "control groups are Linux's" }

func (in *Instance) startScope() { in.setScope(in.sup.noScopes) }

func (in *Instance) scopeLimits() (scopeLimits, string) { return scopeLimits{}, in.scopeWhy }
