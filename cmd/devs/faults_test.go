package main

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
)

var (
	faultCases = flag.Int("faultcases", 0, "try this many cases of the faults, spread over all; 0 for all")
	faultOnly  = flag.String("faultonly", "", "try only the cases of the faults whose names contain this")
)

// shop is an application of two services with ten resources. n is its version: 1 and
// 2 differ in every resource but one.
func shop(n int) map[string]string {
	v := []string{"one", "two"}[n-1]
	file := `edition: 1.0.0
name: shop
services:
  api:
    component: fc
    props:
      region: cn-hangzhou
      service: {name: shop-api, description: ` + v + `, internetAccess: true, vpcBinding: [` + []string{"vpc-1", "vpc-1, vpc-2"}[n-1] + `]}
      function: {name: api, runtime: python3.9, handler: index.handler, memorySize: ` + []string{"256", "512"}[n-1] + `, codeUri: ./api, environmentVariables: {STAGE: ` + v + `}}
      triggers:
        - {name: web, type: http, config: {authType: anonymous, methods: ` + []string{"[GET]", "[GET, POST]"}[n-1] + `}}
      customDomains:
        - {domainName: shop.example.com, protocol: HTTP, routeConfigs: [{path: ` + []string{"/*", "/two/*"}[n-1] + `}]}
  jobs:
    component: fc
    props:
      region: cn-hangzhou
      service: {name: shop-jobs, description: jobs}
      function: {name: job, runtime: python3.9, handler: index.handler, timeout: ` + []string{"30", "60"}[n-1] + `, codeUri: ./job, asyncConfiguration: {maxAsyncRetryAttempts: ` + []string{"1", "2"}[n-1] + `}}
      triggers:
        - {name: daily, type: timer, config: {cronExpression: '0 0 8 * * *', enable: ` + []string{"true", "false"}[n-1] + `, payload: ` + v + `}}
        - {name: hourly, type: timer, config: {cronExpression: '0 0 * * * *', enable: true, payload: ` + v + `}}
`
	return map[string]string{
		"s.yaml":       file,
		"api/index.py": "def handler(environ, start_response):\n    return ['" + v + "']\n",
		"job/index.py": "def handler(event, context):\n    return '" + v + "'\n",
	}
}

// shopResources is how many resources the application has.
const shopResources = 10

// TestFaultsOfFirstDeploy kills a first deploy at every request, before the request
// leaves, after the cloud did it, and within the answer, and lets every request fail
// in all ways in which it can. A second deploy then makes what an undisturbed one
// makes, and nothing twice. After that it is known whose everything is: the next version
// can be deployed without a question.
func TestFaultsOfFirstDeploy(t *testing.T) {
	(&matrix{files: shop(1), next: shop(2)}).run(t)
}

// TestFaultsOfUpdate does the same to a deploy that changes nearly every resource.
// Neither it nor the deploy after it is told what to do about differences: all of them
// are their own.
func TestFaultsOfUpdate(t *testing.T) {
	a := must(newArena("", nil))(t)
	if err := a.files("app", shop(1)); err != nil {
		t.Fatal(err)
	}
	if out := must(a.run("app", "deploy"))(t); out.code != 0 {
		t.Fatal(out)
	}
	start := must(a.freeze())(t)
	t.Cleanup(func() { _ = a.close() })
	(&matrix{files: shop(2), next: shop(1), start: start}).run(t)
}

// matrix is a deploy, and all that can happen to it.
type matrix struct {
	start string            // folder with the cloud and the application before it; "" for none
	files map[string]string // of the application that is deployed
	next  map[string]string // of its next version, which the record lets be deployed too

	want   string // what is online after an undisturbed deploy
	writes int    // the changes of an undisturbed deploy of the next version

	mu     sync.Mutex
	unmet  []incident
	unlike []error
}

// incident is one case: a fault, and the request that it happens to.
type incident struct {
	call  string
	fault fault
}

func (i incident) String() string { return i.call + ": " + i.fault.name }

// rare reports whether the request is one that not every deploy makes: how many times
// the record is written depends on how fast the changes follow each other.
func (i incident) rare() bool { return strings.HasPrefix(i.call, "POST /tag ") }

func (m *matrix) run(t *testing.T) {
	calls := m.survey(t)
	var cases []incident
	for _, call := range calls {
		for _, f := range faults() {
			if i := (incident{call, f}); strings.Contains(i.String(), *faultOnly) {
				cases = append(cases, i)
			}
		}
	}
	all := len(cases)
	cases = spread(cases, m.limit())
	var g errgroup.Group
	g.SetLimit(6 * runtime.GOMAXPROCS(0))
	var converged atomic.Int32
	for _, c := range cases {
		g.Go(func() error {
			met, err := m.try(c)
			m.mu.Lock()
			defer m.mu.Unlock()
			switch {
			case err != nil:
				m.unlike = append(m.unlike, fmt.Errorf("%s: %w", c, err))
			case !met:
				m.unmet = append(m.unmet, c)
			default:
				converged.Add(1)
			}
			return nil
		})
	}
	_ = g.Wait()
	for i, err := range m.unlike {
		if i == 10 {
			t.Errorf("and %d more", len(m.unlike)-i)
			break
		}
		t.Error(err)
	}
	missed := 0
	for _, c := range m.unmet {
		if !c.rare() {
			t.Errorf("%s: there was no such request", c)
			continue
		}
		missed++
	}
	fmt.Printf("%s: %d of %d converged (%d requests, %d faults, %d cases; %d cases did not come about)\n",
		t.Name(), converged.Load(), len(cases)-missed, len(calls), len(faults()), all, missed)
}

