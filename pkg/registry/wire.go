package registry

import (
	"errors"
	"net/http"
)

// wire is the lowest RoundTripper of a Client: it names the program and takes the
// hosts of Config.Rewrite to where they are.
type wire struct{ c *Client }

// RoundTrip sends a copy of in.
func (w *wire) RoundTrip(in *http.Request) (*http.Response, error) {
	out := in.Clone(in.Context())
	out.Header.Set("User-Agent", w.c.cfg.UserAgent)
	if out.Header.Get("Accept-Encoding") == "" {
		out.Header.Set("Accept-Encoding", "identity") // blobs are hashed as they are
	}
	if w.c.cfg.Rewrite != nil {
		if to, ok := w.c.cfg.Rewrite(out.URL.Host); ok {
			out.Host = out.URL.Host
			out.URL.Host = to
			if w.c.plain(to) {
				out.URL.Scheme = "http"
			}
		}
	}
	resp, err := w.c.cfg.HTTP.RoundTrip(out)
	if resp != nil {
		resp.Request = in // redirects and Location are relative to what was asked
	}
	return resp, err
}

var (
	errManyRedirects = errors.New("stopped after 10 redirects")
	errDowngrade     = errors.New("a redirect from https to plain http is refused")
)

// checkRedirect is for redirects to the storage behind a registry. The requests
// that it sees hold no Authorization: session adds it below, for the registry only.
func checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) >= 10:
		return errManyRedirects
	case via[0].URL.Scheme == "https" && req.URL.Scheme != "https":
		return errDowngrade
	}
	req.Header.Del("Referer")
	return nil
}
