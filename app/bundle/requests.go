package bundle

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"paddock/sandbox/permission"
)

// permissionRules checks every scope, and that nothing is asked for twice.
func (p *problems) permissionRules(list *Permissions) {
	seen := map[permission.Permission]string{}
	check := func(field, text, got string) {
		perm, err := permission.Parse(text)
		var bad *permission.ScopeError
		switch {
		case errors.As(err, &bad):
			p.add(field, scopeExpected(bad), quote(got)+" ("+bad.Rule+")")
			return
		case err != nil:
			p.add(field, "something that can be granted", quote(got)+" ("+printable(err.Error(), 120)+")")
			return
		}
		if first, twice := seen[perm]; twice {
			p.add(field, "each permission once", fmt.Sprintf("%s, which %s asks for already", perm, first))
			return
		}
		seen[perm] = field
	}
	for i, r := range list.Network {
		if r.Host != "" {
			field := fmt.Sprintf("permissions.network[%d].host", i)
			if hostHasPort(r.Host) {
				p.add(field, "a host without a port; the port has a field of its own", quote(r.Host))
				continue
			}
			check(field, netPermission(r), r.Host)
		}
	}
	for i, r := range list.Files {
		if r.Slot != "" {
			check(fmt.Sprintf("permissions.files[%d].slot", i), string(permission.Files)+":"+r.Slot, r.Slot)
		}
		if r.Kind == "folder" && len(r.Types) > 0 {
			p.add(fmt.Sprintf("permissions.files[%d].types", i), "nothing, as the user picks a folder", fmt.Sprintf("%d types", len(r.Types)))
		}
	}
	for i, r := range list.Sys {
		if r.Name != "" {
			check(fmt.Sprintf("permissions.sys[%d].name", i), string(permission.Sys)+":"+r.Name, r.Name)
		}
	}
	if r := list.Background; r != nil && r.Schedule != "" {
		if _, err := permission.ParseSchedule(r.Schedule); err != nil {
			p.add("permissions.background.schedule", "five fields of cron, no more often than every 15 minutes", quote(r.Schedule)+" ("+printable(err.Error(), 160)+")")
		}
	}
	for i, r := range list.Browser {
		if r.Feature != "" {
			check(fmt.Sprintf("permissions.browser[%d].feature", i), string(permission.Browser)+":"+r.Feature, r.Feature)
		}
	}
}

func scopeExpected(bad *permission.ScopeError) string {
	if bad.Hint != "" {
		return "something that can be granted; " + strings.TrimSuffix(bad.Hint, ".")
	}
	return "something that can be granted"
}

// hostHasPort reports whether a host is written like example.org:8443. Addresses with colons are not.
func hostHasPort(host string) bool {
	if strings.HasPrefix(host, "[") {
		return !strings.HasSuffix(host, "]")
	}
	return strings.Count(host, ":") == 1
}

// netPermission is the text of a permission; a bare IPv6 address gets its brackets.
func netPermission(r NetworkRequest) string {
	host := r.Host
	if strings.Count(host, ":") > 1 && !strings.HasPrefix(host, "[") {
		host = "[" + host + "]"
	}
	if r.Port == 0 || r.Port == 443 {
		return string(permission.Net) + ":" + host
	}
	return fmt.Sprintf("%s:%s:%d", permission.Net, host, r.Port)
}

// kindWords are names of permissions elsewhere that an author may try, and what they are in Deno.
var kindWords = map[string]string{
	"net_listen": "net-listen", "listen": "net-listen", "native": "ffi", "subprocess": "run", "exec": "run",
	"environment": "env", "read_files": "read", "write_files": "write",
}

// kindKeys are the words of permission strings that have another key in the manifest.
var kindKeys = map[string]string{"net": "network", "lan": "local_network"}

// unknownPermission explains a key under permissions that this version does not know.
func (p *problems) unknownPermission(key string) {
	field, got := join("permissions", key), "the unknown kind "+quote(key)
	word := key
	if w, ok := kindWords[key]; ok {
		word = w
	}
	var bad *permission.ScopeError
	if _, err := permission.Parse(word); errors.Is(err, permission.ErrNeverGrantable) && errors.As(err, &bad) {
		p.add(field, "nothing: "+bad.Rule, "a request for "+quote(key))
		return
	}
	keys := p.known("#/properties/permissions")
	if right, ok := kindKeys[key]; ok {
		p.add(field, "the key "+right, got)
		return
	}
	expected := "one of the kinds " + strings.Join(keys, ", ") + "; a newer Paddock may be needed for others"
	if near := nearest(key, keys); near != "" {
		expected = "perhaps " + near + "; a newer Paddock may be needed for other kinds"
	}
	p.add(field, expected, got)
}

// Requests lists what the manifest asks for, in the order of the fields. m must come from ParseManifest.
func (m *Manifest) Requests() []permission.Request {
	var list []permission.Request
	add := func(text string, r permission.Request) {
		perm, err := permission.Parse(text)
		if err != nil {
			return // ParseManifest refuses such a manifest
		}
		r.Permission = perm
		list = append(list, r)
	}
	for _, r := range m.Permissions.Network {
		add(netPermission(r), permission.Request{Reason: r.Reason, Required: r.Required, Background: r.Background})
	}
	if r := m.Permissions.LocalNetwork; r != nil {
		add(string(permission.LAN), permission.Request{Reason: r.Reason, Required: r.Required})
	}
	for _, r := range m.Permissions.Files {
		access := permission.Read
		if r.Access == "readwrite" {
			access = permission.ReadWrite
		}
		add(string(permission.Files)+":"+r.Slot, permission.Request{
			Access: access, Folder: r.Kind == "folder", Types: slices.Clone(r.Types), Reason: r.Reason, Required: r.Required,
		})
	}
	for _, r := range m.Permissions.Sys {
		add(string(permission.Sys)+":"+r.Name, permission.Request{Reason: r.Reason})
	}
	for _, r := range m.Permissions.Browser {
		add(string(permission.Browser)+":"+r.Feature, permission.Request{Reason: r.Reason})
	}
	if r := m.Permissions.Background; r != nil {
		add(string(permission.Background), permission.Request{Reason: r.Reason, Required: r.Required, Background: true, Schedule: r.Schedule})
	}
	if r := m.Permissions.Notifications; r != nil {
		add(string(permission.Notifications), permission.Request{Reason: r.Reason, Required: r.Required})
	}
	if r := m.Permissions.Links; r != nil {
		add(string(permission.Links), permission.Request{Reason: r.Reason, Required: r.Required})
	}
	return list
}