// limit is how many cases are tried.
func (m *matrix) limit() int {
	if *faultCases == 0 && testing.Short() {
		return 40
	}
	return *faultCases
}

// spread picks n of a list, evenly; all of them when n is 0.
func spread[T any](list []T, n int) []T {
	if n <= 0 || n >= len(list) {
		return list
	}
	picked := make([]T, 0, n)
	for i := range n {
		picked = append(picked, list[i*len(list)/n])
	}
	return picked
}

// surveys is how many undisturbed deploys are looked at for the requests that every
// one of them makes: a few depend on what goes on at the same time.
const surveys = 3

// survey deploys undisturbed, keeps what is online then, and returns the requests.
func (m *matrix) survey(t *testing.T) []string {
	t.Helper()
	var always map[string]bool
	var order []string
	for range surveys {
		s := newStorm()
		a := must(m.open(s))(t)
		out := must(s.deploy(a, "app", "", fault{}, "deploy"))(t)
		if out.code != 0 {
			t.Fatal(out)
		}
		if made := len(s.created); m.start == "" && made < shopResources-1 { // the asynchronous configuration is put
			t.Fatalf("%d resources were made, want %d", made, shopResources-1)
		}
		online := must(a.online())(t)
		if m.want != "" && online != m.want {
			t.Fatalf("two undisturbed deploys differ:\n%s", cmp.Diff(m.want, online))
		}
		m.want, order = online, s.calls
		now := map[string]bool{}
		for _, call := range s.calls {
			now[call] = true
		}
		if err := a.files("app", m.next); err != nil {
			t.Fatal(err)
		}
		if out := must(s.deploy(a, "app", "", fault{}, "deploy"))(t); out.code != 0 || s.writes == 0 {
			t.Fatalf("%d changes, %s", s.writes, out)
		}
		m.writes = s.writes
		if always == nil {
			always = now
		}
		maps.DeleteFunc(always, func(call string, _ bool) bool { return !now[call] })
		if err := a.close(); err != nil {
			t.Fatal(err)
		}
	}
	return slices.DeleteFunc(order, func(call string) bool { return !always[call] })
}

// open makes the arena of one case.
func (m *matrix) open(s *storm) (*arena, error) {
	a, err := newArena(m.start, s.wrap)
	if err != nil {
		return nil, err
	}
	return a, a.files("app", m.files)
}

// tries is how often a case is tried whose request did not come.
const tries = 5

// try tries one case. It reports whether the fault happened.
func (m *matrix) try(c incident) (met bool, err error) {
	for range tries {
		if met, err = m.once(c); met || err != nil {
			return met, err
		}
	}
	return false, nil
}

func (m *matrix) once(c incident) (met bool, err error) {
	s := newStorm()
	a, err := m.open(s)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	told := ""
	deploy := func(victim string) (*outcome, error) {
		if c.fault.fresh {
			if err := os.RemoveAll(a.path("app", ".s")); err != nil {
				return nil, err
			}
		}
		out, err := s.deploy(a, "app", victim, c.fault, "deploy")
		told += fmt.Sprintln(out)
		return out, err
	}
	first, err := deploy(c.call)
	if err != nil || !s.struck() {
		return false, err
	}
	if err := m.ended(a, c, first); err != nil {
		return true, fmt.Errorf("the disturbed deploy: %w\n%s", err, told)
	}
	second, err := deploy("")
	if err == nil && second.code != 0 {
		err = errors.New("it failed")
	}
	if err = errors.Join(err, m.like(a)); err != nil {
		return true, fmt.Errorf("the second deploy: %w\n%s", err, told)
	}
	if len(s.twice) > 0 {
		return true, fmt.Errorf("made twice: %v\n%s", s.twice, told)
	}
	if err := a.files("app", m.next); err != nil {
		return true, err
	}
	third, err := deploy("")
	if err == nil && (third.code != 0 || s.writes != m.writes) {
		err = fmt.Errorf("it made %d changes, want %d", s.writes, m.writes)
	}
	if err != nil {
		return true, fmt.Errorf("the deploy of the next version: %w\n%s", err, told)
	}
	return true, nil
}

// ended checks how the disturbed deploy ended: it says 0 only when all is done.
func (m *matrix) ended(a *arena, c incident, out *outcome) error {
	switch {
	case c.fault.kill && out.code == -1:
		return nil
	case c.fault.stop && out.code == 130:
		return nil
	case !c.fault.kill && !c.fault.stop && out.code == 101:
		return nil
	case !c.fault.kill && out.code == 0:
		return m.like(a)
	}
	return fmt.Errorf("exit code %d", out.code)
}

// like compares what is online with what is wanted.
func (m *matrix) like(a *arena) error {
	online, err := a.online()
	if err != nil {
		return err
	}
	if online != m.want {
		return fmt.Errorf("what is online differs:\n%s", cmp.Diff(m.want, online))
	}
	return nil
}
