package runner

import (
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// codeRoot is where the cloud mounts the code. It does not exist here: it is
// replaced in the path lists of the environment and in a custom runtime's
// command, and nowhere else.
const codeRoot = "/code"

// pathLists are the variables in which codeRoot is replaced.
var pathLists = []string{"PATH", "PYTHONPATH", "PYTHONUSERBASE", "NODE_PATH", "LD_LIBRARY_PATH"}

// environment returns the environment of an instance: the base, then the
// function's own variables, then those of the platform.
func environment(base []string, inst *instance) []string {
	fn := inst.fn
	env := map[string]string{}
	for _, kv := range base {
		if k, v, ok := strings.Cut(kv, "="); ok {
			env[k] = v
		}
	}
	basePath := env["PATH"]
	env["HOME"] = filepath.Join(inst.dir, "home")
	env["TMPDIR"] = filepath.Join(inst.dir, "tmp")
	env["PYTHONDONTWRITEBYTECODE"] = "1" // the code folder is never written
	env["PYTHONUNBUFFERED"] = "1"
	env["PYTHONIOENCODING"] = "utf-8"
	if inst.kind == custom {
		env["PORT"] = strconv.Itoa(inst.port)
	}
	for k, v := range fn.Env {
		if slices.Contains(pathLists, k) {
			v = localPaths(v, fn.CodeDir)
		}
		env[k] = v
	}
	if own, ok := fn.Env["PATH"]; ok && basePath != "" { // interpreters are elsewhere than in the cloud
		env["PATH"] = localPaths(own, fn.CodeDir) + ":" + basePath
	}
	maps.Copy(env, platform(inst))
	list := make([]string, 0, len(env))
	for _, k := range slices.Sorted(maps.Keys(env)) {
		list = append(list, k+"="+env[k])
	}
	return list
}

// platform returns the variables that the cloud sets for every function.
func platform(inst *instance) map[string]string {
	fn := inst.fn
	env := map[string]string{
		"FC_ACCOUNT_ID":           fn.AccountID,
		"FC_REGION":               fn.Region,
		"FC_SERVICE_NAME":         fn.ServiceName,
		"FC_SERVICE_LOG_PROJECT":  fn.LogProject,
		"FC_SERVICE_LOG_STORE":    fn.LogStore,
		"FC_FUNCTION_NAME":        fn.FuncName,
		"FC_FUNCTION_HANDLER":     fn.Handler,
		"FC_FUNCTION_INITIALIZER": fn.Init,
		"FC_FUNCTION_MEMORY_SIZE": strconv.Itoa(fn.MemoryMB),
		"FC_FUNCTION_TIMEOUT":     strconv.Itoa(seconds(fn.Timeout)),
		"FC_FUNC_CODE_PATH":       fn.CodeDir,
		"FC_INSTANCE_ID":          inst.id,
		"FC_QUALIFIER":            fn.Qualifier,
		"FC_VERSION_ID":           fn.VersionID,
		"FC_RUNTIME":              fn.Runtime,
	}
	if inst.kind.server() {
		env["FC_SERVER_PORT"] = strconv.Itoa(inst.port)
		env["FC_CUSTOM_LISTEN_PORT"] = strconv.Itoa(inst.port)
	}
	return env
}

// localPaths replaces codeRoot in a list of paths.
func localPaths(list, codeDir string) string {
	parts := strings.Split(list, ":")
	for i, part := range parts {
		parts[i] = localPath(part, codeDir)
	}
	return strings.Join(parts, ":")
}

func localPath(path, codeDir string) string {
	if rest, ok := strings.CutPrefix(path, codeRoot); ok && (rest == "" || rest[0] == '/') {
		return filepath.Join(codeDir, rest)
	}
	return path
}
