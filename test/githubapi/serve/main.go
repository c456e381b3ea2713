// Command serve serves the double of GitHub's API for scripts, until it is ended. It
// prints two addresses: that of the API, and one that answers with all that it keeps, as
// JSON.
//
//	serve [-openapi FILE] [-pull COMMIT=NUMBER]... [-denied TOKEN]...
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/devs/deploy/test/githubapi"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

func serve() error {
	description := flag.String("openapi", "", "GitHub's description of the API; without it nothing is checked")
	pulls, denied := map[string][]int{}, map[string]bool{}
	flag.Func("pull", "COMMIT=NUMBER: the pull request that a commit belongs to", func(v string) error {
		commit, number, _ := strings.Cut(v, "=")
		n, err := strconv.Atoi(number)
		pulls[commit] = append(pulls[commit], n)
		return err
	})
	flag.Func("denied", "a token that may not write", func(v string) error {
		denied[v] = true
		return nil
	})
	flag.Parse()

	api, end, err := githubapi.Start(*description)
	if err != nil {
		return err
	}
	defer end()
	api.Pulls, api.Denied = pulls, denied // before anybody knows the address
	state := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { show(w, api) }))
	defer state.Close()
	fmt.Printf("api %s\nstate %s\n", api.URL, state.URL)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
	return nil
}

// show writes all that the double keeps.
func show(w http.ResponseWriter, api *githubapi.API) {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	_ = out.Encode(map[string]any{
		"comments": api.Comments(), "deployments": api.Deployments(), "calls": api.Calls(), "wrong": api.Wrong(),
	})
}
