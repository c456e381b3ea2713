package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	fcopen "github.com/alibabacloud-go/fc-open-20210406/v2/client"
)

// GetServiceAt reads a service at the qualifier, "" for LATEST.
func (c *Client) GetServiceAt(ctx context.Context, service, qualifier string) (*Object, error) {
	return c.do(ctx, request{action: "GetService", method: http.MethodGet, path: servicePath(service), query: atQualifier(qualifier)})
}

// GetFunctionCode asks where the code package of a function at the qualifier, "" for
// LATEST, can be downloaded. The link is as good as a key for about ten minutes: it is
// not to be shown.
func (c *Client) GetFunctionCode(ctx context.Context, service, function, qualifier string) (link, checksum string, err error) {
	o, err := c.do(ctx, request{action: "GetFunctionCode", method: http.MethodGet, path: functionPath(service, function, "code"),
		query: atQualifier(qualifier)})
	if err != nil {
		return "", "", err
	}
	link, _ = o.Attrs["url"].(string)
	checksum, _ = o.Attrs["checksum"].(string)
	return link, checksum, nil
}

// Download writes what is behind a link of GetFunctionCode to w, at most limit bytes. It
// is tried once. Its errors do not show the link.
func (c *Client) Download(ctx context.Context, link string, limit int64, w io.Writer) (int64, error) {
	at, err := url.Parse(link)
	if err != nil || at.Host == "" || at.Scheme != "https" && at.Scheme != c.base.Scheme {
		return 0, errors.New("downloading the code: what the API names is no link")
	}
	ctx, cancel := context.WithTimeout(ctx, c.write)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, link, nil)
	if err != nil {
		return 0, errors.New("downloading the code: what the API names is no link")
	}
	resp, err := c.api.Do(req)
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if err != nil {
		return 0, fmt.Errorf("downloading the code from %s: %w", at.Host, err)
	}
	defer resp.Body.Close()
	c.trace(fmt.Sprintf("DownloadCode GET %s: HTTP %d", at.Host, resp.StatusCode))
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("downloading the code from %s: HTTP %d", at.Host, resp.StatusCode)
	}
	n, err := io.Copy(w, io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return n, fmt.Errorf("downloading the code from %s: %w", at.Host, err)
	case n > limit:
		return n, fmt.Errorf("downloading the code from %s: it has more than %d bytes", at.Host, limit)
	}
	return n, nil
}

// PublishVersion publishes a version of a service. It is sent once: whether it arrived, when
// there is no answer, ListVersions tells.
func (c *Client) PublishVersion(ctx context.Context, service, description string) (*Object, error) {
	return c.do(ctx, request{action: "PublishServiceVersion", method: http.MethodPost, path: servicePath(service, "versions"),
		body: map[string]any{"description": description}, shape: new(fcopen.PublishServiceVersionRequest)})
}

// IsUnchanged reports whether err says that nothing changed since the last version.
func IsUnchanged(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == "VersionPublishError" && strings.Contains(e.Message, "No changes")
}

// CreateAlias creates the alias that body names.
func (c *Client) CreateAlias(ctx context.Context, service string, body map[string]any) (*Object, error) {
	return c.do(ctx, request{action: "CreateAlias", method: http.MethodPost, path: servicePath(service, "aliases"),
		body: body, shape: new(fcopen.CreateAliasRequest)})
}

// UpdateAlias changes the fields in body. Weights that are left out are cleared.
func (c *Client) UpdateAlias(ctx context.Context, service, alias, etag string, body map[string]any) (*Object, error) {
	return c.do(ctx, request{action: "UpdateAlias", method: http.MethodPut, path: servicePath(service, "aliases", alias),
		header: ifMatch(etag), body: body, shape: new(fcopen.UpdateAliasRequest)})
}
