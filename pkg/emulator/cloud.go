package emulator

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/devs/deploy/pkg/emulator/images"
	"github.com/devs/deploy/pkg/registry"
	"github.com/devs/deploy/pkg/runner"
)

// The key that the embedded cloud accepts unless Config.Keys says otherwise. It
// guards nothing: the cloud listens on loopback only.
const (
	DefaultAccessKeyID     = "embedded"
	DefaultAccessKeySecret = "embedded-cloud-secret"
	DefaultAccountID       = "1000000000000000"
	DefaultRegion          = "cn-hangzhou"
)

// Config is what a Cloud is made of.
type Config struct {
	Dir       string            // state folder; created with mode 0700
	AccountID string            // in ARNs; DefaultAccountID when empty
	Region    string            // of requests that name none, and of state at the top of Dir; DefaultRegion when empty
	Keys      map[string]string // accepted access key id -> secret
	Runner    runner.Invoker    // runs the functions; closed by Close
	Now       func() time.Time  // time.Now when nil
	Log       func(Event)       // one call per request; may be nil; must be safe for concurrent use
}

// Event describes one answered request.
type Event struct {
	Method    string
	Path      string
	Operation string // as in the API, "" when the request met none
	RequestID string
	Status    int
	ErrorCode string // "" on success
	Duration  time.Duration
}

// Cloud is the embedded cloud. It is safe for concurrent use.
type Cloud struct {
	accountID string
	home      string // Config.Region
	dir       string
	keys      map[string]string
	runner    runner.Invoker
	now       func() time.Time
	log       func(Event)
	rand      func() float64 // draws versions by weight
	retryWait time.Duration  // before the first retry of an asynchronous invocation
	maxCode   int            // largest code package, in bytes
	routes    *routeNode
	images    *images.Registry
	// registries reads images of other registries of this machine.
	registries *registry.Client
	identity   []byte // secret of the state folder: health proofs and download links

	background context.Context // of asynchronous invocations
	stop       context.CancelFunc
	tasks      sync.WaitGroup
	closing    sync.Mutex // guards closed, and that nothing begins after it is set
	closed     bool

	opening sync.Mutex // guards regions
	regions map[string]*region
}

// Open loads the state of cfg.Dir, which is created when it is missing. It takes
// no lock on the folder; Start does.
func Open(cfg Config) (*Cloud, error) {
	if cfg.Dir == "" {
		return nil, errors.New("opening the embedded cloud: no state folder was given")
	}
	if cfg.Runner == nil {
		return nil, errors.New("opening the embedded cloud: no runner was given")
	}
	identity, err := openIdentity(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("opening the embedded cloud: %w", err)
	}
	c := &Cloud{
		accountID:  orDefault(cfg.AccountID, DefaultAccountID),
		home:       orDefault(cfg.Region, DefaultRegion),
		dir:        cfg.Dir,
		keys:       cfg.Keys,
		runner:     cfg.Runner,
		now:        cfg.Now,
		log:        cfg.Log,
		rand:       rand.Float64,
		retryWait:  time.Second,
		maxCode:    maxCode,
		routes:     buildRoutes(operations()),
		identity:   identity,
		registries: registry.New(registry.Config{}),
		regions:    map[string]*region{},
	}
	if c.keys == nil {
		c.keys = map[string]string{DefaultAccessKeyID: DefaultAccessKeySecret}
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.images, err = images.Open(images.Config{Dir: filepath.Join(cfg.Dir, dirImages), Now: c.now}); err != nil {
		return nil, fmt.Errorf("opening the embedded cloud: %w", err)
	}
	if err := c.openRegions(cfg.Dir); err != nil {
		return nil, fmt.Errorf("opening the embedded cloud: %w", err)
	}
	c.background, c.stop = context.WithCancel(context.Background())
	return c, nil
}

// begin counts a request or background task in; it reports false once the cloud
// is closing. The caller calls c.tasks.Done at the end.
func (c *Cloud) begin() bool {
	c.closing.Lock()
	defer c.closing.Unlock()
	if !c.closed {
		c.tasks.Add(1)
	}
	return !c.closed
}

// Close ends requests, asynchronous invocations and all instances, and waits for
// them. What was acknowledged is on disk before and after.
func (c *Cloud) Close() error {
	c.closing.Lock()
	if c.closed {
		c.closing.Unlock()
		return nil
	}
	c.closed = true
	c.closing.Unlock()
	c.stop()
	c.tasks.Wait()
	for _, r := range c.ordered("") {
		r.store.unpacks.Wait()
	}
	return c.runner.Close()
}

// ServeHTTP answers one request of the API, of an HTTP trigger, of the registry of
// images, or of a custom domain, which path and Host header tell apart.
func (c *Cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(c.background, cancel)()
	q := &call{Request: r.WithContext(ctx), id: newUUID()}
	rec := &statusRecorder{ResponseWriter: w}
	rec.Header().Set("X-Fc-Request-Id", q.id)
	rec.Header().Set("X-Acs-Request-Id", q.id)
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			q.fail(rec, internalError(fmt.Errorf("%v\n%s", p, debug.Stack())))
		}
		if c.log != nil {
			c.log(Event{
				Method: r.Method, Path: r.URL.Path, Operation: q.operation, RequestID: q.id,
				Status: rec.status(), ErrorCode: q.errorCode, Duration: time.Since(start),
			})
		}
	}()
	if !c.begin() {
		q.fail(rec, unavailable())
		return
	}
	defer c.tasks.Done()
	c.serve(rec, q)
}

// serve tells the kinds of requests apart.
func (c *Cloud) serve(w http.ResponseWriter, q *call) {
	if c.serveImages(w, q) {
		return
	}
	badRegion := q.takeRegion()
	if r, d := c.domainFor(q); d != nil {
		r.serveDomain(w, q, d)
		return
	}
	path := q.URL.EscapedPath()
	named, rest := cutRegion(path)
	switch {
	case path == "/healthz":
		c.serveHealth(w, q)
	case hasPrefix(path, codePrefix):
		c.serveCode(w, q, path[len(codePrefix):])
	case named != "":
		q.region = named
		c.serveProxy(w, q, "/"+named+proxyPrefix, rest[len(proxyPrefix):])
	case badRegion != nil:
		q.fail(w, badRegion)
	case hasPrefix(path, proxyPrefix):
		c.serveProxy(w, q, proxyPrefix, path[len(proxyPrefix):])
	default:
		c.serveAPI(w, q)
	}
}

// stamp returns the present as the API writes times.
func (c *Cloud) stamp() string { return c.now().UTC().Format(time.RFC3339) }

func orDefault(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
