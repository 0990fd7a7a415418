package sandbox

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestWordReader(t *testing.T) {
	for name, c := range map[string]struct{ in, out, kind string }{
		"alone":              {"\x00ready fetch\n", "", "fetch"},
		"among output":       {"one\n\x00ready node\ntwo\n", "one\ntwo\n", "node"},
		"behind half a line": {"one\x00ready deno\ntwo", "onetwo", "deno"},
		"only the first":     {"\x00ready fetch\n\x00ready fetch\n", "\x00ready fetch\n", "fetch"},
		"no end":             {"\x00ready fetch", "\x00ready fetch", ""},
		"too long":           {"\x00ready " + strings.Repeat("x", maxKind+1) + "\n", "\x00ready " + strings.Repeat("x", maxKind+1) + "\n", ""},
		"nothing":            {"", "", ""},
		"other output":       {"ready fetch\n", "ready fetch\n", ""},
	} {
		kind := ""
		out, err := io.ReadAll(&wordReader{strings.NewReader(c.in), func(k string) { kind += k }})
		if err != nil || string(out) != c.out || kind != c.kind {
			t.Errorf("%s: %q, told %q, %v", name, out, kind, err)
		}
	}
	// Cut in two it is not found, and nothing is lost.
	const text = "one\n\x00ready fetch\ntwo\n"
	out, err := io.ReadAll(&wordReader{iotest.OneByteReader(strings.NewReader(text)), func(k string) { t.Errorf("told %q", k) }})
	if err != nil || string(out) != text {
		t.Errorf("in pieces: %q, %v", out, err)
	}
}

// The word that an app has a server is a convenience: an app that keeps it from being written is asked, and one that
// writes it too early or too often is the only one that is misled.
func TestReadyWord(t *testing.T) {
	const server = `export default { fetch: () => new Response("here") };`
	for name, c := range map[string]struct{ module, log string }{
		"written by the entry": {`console.log("loading");` + server, "loading\n"},
		"output closed":        {`Deno.stdout.close();` + server, ""},
		"output full":          {`for (let i = 0; i < 4000; i++) console.log("x".repeat(99));` + server, strings.Repeat(strings.Repeat("x", 99)+"\n", 3)},
		"written too early":    {`Deno.stdout.writeSync(new TextEncoder().encode("\0ready fetch\n")); await new Promise((go) => setTimeout(go, 100));` + server, "ready fetch\n"},
		"of no kind there is":  {`Deno.stdout.writeSync(new TextEncoder().encode("\0ready anything\n"));` + server, "ready fetch\n"},
		"for another server":   {`Deno.stdout.writeSync(new TextEncoder().encode("\0ready node\n"));` + server, "ready fetch\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := specForTest(t, c.module)
			in := launchForTest(t, supervisorForTest(t), spec)
			if got := ask(t, in, "/"); got != "here" {
				t.Errorf("answer %q", got)
			}
			waitFor(t, "its log", func() bool {
				lines, err := ReadLog(spec.LogDir, 0)
				var text strings.Builder
				for _, l := range lines {
					text.WriteString(strings.TrimLeft(l.Text, "\x00\uFFFD") + "\n")
				}
				return err == nil && strings.HasPrefix(text.String(), c.log) && (name != "written by the entry" || text.String() == c.log)
			})
		})
	}
}
