package permission

// Resolution is what an app may do now. The three sets share no member.
type Resolution struct {
	Allow Set // requested and granted
	Ask   Set // requested and not answered
	Deny  Set // requested and refused, and every narrower refusal inside something requested
}

// Resolve is the whole policy: what the manifest requests and what the user answered become what is allowed.
//
//   - Only requested permissions can be allowed. A grant of anything else is without effect.
//   - A denial wins over any number of grants, whatever their order.
//   - A grant that covers a request allows it; narrower grants never add up to a wider one.
//   - A denial narrower than a request (deny net:a.example.com inside net:*.example.com) leaves the request as it is
//     and stays in Deny, for the proxy and the runtime to honour.
//   - Everything else is asked.
//
// Session grants are grants like others: the caller leaves out those whose session is over.
func Resolve(requests []Request, grants []Grant) Resolution {
	var allow, ask, deny []Permission
	for _, request := range requests {
		switch decide(request, grants) {
		case Allow:
			allow = append(allow, request.Permission)
		case Deny:
			deny = append(deny, request.Permission)
		default:
			ask = append(ask, request.Permission)
		}
		deny = append(deny, denialsInside(request, grants)...)
	}

	// The same permission may be requested twice, once with more access: the stricter outcome holds for both.
	denied := NewSet(deny...)
	asked := NewSet(ask...).without(denied)
	allowed := NewSet(allow...).without(denied).without(asked)
	return Resolution{Allow: allowed, Ask: asked, Deny: denied}
}

// decide answers one request.
func decide(request Request, grants []Grant) Decision {
	if !request.Permission.Valid() {
		return Deny // Parse did not make it, so nothing is known about what it would open
	}
	answer := Ask
	for _, grant := range grants {
		if !grant.Permission.Covers(request.Permission) {
			continue
		}
		if grant.Decision == Deny {
			return Deny
		}
		if grant.Decision == Allow && suffices(grant, request) {
			answer = Allow
		}
	}
	return answer
}

// suffices reports whether an allowing grant gives all that the request needs. A slot is granted only together with
// the path that the user picked, and for at least the access that is asked for; work in the background for at least the
// times that are asked for.
func suffices(grant Grant, request Request) bool {
	if request.Permission.Kind == Background {
		return coversSchedule(grant.Schedule, request.Schedule)
	}
	if request.Permission.Kind != Files {
		return true
	}
	return grant.Path != "" && request.Access != None && grant.Access >= request.Access
}

// coversSchedule reports whether leave for some times is leave for others. The empty text is all the time.
func coversSchedule(given, wanted string) bool {
	if given == "" || given == wanted {
		return true
	}
	g, err := ParseSchedule(given)
	if err != nil {
		return false
	}
	w, err := ParseSchedule(wanted)
	return err == nil && g.Covers(w)
}

// Wider reports whether r asks for more than had, a request for the same permission.
func (r Request) Wider(had Request) bool {
	switch r.Permission.Kind {
	case Files:
		return r.Access > had.Access
	case Background:
		return !coversSchedule(had.Schedule, r.Schedule)
	}
	return false
}

// denialsInside lists the refusals that are narrower than the request.
func denialsInside(request Request, grants []Grant) []Permission {
	var inside []Permission
	for _, grant := range grants {
		narrower := grant.Permission != request.Permission && request.Permission.Covers(grant.Permission)
		if grant.Decision == Deny && narrower && grant.Permission.Valid() {
			inside = append(inside, grant.Permission)
		}
	}
	return inside
}
