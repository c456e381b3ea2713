// Command meter is a proxy on loopback in front of a registry that counts the bytes of
// bodies in both directions. GET /meter answers with both counts and starts anew.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"sync/atomic"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: meter HOST:PORT")
		os.Exit(2)
	}
	if err := serve(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "meter:", err)
		os.Exit(1)
	}
}

// meter counts; sent is towards the registry.
type meter struct{ sent, received atomic.Int64 }

func serve(registry string) error {
	m := &meter{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			// The Host stays what the client wrote, so that the registry's answers lead here.
			r.Out.URL.Scheme, r.Out.URL.Host = "http", registry
			r.Out.Host = r.In.Host
			if r.Out.Body != nil {
				r.Out.Body = &countedBody{ReadCloser: r.Out.Body, count: &m.sent}
			}
		},
		ModifyResponse: func(r *http.Response) error {
			r.Body = &countedBody{ReadCloser: r.Body, count: &m.received}
			return nil
		},
		FlushInterval: -1,
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("listening on", listener.Addr())
	mux := http.NewServeMux()
	mux.Handle("/", proxy)
	mux.HandleFunc("GET /meter", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, m.sent.Swap(0), m.received.Swap(0))
	})
	return http.Serve(listener, mux)
}

// countedBody counts what is read from a body.
type countedBody struct {
	io.ReadCloser
	count *atomic.Int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.count.Add(int64(n))
	return n, err
}
