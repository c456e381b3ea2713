package emulator

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/renameio/v2"
)

// Names of files in the state folder that other processes look at.
const (
	lockFile    = "lock"
	addressFile = "address"
)

// ErrInUse is what Start returns when another process owns the state folder;
// Locate finds it.
var ErrInUse = errors.New("the state folder is in use by another process")

// Server is a Cloud that listens.
type Server struct {
	URL   string // base URL, without a slash at its end
	Cloud *Cloud

	http     *http.Server
	lock     *flock.Flock
	address  string
	served   chan struct{}
	closing  chan struct{}
	close    sync.Once
	closeErr error
}

// Start opens the state folder for this process alone and serves it on a loopback
// address such as 127.0.0.1:0, until Close or the end of ctx.
func Start(ctx context.Context, cfg Config, listenAddr string) (*Server, error) {
	return StartWith(ctx, cfg, listenAddr, nil)
}

// StartWith is Start with middleware around the Cloud.
func StartWith(ctx context.Context, cfg Config, listenAddr string, wrap func(http.Handler) http.Handler) (*Server, error) {
	if err := checkLoopback(listenAddr); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the state folder: %w", err)
	}
	lock := flock.New(filepath.Join(cfg.Dir, lockFile), flock.SetPermissions(0o600))
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("locking the state folder: %w", err)
	}
	if !locked {
		return nil, fmt.Errorf("locking %s: %w", cfg.Dir, ErrInUse)
	}
	s := &Server{lock: lock, address: filepath.Join(cfg.Dir, addressFile), served: make(chan struct{}), closing: make(chan struct{})}
	if err := s.listen(ctx, cfg, listenAddr, wrap); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	go func() {
		select {
		case <-ctx.Done():
			_ = s.Close()
		case <-s.closing:
		}
	}()
	return s, nil
}

// listen opens the cloud, serves it and tells its address.
func (s *Server) listen(ctx context.Context, cfg Config, addr string, wrap func(http.Handler) http.Handler) error {
	cloud, err := Open(cfg)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return errors.Join(fmt.Errorf("listening on %s: %w", addr, err), cloud.Close())
	}
	s.Cloud = cloud
	s.URL = "http://" + ln.Addr().String()
	var handler http.Handler = cloud
	if wrap != nil {
		handler = wrap(cloud)
	}
	s.http = &http.Server{Handler: handler, ReadHeaderTimeout: 30 * time.Second}
	go func() {
		defer close(s.served)
		_ = s.http.Serve(ln) // always ends with ErrServerClosed
	}()
	if err := renameio.WriteFile(s.address, []byte(s.URL+"\n"), 0o600); err != nil {
		return errors.Join(fmt.Errorf("telling the address: %w", err), s.http.Close(), cloud.Close())
	}
	return nil
}

// checkLoopback refuses addresses that others could reach: the embedded cloud
// runs whatever code it is sent.
func checkLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("listening on %q: %w", addr, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("listening on %q: the embedded cloud listens on loopback addresses only, such as 127.0.0.1", addr)
	}
	return nil
}

// Close withdraws the address, ends requests, invocations and instances, and
// gives the state folder free.
func (s *Server) Close() error {
	s.close.Do(func() {
		close(s.closing)
		removed := os.Remove(s.address)
		if errors.Is(removed, os.ErrNotExist) {
			removed = nil
		}
		closed := s.http.Close()
		<-s.served
		s.closeErr = errors.Join(removed, closed, s.Cloud.Close(), s.lock.Close())
	})
	return s.closeErr
}

// serveHealth answers who is there. With ?challenge=x it proves that this is the
// cloud of its state folder, to who can read the folder.
func (c *Cloud) serveHealth(w http.ResponseWriter, q *call) {
	q.operation = "Health"
	proof := ""
	if challenge := q.URL.Query().Get("challenge"); challenge != "" {
		proof = healthProof(c.identity, challenge)
	}
	q.send(w, &reply{body: struct {
		Status string `json:"status"`
		Proof  string `json:"proof"`
	}{"ok", proof}})
}

func healthProof(identity []byte, challenge string) string {
	return hex.EncodeToString(mac(sha256.New, identity, []byte("health\n"+challenge)))
}

// Locate finds the running cloud of a state folder and makes sure that it answers
// and is that folder's.
func Locate(dir string) (baseURL string, ok bool) {
	identity, err := os.ReadFile(filepath.Join(dir, identityFile))
	if err != nil {
		return "", false
	}
	data, err := os.ReadFile(filepath.Join(dir, addressFile))
	if err != nil {
		return "", false
	}
	baseURL = string(bytes.TrimSpace(data))
	u, err := url.Parse(baseURL)
	if err != nil || checkLoopback(u.Host) != nil {
		return "", false
	}
	challenge := make([]byte, 16)
	_, _ = rand.Read(challenge)
	text := hex.EncodeToString(challenge)
	client := http.Client{
		Timeout:   5 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true}, // and no proxy
	}
	resp, err := client.Get(baseURL + "/healthz?challenge=" + text)
	if err != nil {
		return "", false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return "", false
	}
	var health struct{ Status, Proof string }
	if json.Unmarshal(body, &health) != nil || !hmac.Equal([]byte(health.Proof), []byte(healthProof(identity, text))) {
		return "", false
	}
	return baseURL, true
}
