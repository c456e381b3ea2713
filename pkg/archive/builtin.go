package archive

import "strings"

// FunctionIgnores returns the rules that hold for the code of every function of
// the runtime, in gitignore syntax. A .fcignore may take them back. An unknown
// runtime gets those that hold for all.
func FunctionIgnores(runtime string) []string {
	rules := []string{
		".git", ".svn", ".env", ".DS_Store", "template.packaged.yml", ".nas.yml",
		// The folder of the tools' own state beside the template: records, caches,
		// builds, the embedded cloud. It is not the user's code, differs from one
		// machine and deploy to the next, and holds what nobody else may read.
		".s/*",
	}
	nodejs, php := strings.HasPrefix(runtime, "nodejs"), strings.HasPrefix(runtime, "php")
	if php || strings.HasPrefix(runtime, "python") {
		rules = append(rules, "node_modules")
	}
	if !nodejs && !php {
		rules = append(rules, "!.s/python") // packages that a build put there
	}
	return rules
}
