package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	sts "github.com/alibabacloud-go/sts-20150401/v2/client"
	"github.com/alibabacloud-go/tea/tea"

	"github.com/devs/deploy/pkg/credential"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/secret"
)

// Role is a RAM role that a job assumes with its OIDC token.
type Role struct {
	Endpoint string // of STS: a host or an address, "" for Endpoint
	ARN      string // acs:ram::ACCOUNT:role/NAME
	Provider string // ARN of the OIDC provider; "" for github-actions in the account of the role
	Account  string // the only account that will do, "" for that of the role
	Session  string // who acts, for the audit log
	Duration time.Duration
	// Token makes a new OIDC token. Each try has one of its own: STS takes none twice.
	Token func(ctx context.Context) (string, error)
	// Pause waits between tries.
	Pause func(ctx context.Context, d time.Duration) error
}

const assumeTries = 3

// AssumeRoleWithOIDC returns the temporary keys of the role. STS takes this call without a
// signature (AssumeRoleWithOIDC, STS 2015-04-01).
func AssumeRoleWithOIDC(ctx context.Context, r Role) (*credential.Credential, error) {
	account, err := r.account()
	if err != nil {
		return nil, err
	}
	if r.Provider == "" {
		r.Provider = "acs:ram::" + account + ":oidc-provider/github-actions"
	}
	for try := 1; ; try++ {
		c, again, err := r.assume(ctx, account)
		if err == nil || !again || try == assumeTries || ctx.Err() != nil {
			return c, err
		}
		if err := r.Pause(ctx, time.Duration(try)*time.Second); err != nil {
			return nil, err
		}
	}
}

// account returns the account of the role, which must be the one that is wanted.
func (r Role) account() (string, error) {
	parts := strings.SplitN(r.ARN, ":", 5)
	if len(parts) != 5 || parts[0] != "acs" || parts[1] != "ram" || parts[3] == "" || !strings.HasPrefix(parts[4], "role/") {
		return "", diag.Errorf("role-to-assume is %q", r.ARN).WithHint("write the ARN of a RAM role: acs:ram::ACCOUNT:role/NAME")
	}
	if r.Account != "" && r.Account != parts[3] {
		return "", diag.Errorf("role-to-assume is of the account %s, and account-id is %s", parts[3], r.Account).WithHint("correct the one that is wrong")
	}
	return parts[3], nil
}

// assume asks once; again tells whether another try may help.
func (r Role) assume(ctx context.Context, account string) (c *credential.Credential, again bool, err error) {
	token, err := r.Token(ctx)
	if err != nil {
		return nil, false, diag.Errorf("asking for the OIDC token of the job: %v", err).WithHint("add permissions: id-token: write to the job")
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	status, host, data, err := r.post(ctx, token)
	if err != nil {
		return nil, true, fmt.Errorf("assuming %s: %w", r.ARN, err)
	}
	if status != http.StatusOK {
		p := diag.Errorf("assuming %s: %s", r.ARN, redactToken(failureText(host, status, data), token)).
			WithHint("check the trust policy of the role: its OIDC provider, the audience, and the subject of this repository")
		return nil, status >= 500 || status == http.StatusTooManyRequests, p
	}
	c, err = r.credential(account, data)
	return c, false, err
}

func (r Role) post(ctx context.Context, token string) (status int, host string, data []byte, err error) {
	base, err := address(r.Endpoint)
	if err != nil {
		return 0, "", nil, err
	}
	form := url.Values{
		"Action": {"AssumeRoleWithOIDC"}, "Version": {"2015-04-01"}, "Format": {"JSON"},
		"Timestamp": {time.Now().UTC().Format(time.RFC3339)},
		"RoleArn":   {r.ARN}, "OIDCProviderArn": {r.Provider}, "OIDCToken": {token}, "RoleSessionName": {r.Session},
		"DurationSeconds": {strconv.Itoa(int(r.Duration.Seconds()))},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return 0, base.Host, nil, errors.New("the request cannot be made")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	status, data, err = send(req)
	return status, base.Host, data, err
}

// credential reads the answer. The keys must be of the account that is wanted.
func (r Role) credential(account string, data []byte) (*credential.Credential, error) {
	var body sts.AssumeRoleWithOIDCResponseBody
	if err := json.Unmarshal(data, &body); err != nil || body.Credentials == nil || tea.StringValue(body.Credentials.AccessKeyId) == "" {
		return nil, fmt.Errorf("assuming %s: the answer of STS has no keys", r.ARN)
	}
	if u := body.AssumedRoleUser; u != nil {
		if parts := strings.SplitN(tea.StringValue(u.Arn), ":", 5); len(parts) == 5 && parts[3] != account {
			return nil, diag.Errorf("assuming %s: the keys that STS gave are of another account, %s", r.ARN, parts[3]).
				WithHint("check where the requests to STS go")
		}
	}
	k := body.Credentials
	return &credential.Credential{
		Alias: "default", Provider: "alibaba", Source: "the role " + r.ARN, AccountID: account,
		AccessKeyID: secret.New(tea.StringValue(k.AccessKeyId)), AccessKeySecret: secret.New(tea.StringValue(k.AccessKeySecret)),
		SecurityToken: secret.New(tea.StringValue(k.SecurityToken)),
	}, nil
}

// failureText says what STS answered.
func failureText(host string, status int, data []byte) string {
	_, err := account(host, status, data)
	return err.Error()
}

func redactToken(text, token string) string {
	redactor := new(secret.Redactor)
	redactor.Add(token)
	return redactor.Redact(text)
}
