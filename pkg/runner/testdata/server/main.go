// Command server is the program of the images of tests: a server, or with an event in
// its environment a program that runs once.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

func main() {
	if event, ok := os.LookupEnv("FC_CUSTOM_CONTAINER_EVENT"); ok {
		once(event)
	}
	var checks atomic.Int64
	http.HandleFunc("/ready", func(w http.ResponseWriter, _ *http.Request) {
		if n, _ := strconv.ParseInt(os.Getenv("READY_AFTER"), 10, 64); checks.Add(1) < n {
			http.Error(w, "not yet", http.StatusServiceUnavailable)
		}
	})
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Println("got", r.Method, r.URL.Path)
		answer, err := do(strings.Fields(string(body)))
		if err != nil {
			w.WriteHeader(http.StatusNotFound)
			answer = fmt.Sprintf("{\"errorMessage\": %q}", err)
		}
		fmt.Fprint(w, answer)
	})
	log.Fatal(http.ListenAndServe(":"+os.Getenv("FC_SERVER_PORT"), nil))
}

func once(event string) {
	answer, err := do(strings.Fields(event))
	fmt.Println("ran once:", answer)
	if err != nil {
		fmt.Println(err)
		os.Exit(3)
	}
	os.Exit(0)
}

func do(words []string) (string, error) {
	if len(words) == 0 {
		return "nothing", nil
	}
	arg := ""
	if len(words) > 1 {
		arg = words[1]
	}
	switch words[0] {
	case "env":
		return strings.Join(os.Environ(), "\n"), nil
	case "args":
		return strings.Join(os.Args, " "), nil
	case "who":
		dir, err := os.Getwd()
		groups, _ := os.Getgroups()
		return fmt.Sprint(os.Getuid(), ":", os.Getgid(), " ", groups, " ", dir), err
	case "read":
		data, err := os.ReadFile(arg)
		return string(data), err
	case "write":
		return "", os.WriteFile(arg, []byte("written"), 0o644)
	case "exit":
		code, _ := strconv.Atoi(arg)
		os.Exit(code)
	case "sleep":
		time.Sleep(time.Minute)
	}
	return strings.Join(words, " "), nil
}
