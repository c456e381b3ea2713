package plan

import (
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"

	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/state"
)

// Moved returns in what p, which is made now with the arguments of the file, is not the
// plan of the file: a sentence for each resource and field, none when it is. key is the
// key of the file. A value that is not known at one of the two times counts as equal;
// hold the plan against the file again when it is known.
func (f *File) Moved(p *Plan, key state.Key) []string {
	if f.App != p.App || f.Command != p.Command {
		return []string{fmt.Sprintf("the plan is one to %s %q, this is %s of %q", f.Command, f.App, p.Command, p.App)}
	}
	now := NewFile(p, key, f.Args)
	var moved []string
	for _, old := range f.Services {
		i := slices.IndexFunc(now.Services, func(s FileService) bool { return s.Name == old.Name })
		if i < 0 {
			moved = append(moved, fmt.Sprintf("service %s: is no longer there since the plan", old.Name))
			continue
		}
		moved = append(moved, old.moved(now.Services[i], p.Services[i])...)
	}
	for _, s := range now.Services {
		if !slices.ContainsFunc(f.Services, func(old FileService) bool { return old.Name == s.Name }) {
			moved = append(moved, fmt.Sprintf("service %s: is new since the plan", s.Name))
		}
	}
	return moved
}

// moved compares one service; p is what now was made of.
func (s FileService) moved(now FileService, p *Service) []string {
	if s.Region != now.Region || s.Account != now.Account {
		return []string{fmt.Sprintf("service %s: the region or the account is another since the plan", s.Name)}
	}
	old := map[resource.ID]FileChange{}
	for _, c := range s.Changes {
		old[c.ID()] = c
	}
	var moved []string
	for i, c := range now.Changes {
		file := "the application file"
		if pos := p.Changes[i].Pos.File; pos != "" {
			file = path.Base(filepath.ToSlash(pos))
		}
		before, ok := old[c.ID()]
		delete(old, c.ID())
		if !ok {
			moved = append(moved, fmt.Sprintf("%s: is new in %s since the plan", c.ID(), file))
			continue
		}
		moved = append(moved, before.moved(c, file)...)
	}
	for _, c := range s.Changes {
		if _, left := old[c.ID()]; !left {
			continue
		}
		if c.Pruned {
			moved = append(moved, fmt.Sprintf("%s: is no longer one to prune since the plan", c.ID()))
		} else {
			moved = append(moved, fmt.Sprintf("%s: is no longer in the application file since the plan", c.ID()))
		}
	}
	return moved
}

func (c FileChange) moved(now FileChange, file string) []string {
	var moved []string
	say := func(format string, args ...any) {
		moved = append(moved, c.ID().String()+": "+fmt.Sprintf(format, args...)+" since the plan")
	}
	switch {
	case c.Want != nil && now.Want == nil:
		say("is no longer in %s", file)
	case c.Want == nil && now.Want != nil:
		say("is new in %s", file)
	default:
		for _, field := range different(c.Want, now.Want) {
			if field == codeField {
				say("the code was changed")
			} else {
				say("%s was changed in %s", field, file)
			}
		}
	}
	switch {
	case c.Found != nil && now.Found == nil:
		say("was deleted online")
	case c.Found == nil && now.Found != nil:
		say("was made online")
	default:
		for _, field := range different(c.Found, now.Found) {
			say("%s was changed online", field)
		}
	}
	switch left := c.Decision == Leave || c.Decision == Refuse; {
	case len(moved) > 0:
	case left && now.Decision == Apply:
		moved = append(moved, c.ID().String()+": would be changed now, and is not by the plan")
	case c.Decision == Apply && now.Decision == Leave:
		moved = append(moved, c.ID().String()+": would be left as it is now, and is changed by the plan")
	}
	return moved
}

// different returns the attributes whose fingerprints differ, sorted.
func different(a, b map[string]string) []string {
	fields := append(slices.Collect(maps.Keys(a)), slices.Collect(maps.Keys(b))...)
	slices.Sort(fields)
	fields = slices.Compact(fields)
	return slices.DeleteFunc(fields, func(f string) bool { return a[f] == b[f] || a[f] == NotYet || b[f] == NotYet })
}
