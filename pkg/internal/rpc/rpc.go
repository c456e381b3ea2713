// Package rpc signs calls of the cloud's APIs in RPC style (STS, Container Registry).
package rpc

import (
	"net/http"
	"net/url"
	"time"

	openapiutil "github.com/alibabacloud-go/openapi-util/service"
	util "github.com/alibabacloud-go/tea-utils/v2/service"
	"github.com/alibabacloud-go/tea/tea"

	"github.com/devs/deploy/pkg/credential"
)

// Signed returns the parameters of a call that is sent with POST, with those that all
// calls have and the signature of the credential (HMAC-SHA1, signature version 1.0).
func Signed(cred credential.Credential, action, version string, now time.Time, more map[string]string) url.Values {
	params := map[string]*string{
		"Action":           tea.String(action),
		"Version":          tea.String(version),
		"Format":           tea.String("json"),
		"Timestamp":        tea.String(now.UTC().Format("2006-01-02T15:04:05Z")),
		"SignatureNonce":   util.GetNonce(),
		"SignatureMethod":  tea.String("HMAC-SHA1"),
		"SignatureVersion": tea.String("1.0"),
		"AccessKeyId":      tea.String(cred.AccessKeyID.Reveal()),
	}
	for name, value := range more {
		params[name] = tea.String(value)
	}
	if !cred.SecurityToken.IsZero() {
		params["SecurityToken"] = tea.String(cred.SecurityToken.Reveal())
	}
	params["Signature"] = openapiutil.GetRPCSignature(params, tea.String(http.MethodPost), tea.String(cred.AccessKeySecret.Reveal()))
	values := url.Values{}
	for name, v := range params {
		values.Set(name, tea.StringValue(v))
	}
	return values
}
