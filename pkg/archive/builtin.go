package archive

import "strings"

// FunctionIgnores returns the rules that hold for the code of every function of
// the runtime, in gitignore syntax. A .fcignore may take them back. An unknown
// runtime gets those that hold for all.
func FunctionIgnores(runtime string) []string {
	rules := []string{
		// What the tool that users come from leaves out.
		".git", ".svn", ".env", ".DS_Store", "template.packaged.yml", ".nas.yml",
		".s/nas", ".s/tmp", ".s/package",
		// What it leaves behind beside the template on one machine and not on
		// another: state, build records and caches. They are not the user's
		// code, and would make every deploy differ from the one before.
		".s/*.json", ".s/build", ".s/fc-build", ".s/fc-cache", ".s/opt", ".s/zip", ".s/code",
	}
	switch {
	case strings.HasPrefix(runtime, "nodejs"):
		rules = append(rules, ".s/python")
	case strings.HasPrefix(runtime, "python"):
		rules = append(rules, "node_modules")
	case strings.HasPrefix(runtime, "php"):
		rules = append(rules, "node_modules", ".s/python")
	}
	return rules
}
