package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"paddock/app/control"
)

func (p *program) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Say what this machine can enforce, and why not", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := call[control.Doctor](cmd.Context(), p, control.MethodDoctor, nil)
			if err != nil {
				return err
			}
			if p.json {
				d.Walls, d.Resolve, d.Gateway.PagesCan = list(d.Walls), list(d.Resolve), list(d.Gateway.PagesCan)
				p.document(d)
				return nil
			}
			var t table
			t.fact("Runtime", "Deno "+d.Deno.Version+" ("+d.Deno.State+") "+d.Deno.Path)
			t.fact("", d.Deno.Why)
			t.fact("Front door", frontDoor(d.Gateway))
			t.fact("Other users", otherUsers(d.Gateway))
			t.fact("Apps are at", origins(d.Gateway))
			for _, can := range d.Gateway.PagesCan {
				t.fact("Pages can", can)
			}
			t.fact("Tray", strings.TrimSuffix(strings.ReplaceAll(d.Tray.State, "_", " ")+": "+d.Tray.Why, ": "))
			t.fact("Home", d.Home)
			for _, r := range d.Resolve {
				t.fact("Led elsewhere", r)
			}
			p.print(t)
			p.say("")
			p.printWalls(d.Walls)
			return nil
		},
	}
}

func origins(g control.DoctorGateway) string {
	switch {
	case g.Origins == "addresses":
		return "loopback addresses of their own"
	case g.OriginsWhy != "":
		return "names of their own below localhost: " + g.OriginsWhy
	default:
		return "names of their own below localhost"
	}
}

// otherUsers says what keeps other users of the machine from opening apps.
func otherUsers(g control.DoctorGateway) string {
	if g.Peers {
		return "their connections to the front door are refused"
	}
	return "cannot be told apart at the front door: " + g.PeersWhy + "; an app is open to whoever has its link, so the browser gets it in a file that only you can read"
}

func frontDoor(g control.DoctorGateway) string {
	if g.IPv6 {
		return g.Address + ", and the same port of ::1"
	}
	return strings.TrimSuffix(g.Address+"; ::1 is not held: "+g.Why, ": ")
}

func (p *program) printWalls(walls []control.Wall) {
	t := table{head: []string{"WALL", "STATE", "WHY"}}
	for _, w := range walls {
		state := text(w.State)
		switch w.State {
		case "enforced":
			state.style = green
		case "partial":
			state.style = yellow
		case "absent":
			state.style = red
		}
		t.add(text(w.Name), state, text(w.Why))
	}
	p.print(t)
}
