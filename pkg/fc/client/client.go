package client

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	fcopen "github.com/alibabacloud-go/fc-open-20210406/v2/client"
	"github.com/alibabacloud-go/tea/tea"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/internal/wait"
	"github.com/devs/deploy/pkg/secret"
)

// Config is what a Client is made of.
type Config struct {
	// Endpoint is a host, or a URL without a path: "http://127.0.0.1:9000". Without
	// a scheme it is reached over https. "" means the public endpoint of AccountID
	// and Region.
	Endpoint  string
	AccountID string
	Region    string

	AccessKeyID     secret.String
	AccessKeySecret secret.String
	SecurityToken   secret.String // of temporary keys; may be empty

	UserAgent    string
	ReadTimeout  time.Duration // of one reading call; 0 means 60 s
	WriteTimeout time.Duration // of one changing call at most, with its upload; 0 means 600 s
	// Grace is how long a changing call is waited for after the context has ended; 0
	// means 7 s. Its outcome is unsure then.
	Grace time.Duration
	Retry Retry
	// Limiter is that of the endpoint, account and region; nil makes one of the
	// client's own.
	Limiter *Limiter

	// Transport carries the calls; nil makes one of the client's own. A client
	// follows no redirect.
	Transport http.RoundTripper

	// Trace is told of every attempt, one line without a secret; nil for nobody.
	// It must be safe for concurrent use.
	Trace func(line string)
}

// Retry says how often and how fast a call is repeated that may be repeated.
type Retry struct {
	// Attempts is how often a call is made in all, 0 means 4; twice as often while the
	// service says that it is unavailable.
	Attempts int
	// Throttled is how often a call may be turned away because there are too many, 0
	// means 30: with the pauses below about four minutes.
	Throttled int
	Base      time.Duration // before the second attempt, doubled for each further one; 0 means 500 ms
	Max       time.Duration // 0 means 8 s

	Now    func() time.Time                                 // nil reads the clock
	Sleep  func(ctx context.Context, d time.Duration) error // nil sleeps on the clock
	Jitter func() float64                                   // in [0,1); nil draws at random
}

// Client calls the API of one account in one region. It is safe for concurrent use.
type Client struct {
	sdk      *fcopen.Client // signs requests to HTTP triggers
	config   Config
	base     *url.URL
	redactor *secret.Redactor
	retry    Retry
	limiter  *Limiter
	trace    func(line string)
	read     time.Duration
	write    time.Duration
	grace    time.Duration
	api      *http.Client // of the API
	http     *http.Client // of HTTP triggers
}

// New returns a client. It makes no call.
func New(cfg Config) (*Client, error) {
	base, err := parseEndpoint(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.AccessKeyID.IsZero() || cfg.AccessKeySecret.IsZero() {
		return nil, diag.Errorf("the credential has no access key").WithCode(diag.ExitComponent).
			WithHint("give AccessKeyID and AccessKeySecret, or name an alias that has them with --access")
	}
	redactor := new(secret.Redactor)
	redactor.Add(cfg.AccessKeySecret.Reveal(), cfg.SecurityToken.Reveal())
	sdk, err := fcopen.NewClient(sdkConfig(cfg, base))
	if err != nil {
		return nil, fmt.Errorf("setting up the Function Compute client: %s", redactor.Redact(err.Error()))
	}
	transport := cfg.Transport
	if transport == nil {
		transport = NewTransport()
	}
	trace := cfg.Trace
	if trace == nil {
		trace = func(string) {}
	}
	limiter := cfg.Limiter
	if limiter == nil {
		limiter = NewLimiter(0, cfg.Retry)
	}
	return &Client{
		sdk:      sdk,
		config:   cfg,
		trace:    trace,
		base:     base,
		redactor: redactor,
		retry:    cfg.Retry.withDefaults(),
		limiter:  limiter,
		read:     orDefault(cfg.ReadTimeout, time.Minute),
		write:    orDefault(cfg.WriteTimeout, 10*time.Minute),
		grace:    orDefault(cfg.Grace, 7*time.Second),
		api:      &http.Client{CheckRedirect: noRedirect, Transport: transport},
		http:     &http.Client{CheckRedirect: noRedirect},
	}, nil
}

// Endpoint returns the base URL of the API, without a path.
func (c *Client) Endpoint() string { return c.base.String() }

func sdkConfig(cfg Config, base *url.URL) *openapi.Config {
	conf := &openapi.Config{
		AccessKeyId:     tea.String(cfg.AccessKeyID.Reveal()),
		AccessKeySecret: tea.String(cfg.AccessKeySecret.Reveal()),
		Endpoint:        tea.String(base.Host),
		Protocol:        tea.String(strings.ToUpper(base.Scheme)),
		RegionId:        tea.String(cfg.Region),
	}
	if !cfg.SecurityToken.IsZero() {
		conf.SecurityToken = tea.String(cfg.SecurityToken.Reveal())
	}
	return conf
}

// parseEndpoint returns the base URL of the API.
func parseEndpoint(cfg Config) (*url.URL, error) {
	text := strings.TrimRight(strings.TrimSpace(cfg.Endpoint), "/")
	if text == "" {
		if cfg.AccountID == "" {
			return nil, diag.Errorf("the credential has no AccountID").WithCode(diag.ExitComponent).
				WithHint("add the id of your Alibaba Cloud account to the credential as AccountID; it is part of the address of the service")
		}
		if cfg.Region == "" {
			return nil, diag.Errorf("no region is given").WithCode(diag.ExitComponent).
				WithHint("set region in the props, or give --region")
		}
		text = cfg.AccountID + "." + cfg.Region + ".fc.aliyuncs.com"
	}
	if strings.Contains(text, "@") { // not shown: it may hold a password
		return nil, diag.Errorf("the endpoint holds a user name or a password").WithCode(diag.ExitComponent).
			WithHint("write it as https://host or http://host:port; calls are signed with the access key")
	}
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.Path != "" || u.RawQuery != "" ||
		(u.Scheme != "http" && u.Scheme != "https") {
		return nil, diag.Errorf("the endpoint %q is not an address", text).WithCode(diag.ExitComponent).
			WithHint("write it as https://host or http://host:port")
	}
	return u, nil
}

func (r Retry) withDefaults() Retry {
	if r.Attempts <= 0 {
		r.Attempts = 4
	}
	if r.Throttled <= 0 {
		r.Throttled = 30
	}
	if r.Now == nil {
		r.Now = time.Now
	}
	r.Base = orDefault(r.Base, 500*time.Millisecond)
	r.Max = orDefault(r.Max, 8*time.Second)
	if r.Sleep == nil {
		r.Sleep = wait.For
	}
	if r.Jitter == nil {
		r.Jitter = rand.Float64
	}
	return r
}

// pause returns how long to wait after the attempt of that number, from half of
// the exponential step to all of it.
func (r Retry) pause(attempt int) time.Duration {
	step := r.Base << min(attempt-1, 20)
	if step <= 0 || step > r.Max {
		step = r.Max
	}
	return step/2 + time.Duration(r.Jitter()*float64(step/2))
}

// Pause waits before the next try, longer each time.
func (c *Client) Pause(ctx context.Context, try int) error {
	return c.retry.Sleep(ctx, c.retry.pause(try))
}

func orDefault(d, fallback time.Duration) time.Duration {
	if d <= 0 {
		return fallback
	}
	return d
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
