// Package client asks Alibaba Cloud whose a credential is. It is the only importer
// of the STS SDK, whose signature and types it uses. It sends on its own: the SDK
// knows no context, follows redirects, and shows the signed address, with the key
// id and the token in it, in its errors.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	sts "github.com/alibabacloud-go/sts-20150401/v2/client"
	"github.com/alibabacloud-go/tea/tea"

	"github.com/devs/deploy/pkg/credential"
	"github.com/devs/deploy/pkg/internal/rpc"
	"github.com/devs/deploy/pkg/secret"
)

// Endpoint is where GetCallerIdentity (STS 2015-04-01) is asked.
const Endpoint = "sts.cn-hangzhou.aliyuncs.com"

const (
	timeout   = 10 * time.Second
	maxAnswer = 1 << 20 // bytes
)

// AccountLookup returns a function that asks STS for the account of a credential.
// endpoint is a host or an address, "" for Endpoint. No error holds a part of the
// credential.
func AccountLookup(endpoint string) credential.AccountLookup {
	return func(ctx context.Context, c credential.Credential) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		id, err := ask(ctx, endpoint, c)
		if err == nil {
			return id, nil
		}
		if ctx.Err() != nil {
			return "", fmt.Errorf("asking STS whose the credential is: %w", ctx.Err())
		}
		redactor := new(secret.Redactor)
		redactor.Add(c.AccessKeyID.Reveal(), c.AccessKeySecret.Reveal(), c.SecurityToken.Reveal())
		return "", fmt.Errorf("asking STS whose the credential is: %s", redactor.Redact(err.Error()))
	}
}

// ask makes the call once.
func ask(ctx context.Context, endpoint string, c credential.Credential) (string, error) {
	base, err := address(endpoint)
	if err != nil {
		return "", err
	}
	base.RawQuery = rpc.Signed(c, "GetCallerIdentity", "2015-04-01", time.Now(), nil).Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base.String(), http.NoBody)
	if err != nil {
		return "", errors.New("the request cannot be made")
	}
	req.Header.Set("X-Acs-Action", "GetCallerIdentity")
	req.Header.Set("X-Acs-Version", "2015-04-01")
	req.Header.Set("Accept", "application/json")
	status, data, err := send(req)
	if err != nil {
		return "", err
	}
	return account(base.Host, status, data)
}

// send makes a request, follows no redirect, and reads the answer.
func send(req *http.Request) (status int, data []byte, err error) {
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if e, ok := errors.AsType[*url.Error](err); ok { // it shows the address
		return 0, nil, fmt.Errorf("%s: %w", req.URL.Host, e.Err)
	}
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	data, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return 0, nil, fmt.Errorf("%s: reading the answer (HTTP %d): %w", req.URL.Host, resp.StatusCode, err)
	}
	return resp.StatusCode, data, nil
}

// address returns the URL of an endpoint; what is wrong with it is not shown.
func address(endpoint string) (*url.URL, error) {
	if endpoint == "" {
		endpoint = Endpoint
	}
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

// account reads the answer of a host.
func account(host string, status int, data []byte) (string, error) {
	if status != http.StatusOK {
		var failure struct{ Code, Message string }
		if json.Unmarshal(data, &failure) == nil && failure.Code != "" {
			return "", fmt.Errorf("%s: %s (HTTP %d)", failure.Code, failure.Message, status)
		}
		return "", fmt.Errorf("%s answered with HTTP %d %s", host, status, http.StatusText(status))
	}
	var body sts.GetCallerIdentityResponseBody
	if err := json.Unmarshal(data, &body); err != nil || tea.StringValue(body.AccountId) == "" {
		return "", fmt.Errorf("the answer of %s names no account", host)
	}
	return tea.StringValue(body.AccountId), nil
}
