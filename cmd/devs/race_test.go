package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
)

var raceRounds = flag.Int("racerounds", 50, "how often two deploys run at once, in each of the tests of that")

// duel is the file and the code of one of those who deploy the same application. All
// say something else about every resource.
func duel(who string, n int) map[string]string {
	v := func(list ...string) string { return list[n] }
	file := `edition: 1.0.0
name: duel
services:
  front:
    component: fc
    props:
      region: cn-hangzhou
      service: {name: duel, internetAccess: true, description: of ` + who + `, vpcBinding: [` + v("vpc-1", "vpc-2", "vpc-1, vpc-2") + `]}
      function: {name: front, runtime: python3.9, handler: index.handler, memorySize: ` + v("256", "512", "1024") + `, codeUri: ./front, environmentVariables: {WHO: ` + who + `}}
      triggers:
        - {name: web, type: http, config: {authType: anonymous, methods: ` + v("[GET]", "[POST]", "[PUT]") + `}}
      customDomains:
        - {domainName: duel.example.com, protocol: HTTP, routeConfigs: [{path: /` + who + `}]}
  back:
    component: fc
    props:
      region: cn-hangzhou
      service: {name: duel}
      function: {name: back, runtime: python3.9, handler: index.handler, timeout: ` + v("10", "20", "30") + `, codeUri: ./back, asyncConfiguration: {maxAsyncRetryAttempts: ` + v("1", "2", "3") + `}}
      triggers:
        - {name: tick, type: timer, config: {cronExpression: '0 0 ` + v("1", "2", "3") + ` * * *', enable: true, payload: ` + who + `}}
`
	return map[string]string{
		"s.yaml":         file,
		"front/index.py": "def handler(environ, start_response):\n    return ['" + who + "']\n",
		"back/index.py":  "def handler(event, context):\n    return '" + who + "'\n",
	}
}

// duelists are the two who deploy at once, and the one who did before them.
var duelists = [...]string{"ann", "bob", "eve"}

// TestRaceOfFirstDeploys deploys two files of one application at once, where nothing
// was deployed before.
func TestRaceOfFirstDeploys(t *testing.T) { race(t, "") }

// TestRaceOfUpdates does the same where a third file was deployed before.
func TestRaceOfUpdates(t *testing.T) { race(t, before(t)) }

// TestRaceOfUpdatesUseLocal does so with a flag that overwrites what is found.
func TestRaceOfUpdatesUseLocal(t *testing.T) { race(t, before(t), "--use-local") }

// before returns a folder with the cloud in which a third file was deployed.
func before(t *testing.T) string {
	a := must(newArena("", nil))(t)
	if err := enter(a, 2); err != nil {
		t.Fatal(err)
	}
	if out := must(a.run(duelists[2], "deploy"))(t); out.code != 0 {
		t.Fatal(out)
	}
	start := must(a.freeze())(t)
	t.Cleanup(func() { _ = a.close() })
	return start
}

// enter writes the files of one who deploys.
func enter(a *arena, n int) error { return a.files(duelists[n], duel(duelists[n], n)) }

// race runs the rounds. What is online in the end is one of the two files as a whole,
// that of one who was told that it worked; at least one of them is.
func race(t *testing.T, start string, flags ...string) {
	args := append([]string{"deploy"}, flags...)
	var want [2]string
	for n := range want {
		want[n] = must(alone(start, n, args))(t)
	}
	var g errgroup.Group
	g.SetLimit(2 * runtime.GOMAXPROCS(0))
	var mu sync.Mutex
	var failed []error
	ends := map[string]int{}
	for round := range *raceRounds {
		g.Go(func() error {
			end, err := duelOnce(start, round, want, args)
			mu.Lock()
			defer mu.Unlock()
			ends[end]++
			if err != nil {
				failed = append(failed, fmt.Errorf("round %d: %w", round, err))
			}
			return nil
		})
	}
	_ = g.Wait()
	for i, err := range failed {
		if i == 5 {
			t.Errorf("and %d more", len(failed)-i)
			break
		}
		t.Error(err)
	}
	fmt.Printf("%s: %d of %d rounds left one file as a whole %v\n", t.Name(), *raceRounds-len(failed), *raceRounds, ends)
}

// sluggish lets each request take up to 4 ms more, so that those of two deploys meet in
// many ways.
func sluggish(cloud http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(rand.N(4 * time.Millisecond))
		cloud.ServeHTTP(w, r)
	})
}

// alone returns what is online after one of them deployed alone.
func alone(start string, n int, args []string) (online string, err error) {
	a, err := newArena(start, nil)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	if err := enter(a, n); err != nil {
		return "", err
	}
	out, err := a.run(duelists[n], args...)
	if err != nil {
		return "", err
	}
	if out.code != 0 {
		return "", errors.New(out.String())
	}
	return a.online()
}

// duelOnce runs one round, and tells with which exit codes it ended.
func duelOnce(start string, round int, want [2]string, args []string) (end string, err error) {
	a, err := newArena(start, sluggish)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	// How far apart they start is drawn, from the number of the round.
	random := rand.New(rand.NewPCG(uint64(round), 0))
	first := round % 2
	var outs [2]*outcome
	var g errgroup.Group
	for i := range outs {
		n := (first + i) % 2
		if err := enter(a, n); err != nil {
			return "", err
		}
		wait := time.Duration(i) * time.Duration(random.IntN(80)) * time.Millisecond
		g.Go(func() (err error) {
			time.Sleep(wait)
			outs[n], err = a.run(duelists[n], args...)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return "", err
	}
	end = fmt.Sprint([]int{outs[0].code, outs[1].code})
	both := fmt.Sprintf("%s: %s\n%s: %s", duelists[0], outs[0], duelists[1], outs[1])
	online, err := a.online()
	if err != nil {
		return end, err
	}
	won := slices.Index(want[:], online)
	switch {
	case won < 0:
		return end, fmt.Errorf("what is online is neither file; how it differs from that of %s:\n%s\n%s", duelists[0], cmp.Diff(want[0], online), both)
	case outs[won].code != 0:
		return end, fmt.Errorf("what is online is that of %s, who was told that it did not work\n%s", duelists[won], both)
	}
	return end, told(outs)
}

// told checks that both were told what became of their deploys.
func told(outs [2]*outcome) error {
	for n, out := range outs {
		if out.code != 0 && out.code != 101 {
			return fmt.Errorf("%s ended with %s", duelists[n], out)
		}
		if out.code == 101 && !strings.Contains(out.stderr, "error") {
			return fmt.Errorf("%s was not told why: %s", duelists[n], out)
		}
	}
	return nil
}
