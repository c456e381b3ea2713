// Package client asks Alibaba Cloud whose a credential is. It is the only importer
// of the STS SDK.
package client

import (
	"context"
	"fmt"
	"strings"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	sts "github.com/alibabacloud-go/sts-20150401/v2/client"
	util "github.com/alibabacloud-go/tea-utils/v2/service"
	"github.com/alibabacloud-go/tea/tea"

	"github.com/devs/deploy/pkg/credential"
)

// Endpoint is where GetCallerIdentity (STS 2015-04-01) is asked.
const Endpoint = "sts.cn-hangzhou.aliyuncs.com"

// timeoutMillis bounds connecting and reading, each.
const timeoutMillis = 5000

// AccountLookup returns a function that asks STS for the account of a credential.
// endpoint is a host or an http:// address, "" for Endpoint.
func AccountLookup(endpoint string) credential.AccountLookup {
	return func(ctx context.Context, c credential.Credential) (string, error) {
		cfg := &openapi.Config{
			AccessKeyId:     tea.String(c.AccessKeyID.Reveal()),
			AccessKeySecret: tea.String(c.AccessKeySecret.Reveal()),
			Endpoint:        tea.String(Endpoint),
		}
		if !c.SecurityToken.IsZero() {
			cfg.SecurityToken = tea.String(c.SecurityToken.Reveal())
		}
		if host, plain := strings.CutPrefix(endpoint, "http://"); plain {
			cfg.Endpoint, cfg.Protocol = tea.String(strings.TrimSuffix(host, "/")), tea.String("HTTP")
		} else if endpoint != "" {
			cfg.Endpoint = tea.String(strings.TrimPrefix(endpoint, "https://"))
		}
		client, err := sts.NewClient(cfg)
		if err != nil {
			return "", fmt.Errorf("preparing the request to STS: %w", err)
		}
		type answer struct {
			id  string
			err error
		}
		// The SDK takes no context: its timeouts end the call that is left behind.
		done := make(chan answer, 1)
		go func() {
			r, err := client.GetCallerIdentityWithOptions(&util.RuntimeOptions{
				ConnectTimeout: tea.Int(timeoutMillis), ReadTimeout: tea.Int(timeoutMillis), Autoretry: tea.Bool(false),
			})
			if err != nil {
				done <- answer{err: fmt.Errorf("asking STS whose the credential is: %w", err)}
				return
			}
			done <- answer{id: tea.StringValue(r.Body.AccountId)}
		}()
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case a := <-done:
			return a.id, a.err
		}
	}
}
