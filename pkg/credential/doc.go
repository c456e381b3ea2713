// Package credential finds the keys of a cloud account and keeps those that a
// user stores with `devs config`.
//
// A Resolver walks the provider chain for an alias: a JSON environment variable
// named like it, the file access.yaml, the variables AccountID, AccessKeyID and
// AccessKeySecret, the variables ALIBABA_CLOUD_*; the first that has a
// credential wins. A Store reads and writes access.yaml.
//
// The values in access.yaml are written with the cipher of Serverless Devs, so
// that both tools can use one file. Its passphrase is public: the cipher is
// obfuscation, not protection. What protects the file is its mode, 0600 in a
// folder of mode 0700; whoever can read the file has the keys.
//
// The package knows diag and secret, and no other package of the project. The
// environment, the paths, randomness and the account service come in through
// Config and AddOptions. It never prompts and prints nothing; every key that it
// meets is handed to the Redactor of Config.
package credential

import (
	"crypto/rand"
	"io"
	"strings"
	"time"

	"github.com/devs/deploy/pkg/secret"
)

// Config is what a Resolver and a Store need to know of the world.
type Config struct {
	// Env looks up one environment variable, as os.LookupEnv does. Nil means
	// an empty environment.
	Env func(name string) (string, bool)
	// Environ lists the environment as NAME=value, as os.Environ does. Only
	// its names are used; values come from Env.
	Environ []string

	HomeDir string // home folder of the user; "" when it is not known
	TempDir string // folder for temporary files; "" means /tmp
	UID     int    // user id of the process

	CI      bool // a CI runs us: serverless_devs_access_cicd_alias_name counts
	Yunxiao bool // the CI is Alibaba Cloud Yunxiao: the root home is ~/.cache/.s
	// EnvFirst makes the variables AccountID, AccessKeyID and
	// AccessKeySecret win for every alias but ${aliyun-cli}, as they do in
	// Serverless Devs. The variable DEVS_ACCESS_ENV_FIRST=true does the same.
	EnvFirst bool

	Redactor    *secret.Redactor // learns every key that is met; may be nil
	Rand        io.Reader        // salt of the cipher; nil means crypto/rand
	LockTimeout time.Duration    // how long to wait for another writer; 0 means 10 s
}

func (c Config) withDefaults() Config {
	if c.Env == nil {
		c.Env = func(string) (string, bool) { return "", false }
	}
	// Only names are kept, so that no way of printing a Resolver shows a value.
	names := make([]string, len(c.Environ))
	for i, entry := range c.Environ {
		names[i], _, _ = strings.Cut(entry, "=")
	}
	c.Environ = names
	if c.TempDir == "" {
		c.TempDir = "/tmp"
	}
	if c.Redactor == nil {
		c.Redactor = new(secret.Redactor)
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.LockTimeout == 0 {
		c.LockTimeout = 10 * time.Second
	}
	return c
}
