package dockerfile

import (
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// architectures are the other names of architectures and what they stand for, with the
// variant where the name tells it (containerd/platforms).
func architecture(arch, variant string) (string, string) {
	arch, variant = strings.ToLower(arch), strings.ToLower(variant)
	switch arch {
	case "x86_64", "x86-64":
		arch = "amd64"
	case "i386", "i486", "i586", "i686", "x86":
		arch = "386"
	case "aarch64":
		arch = "arm64"
	case "armhf":
		arch, variant = "arm", "v7"
	case "armel":
		arch, variant = "arm", "v6"
	}
	if variant != "" && variant[0] >= '0' && variant[0] <= '9' {
		variant = "v" + variant
	}
	switch {
	case arch == "amd64" && variant == "v1", arch == "arm64" && variant == "v8":
		variant = ""
	case arch == "arm" && variant == "":
		variant = "v7"
	}
	return arch, variant
}

// ParsePlatform reads a platform such as linux/arm64 or linux/arm/v7, as --platform
// takes it. A single word is an architecture, of linux, or "linux" itself, of def's
// architecture.
func ParsePlatform(s string, def v1.Platform) (v1.Platform, error) {
	parts := strings.Split(s, "/")
	for _, part := range parts {
		if part == "" || strings.Trim(strings.ToLower(part), "abcdefghijklmnopqrstuvwxyz0123456789_-.") != "" {
			return v1.Platform{}, fmt.Errorf("%q is no platform: write it as linux/amd64", s)
		}
	}
	p := v1.Platform{OS: "linux"}
	switch len(parts) {
	case 1:
		switch os := strings.ToLower(parts[0]); os {
		case "linux":
			p.Architecture, p.Variant = def.Architecture, def.Variant
		case "windows", "darwin", "freebsd":
			p.OS = os
		default:
			p.Architecture, p.Variant = architecture(parts[0], "")
		}
	case 2, 3:
		p.OS = strings.ToLower(parts[0])
		p.Architecture, p.Variant = architecture(parts[1], strings.Join(parts[2:], ""))
	default:
		return v1.Platform{}, fmt.Errorf("%q is no platform: write it as linux/amd64", s)
	}
	if p.OS != "linux" {
		return v1.Platform{}, fmt.Errorf("images for %s are not supported, only for linux", p.OS)
	}
	return p, nil
}

// platforms fills in what the options leave out.
func (o *Options) platforms() {
	if o.BuildPlatform.Architecture == "" {
		o.BuildPlatform = o.Platform
	}
	if o.BuildPlatform.Architecture == "" {
		o.BuildPlatform = v1.Platform{OS: "linux", Architecture: "amd64"}
	}
	if o.Platform.Architecture == "" {
		o.Platform = o.BuildPlatform
	}
	for _, p := range []*v1.Platform{&o.Platform, &o.BuildPlatform} {
		if p.OS == "" {
			p.OS = "linux"
		}
		p.Architecture, p.Variant = architecture(p.Architecture, p.Variant)
	}
}

// short returns os/arch[/variant].
func short(p v1.Platform) string {
	return v1.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant}.String()
}

// automatic returns the arguments that every build has in its global scope.
func (o *Options) automatic(target string) [][2]string {
	if target == "" {
		target = "default"
	}
	b, t := o.BuildPlatform, o.Platform
	return [][2]string{
		{"BUILDPLATFORM", short(b)},
		{"BUILDOS", b.OS},
		{"BUILDOSVERSION", b.OSVersion},
		{"BUILDARCH", b.Architecture},
		{"BUILDVARIANT", b.Variant},
		{"TARGETPLATFORM", short(t)},
		{"TARGETOS", t.OS},
		{"TARGETOSVERSION", t.OSVersion},
		{"TARGETARCH", t.Architecture},
		{"TARGETVARIANT", t.Variant},
		{"TARGETSTAGE", target},
	}
}
