package sandbox

import (
	_ "embed"
	"strings"
	"sync"
)

// tlds.txt lists the top-level domains, one per line in punycode, as golang.org/x/net/publicsuffix knows them (list of
// 2026-02-06). A test compares the two. A domain that is younger than the list is not covered by net:* in Deno's flags
// until the list is renewed; that fails closed, with Deno's own error.
//
//go:embed tlds.txt
var tldText string

var topLevelDomains = sync.OnceValue(func() []string { return strings.Fields(tldText) })
