// Package client asks Alibaba Cloud Container Registry (ACR) for temporary passwords of
// its registries. It signs with the library of the Alibaba Cloud SDKs and sends on its
// own: the SDKs know no context, follow redirects, and show signed addresses in their
// errors.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	openapiutil "github.com/alibabacloud-go/openapi-util/service"
	util "github.com/alibabacloud-go/tea-utils/v2/service"
	"github.com/alibabacloud-go/tea/tea"

	"github.com/devs/deploy/pkg/credential"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/internal/rpc"
	"github.com/devs/deploy/pkg/registry/acr"
	"github.com/devs/deploy/pkg/secret"
)

const (
	timeout   = 15 * time.Second
	maxAnswer = 1 << 20 // bytes
	validity  = 30 * time.Minute
)

// Config is how the API is reached.
type Config struct {
	// HTTP sends the requests; nil means http.DefaultTransport. Redirects are
	// never followed.
	HTTP http.RoundTripper
	// Endpoint is a host or an address to ask instead of cr.{region}.aliyuncs.com.
	Endpoint string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Client makes temporary passwords.
type Client struct{ cfg Config }

// New returns a client.
func New(cfg Config) *Client {
	if cfg.HTTP == nil {
		cfg.HTTP = http.DefaultTransport
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Client{cfg}
}

// Password asks for a temporary password of a registry: GetAuthorizationToken of
// 2016-06-07 for the personal edition, of 2018-12-01 for the enterprise edition, whose
// instance (cri-...) must be named. No error holds a part of the credential.
func (c *Client) Password(ctx context.Context, cred credential.Credential, r acr.Registry, instanceID string) (*acr.Password, error) {
	if cred.AccessKeyID.IsZero() || cred.AccessKeySecret.IsZero() {
		return nil, diag.Errorf("the credential has no access key for the registry %s", r.Host()).
			WithHint("give AccessKeyID and AccessKeySecret, or a user name and a password of the registry").WithCode(diag.ExitComponent)
	}
	if r.Edition == acr.Enterprise && instanceID == "" {
		return nil, diag.Errorf("the enterprise registry %s needs the id of its instance", r.Host()).
			WithHint("write customContainerConfig.instanceID: cri-..., or give a user name and a password of the registry").WithCode(diag.ExitComponent)
	}
	var failures []error
	for _, endpoint := range c.endpoints(r) {
		p, err := c.ask(ctx, endpoint, cred, r, instanceID)
		if err == nil {
			return p, nil
		}
		failures = append(failures, err)
		var network *net.OpError
		if ctx.Err() != nil || !errors.As(err, &network) {
			break // it was reached: another address answers the same
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, explain(r, cred, errors.Join(failures...))
}

// endpoints returns where to ask, in order. A runner that pushes over a VPC may not
// reach the internet.
func (c *Client) endpoints(r acr.Registry) []string {
	public := "cr." + r.Region + ".aliyuncs.com"
	switch {
	case c.cfg.Endpoint != "":
		return []string{c.cfg.Endpoint}
	case r.Network == acr.Internet:
		return []string{public}
	}
	return []string{public, "cr-vpc." + r.Region + ".aliyuncs.com"}
}

// apiError is what the API says of a call that failed.
type apiError struct {
	host, code, message string
	status              int
}

// Error implements error.
func (e *apiError) Error() string {
	if e.code == "" {
		return fmt.Sprintf("%s answered with HTTP %d %s", e.host, e.status, http.StatusText(e.status))
	}
	return fmt.Sprintf("%s: %s (HTTP %d)", e.code, e.message, e.status)
}

// explain makes of a failure what the user can act on, without any key in it.
func explain(r acr.Registry, cred credential.Credential, err error) error {
	redactor := new(secret.Redactor)
	redactor.Add(cred.AccessKeyID.Reveal(), cred.AccessKeySecret.Reveal(), cred.SecurityToken.Reveal())
	words := strings.Join(strings.Fields(redactor.Redact(err.Error())), " ")
	p := diag.Errorf("ACR gives no temporary password for %s: %s", r.Host(), words).WithCode(diag.ExitComponent)
	var api *apiError
	switch {
	case !errors.As(err, &api):
		return p.WithHint("check that this machine reaches the endpoint, or give a user name and a password of the registry")
	case api.status == http.StatusForbidden || strings.Contains(strings.ToLower(api.code), "permission"):
		return p.WithHint("give the key the right cr:GetAuthorizationToken (policy AliyunContainerRegistryReadOnlyAccess has it; pushing needs AliyunContainerRegistryFullAccess)")
	}
	return p.WithHint("check the key, that ACR is activated in region %s%s, or give a user name and a password of the registry", r.Region, instanceHint(r))
}

func instanceHint(r acr.Registry) string {
	if r.Edition == acr.Enterprise {
		return " and the id of the instance"
	}
	return ""
}

// ask makes the call once.
func (c *Client) ask(ctx context.Context, endpoint string, cred credential.Credential, r acr.Registry, instanceID string) (*acr.Password, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	base, err := address(endpoint)
	if err != nil {
		return nil, err
	}
	var req *http.Request
	if r.Edition == acr.Enterprise {
		req, err = c.rpc(ctx, base, cred, r.Region, instanceID)
	} else {
		req, err = c.roa(ctx, base, cred)
	}
	if err != nil {
		return nil, errors.New("the request cannot be made")
	}
	client := &http.Client{Transport: c.cfg.HTTP, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if e, ok := errors.AsType[*url.Error](err); ok { // it shows the address
		return nil, fmt.Errorf("%s: %w", base.Host, e.Err)
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%s: reading the answer (HTTP %d): %w", base.Host, resp.StatusCode, err)
	}
	return c.answer(base.Host, resp.StatusCode, data)
}

// address returns the URL of an endpoint; what is wrong with it is not shown.
func address(endpoint string) (*url.URL, error) {
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("its endpoint is not an address; write it as https://host")
	}
	u.Path = "/"
	return u, nil
}

// rpc returns the call of the enterprise edition: RPC style, version 2018-12-01.
func (c *Client) rpc(ctx context.Context, base *url.URL, cred credential.Credential, region, instanceID string) (*http.Request, error) {
	values := rpc.Signed(cred, "GetAuthorizationToken", "2018-12-01", c.cfg.Now(), map[string]string{"RegionId": region, "InstanceId": instanceID})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base.String(), strings.NewReader(values.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	return req, nil
}

// roa returns the call of the personal edition: ROA style, version 2016-06-07.
func (c *Client) roa(ctx context.Context, base *url.URL, cred credential.Credential) (*http.Request, error) {
	headers := map[string]*string{
		"accept":                  tea.String("application/json"),
		"date":                    tea.String(c.cfg.Now().UTC().Format(http.TimeFormat)),
		"x-acs-action":            tea.String("GetAuthorizationToken"),
		"x-acs-version":           tea.String("2016-06-07"),
		"x-acs-signature-nonce":   util.GetNonce(),
		"x-acs-signature-method":  tea.String("HMAC-SHA1"),
		"x-acs-signature-version": tea.String("1.0"),
	}
	if !cred.SecurityToken.IsZero() {
		headers["x-acs-accesskey-id"] = tea.String(cred.AccessKeyID.Reveal())
		headers["x-acs-security-token"] = tea.String(cred.SecurityToken.Reveal())
	}
	signed := openapiutil.GetStringToSign(&tea.Request{Method: tea.String(http.MethodGet), Pathname: tea.String("/tokens"), Headers: headers})
	signature := openapiutil.GetROASignature(signed, tea.String(cred.AccessKeySecret.Reveal()))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base.JoinPath("tokens").String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	for name, v := range headers {
		req.Header.Set(name, tea.StringValue(v))
	}
	req.Header.Set("Authorization", "acs "+cred.AccessKeyID.Reveal()+":"+tea.StringValue(signature))
	return req, nil
}

// answer reads the answer of either edition.
func (c *Client) answer(host string, status int, data []byte) (*acr.Password, error) {
	var body struct {
		Code, Message string // of a failure

		Data struct { // personal edition
			AuthorizationToken string `json:"authorizationToken"`
			TempUserName       string `json:"tempUserName"`
			ExpireDate         int64  `json:"expireDate"` // milliseconds
		} `json:"data"`

		AuthorizationToken string // enterprise edition
		TempUsername       string
		ExpireTime         int64 // milliseconds
		IsSuccess          *bool
	}
	err := json.Unmarshal(data, &body)
	if status != http.StatusOK || err == nil && body.IsSuccess != nil && !*body.IsSuccess {
		return nil, &apiError{host: host, code: body.Code, message: body.Message, status: status}
	}
	user, password, expires := body.TempUsername, body.AuthorizationToken, body.ExpireTime
	if password == "" {
		user, password, expires = body.Data.TempUserName, body.Data.AuthorizationToken, body.Data.ExpireDate
	}
	if err != nil || user == "" || password == "" {
		return nil, fmt.Errorf("the answer of %s holds no password", host)
	}
	p := &acr.Password{Username: user, Password: secret.New(password), Expires: time.UnixMilli(expires)}
	if expires <= 0 {
		p.Expires = c.cfg.Now().Add(validity)
	}
	return p, nil
}
