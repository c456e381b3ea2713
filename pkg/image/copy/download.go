package copy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/layer"
)

// download adds the file at a URL: its mode is 0600, its time that of Last-Modified or
// the epoch. It is unpacked with --unpack only.
func (c *copier) download(ctx context.Context, src string) error {
	if c.fetch == nil {
		return errors.New("fetching a URL: no folder for temporary files was given")
	}
	u, err := url.Parse(src)
	if err != nil {
		return diag.Errorf("%q is no URL: %v", src, err)
	}
	e, err := c.fetch.download(ctx, u, c.op.Checksum)
	if err != nil {
		return err
	}
	if c.unpacks(false) {
		if done, err := c.unpack(ctx, e); done || err != nil {
			return err
		}
	}
	t, err := single(e)
	if err != nil {
		return err
	}
	_, err = c.copy(unit{from: t, path: e.Path, name: urlName(u)})
	return err
}

// urlName is what a file is called by its URL, "" when the URL tells nothing.
func urlName(u *url.URL) string {
	switch name := path.Base(u.Path); name {
	case ".", "/", "..":
		return ""
	default:
		return name
	}
}

// attempts are how often a download is begun.
const attempts = 4

// download fetches a URL into a temporary file. Cut connections and answers of a
// server in trouble are tried again, others are not.
func (f *Fetcher) download(ctx context.Context, u *url.URL, checksum string) (*layer.Entry, error) {
	want, err := parseChecksum(checksum)
	if err != nil {
		return nil, err
	}
	file, err := f.file()
	if err != nil {
		return nil, err
	}
	var e *layer.Entry
	for attempt := range attempts {
		if attempt > 0 {
			if err := f.cfg.Sleep(ctx, time.Second<<(attempt-1)); err != nil {
				return nil, err
			}
		}
		var again bool
		if e, again, err = f.get(ctx, u, file, want); err == nil || !again || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("fetching %s: %w", u.Redacted(), err)
	}
	return e, nil
}

// get asks once; again says whether it makes sense to ask once more.
func (f *Fetcher) get(ctx context.Context, u *url.URL, file *os.File, want string) (e *layer.Entry, again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, false, err
	}
	resp, err := f.cfg.HTTP.Do(req)
	if err != nil {
		return nil, true, withoutURL(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		again := resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests
		return nil, again, diag.Errorf("the server of %s answers %s", u.Redacted(), resp.Status).
			WithHint("check the URL; ADD sends no credentials, so use RUN with a secret for what is protected")
	}
	if err := errors.Join(file.Truncate(0), seekStart(file)); err != nil {
		return nil, false, err
	}
	sum := sha256.New()
	body := &netReader{r: resp.Body}
	n, err := io.Copy(io.MultiWriter(file, sum), io.LimitReader(body, f.cfg.MaxBytes+1))
	switch {
	case err != nil:
		return nil, body.failed, diskFull(err)
	case n > f.cfg.MaxBytes:
		return nil, false, diag.Errorf("the file at %s has more than %d bytes", u.Redacted(), f.cfg.MaxBytes)
	case want != "" && hex.EncodeToString(sum.Sum(nil)) != want:
		return nil, false, diag.Errorf("the file at %s has the checksum sha256:%x, not sha256:%s", u.Redacted(), sum.Sum(nil), want).
			WithHint("check --checksum, and whether the file was meant to change")
	}
	return downloaded(file, n, resp.Header.Get("Last-Modified")), false, nil
}

func seekStart(file *os.File) error {
	_, err := file.Seek(0, io.SeekStart)
	return err
}

func downloaded(file *os.File, size int64, modified string) *layer.Entry {
	at, err := http.ParseTime(modified)
	if err != nil {
		at = time.Unix(0, 0)
	}
	return &layer.Entry{
		Path: "download", Type: layer.File, Mode: 0o600, Size: size, ModTime: at,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(file, 0, size)), nil },
	}
}

// netReader tells errors of the network from those of the disk.
type netReader struct {
	r      io.Reader
	failed bool
}

func (n *netReader) Read(p []byte) (int, error) {
	k, err := n.r.Read(p)
	if err != nil && err != io.EOF {
		n.failed = true
	}
	return k, err
}

// withoutURL drops the URL of an error of net/http, which the caller says without its
// password.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// parseChecksum returns the hex digits of a --checksum for a URL.
func parseChecksum(checksum string) (string, error) {
	if checksum == "" {
		return "", nil
	}
	digits, ok := strings.CutPrefix(checksum, "sha256:")
	if raw, err := hex.DecodeString(digits); !ok || err != nil || len(raw) != sha256.Size {
		return "", diag.Errorf("--checksum=%s is no checksum of a file", checksum).
			WithHint("write sha256: and 64 hexadecimal digits")
	}
	return strings.ToLower(digits), nil
}
