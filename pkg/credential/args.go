package credential

import (
	"slices"
	"strings"
)

// NormalizeArgs rewrites the arguments of `config add` from the forms that
// Serverless Devs takes to those of an ordinary flag parser:
//
//	-kl X, -kl=X, --keyList X    --kl X
//	-il X, -il=X, --infoList X   --il X
//	---AccessKeyID X             --AccessKeyID X, with a warning
//	--AccountID --AccessKeyID X  --AccessKeyID X, with a warning: an optional
//	                             value was empty and not quoted
//
// Values are never rewritten, nor is what follows "--". The input is not changed.
func NormalizeArgs(args []string) (normal, warnings []string) {
	for i := 0; i < len(args); i++ {
		if args[i] == "--" {
			return append(normal, args[i:]...), warnings
		}
		name, value, hasValue := strings.Cut(args[i], "=")
		flag, ok := longFlag(name)
		if !ok {
			normal = append(normal, args[i])
			if takesValue(args[i]) && i+1 < len(args) {
				i++
				normal = append(normal, args[i])
			}
			continue
		}
		if strings.HasPrefix(name, "---") {
			warnings = append(warnings, name+" has too many dashes; it was read as "+flag)
		}
		if hasValue {
			normal = append(normal, flag+"="+value)
			continue
		}
		optional := flag == "--"+FieldAccountID || flag == "--"+FieldSecurityToken
		if optional && (i+1 == len(args) || strings.HasPrefix(args[i+1], "-")) {
			warnings = append(warnings, flag+" has no value and is left out")
			continue
		}
		normal = append(normal, flag)
		if i+1 < len(args) {
			i++
			normal = append(normal, args[i])
		}
	}
	return normal, warnings
}

// longFlag returns the flag with two dashes that a name means, when it is one
// that takes a value and belongs to `config add` alone.
func longFlag(name string) (string, bool) {
	switch name {
	case "-kl", "-keyList":
		return "--kl", true
	case "-il", "-infoList":
		return "--il", true
	}
	plain := strings.TrimLeft(name, "-")
	if len(name)-len(plain) < 2 {
		return "", false
	}
	switch plain {
	case "kl", "keyList":
		return "--kl", true
	case "il", "infoList":
		return "--il", true
	case "access":
		return "--access", true
	}
	return "--" + plain, slices.Contains(NamedKeys(), plain)
}

// takesValue reports whether another flag of `config add` is followed by a value.
func takesValue(arg string) bool {
	return slices.Contains([]string{"-a", "-p", "-t", "--provider", "--template"}, arg)
}
