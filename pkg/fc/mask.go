package fc

import (
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/app"
)

// masked returns what is online with everything secret that is secret in the file:
// what is online may be the same value, or an earlier one. What the cloud adds at
// the top (ids, times, addresses) is no value of the file.
func masked(online, file *app.Value) *app.Value {
	if !file.HasSecret() || online.Kind != app.Map {
		return online
	}
	// Attributes that the file calls otherwise, or that are made of others.
	source := map[string]string{"routeConfig": "routeConfigs", "sourceArn": "config"}
	out := *online
	out.Entries = slices.Clone(online.Entries)
	for i, e := range out.Entries {
		if e.Key == "name" || e.Key == "domainName" {
			continue // what it was asked for by
		}
		written := counterpart(file, e.Key)
		if written == nil {
			written = counterpart(file, source[e.Key])
		}
		out.Entries[i].Value = hidden(e.Value, written)
	}
	return &out
}

// hidden returns online with what is secret in file hidden. A list is hidden as a
// whole, and so is what the file calls otherwise, as soon as anything in it is
// secret: nothing says which value became which.
func hidden(online, file *app.Value) *app.Value {
	switch {
	case !file.HasSecret():
		return online
	case online.Kind != app.Map || file.Kind != app.Map:
		return online.AsSecret()
	}
	for _, e := range file.Entries {
		if e.Value.HasSecret() && counterpart(online, e.Key) == nil {
			return online.AsSecret()
		}
	}
	out := *online
	out.Entries = slices.Clone(online.Entries)
	for i, e := range out.Entries {
		out.Entries[i].Value = hidden(e.Value, counterpart(file, e.Key))
	}
	return &out
}

// counterpart returns the value of a key, whatever its case.
func counterpart(v *app.Value, key string) *app.Value {
	if v == nil {
		return nil
	}
	for _, e := range v.Entries {
		if strings.EqualFold(e.Key, key) {
			return e.Value
		}
	}
	return nil
}

// declared returns the entry of a list of the props by its name, nil when it has
// none.
func (s *session) declared(list, name string) *app.Value {
	all := s.props.Get(list)
	if all == nil {
		return nil
	}
	for _, item := range all.Items {
		for _, key := range []string{"name", "domainName"} {
			written := item.Get(key).Str()
			if strings.EqualFold(written, name) || key == "domainName" && strings.EqualFold(written, "auto") {
				return item
			}
		}
	}
	return nil
}
