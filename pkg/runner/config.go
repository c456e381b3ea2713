package runner

import (
	"context"
	"crypto/rand"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/devs/deploy/pkg/image/sandbox"
)

// Config is what a Pool takes from outside. The zero value of a field means its
// default; only Dir and Env have none.
type Config struct {
	// Dir is the folder in which the pool makes its own temporary folder for
	// bridge scripts and for each instance's HOME and TMPDIR. "" is os.TempDir().
	Dir string
	// Env is the base environment of every instance as KEY=value, a short list
	// such as PATH and LANG. Nothing else of this process's environment reaches a
	// function.
	Env []string
	// LookPath finds an interpreter; the default is exec.LookPath.
	LookPath func(file string) (string, error)
	// Now is the clock for durations; the default is time.Now.
	Now func() time.Time
	// NewID makes instance ids, unique and unguessable; the default is random.
	NewID func() string

	MaxInstances int           // instances of one key at the same time, default 4; a server has one
	IdleTimeout  time.Duration // after which an unused instance ends, default 5 minutes
	KillGrace    time.Duration // between SIGTERM and SIGKILL, default 2 seconds
	StartTimeout time.Duration // for a process to load its code or to answer on its port, default 120 seconds
	PortWait     time.Duration // for a port that another function's busy instance holds, default 10 seconds

	// Sandbox is how images of custom-container functions are run; its LookPath and
	// TempDir are those of the pool when they are not set.
	Sandbox sandbox.Config

	// Log takes remarks for the user, one line each; may be nil.
	Log func(line string)
	// Output takes what the functions print, as it comes; may be nil. It is called
	// from one goroutine per instance; it must not keep text, and a function that
	// prints waits for it.
	Output func(key, instanceID string, text []byte)
}

func (c Config) withDefaults() Config {
	if c.Dir == "" {
		c.Dir = os.TempDir()
	}
	if c.LookPath == nil {
		c.LookPath = exec.LookPath
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.NewID == nil {
		c.NewID = rand.Text
	}
	if c.Sandbox.LookPath == nil {
		c.Sandbox.LookPath = c.LookPath
	}
	if c.Sandbox.TempDir == "" {
		c.Sandbox.TempDir = c.Dir
	}
	if c.MaxInstances <= 0 {
		c.MaxInstances = 4
	}
	if c.Log == nil {
		c.Log = func(string) {}
	}
	for d, def := range map[*time.Duration]time.Duration{
		&c.IdleTimeout: 5 * time.Minute, &c.KillGrace: 2 * time.Second,
		&c.StartTimeout: 120 * time.Second, &c.PortWait: 10 * time.Second,
	} {
		if *d <= 0 {
			*d = def
		}
	}
	return c
}

// New returns a Pool without instances. It starts nothing until the first call.
func New(cfg Config) *Pool {
	cfg = cfg.withDefaults()
	life, cancel := context.WithCancel(context.Background())
	return &Pool{
		cfg:       cfg,
		changed:   make(chan struct{}),
		instances: map[string][]*instance{},
		found:     map[string]interpreter{},
		noted:     map[string]bool{},
		images:    map[string][]*unpacked{},
		life:      life,
		cancel:    cancel,
		box:       sync.OnceValue(func() *sandbox.Sandbox { return sandbox.Probe(cfg.Sandbox) }),
		watch:     &watchdog{},
		setup:     &sync.Once{},
	}
}
