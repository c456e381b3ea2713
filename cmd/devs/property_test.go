package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
)

var (
	propertyCases = flag.Int("propertycases", 100, "how many applications are drawn")
	propertySeed  = flag.Uint64("propertyseed", 1, "the first of the seeds that they are drawn from")
)

// expected is the model of a deploy: what is online after it, and whether it is
// refused, from what was deployed last, what is found, and what the file wants.
func expected(recorded, found, want portrait, policy string, prune bool) (portrait, bool) {
	after := portrait{}
	for _, key := range keys() {
		r, f, w := recorded[key], found[key], want[key]
		// The file says nothing of a resource that it does not have. But it does say that
		// there is no binding, and no asynchronous configuration of a function it has.
		silent := w == 0 && key != "binding" && (!strings.HasPrefix(key, "async") || want[parent(key)] == 0)
		switch {
		case f == w, silent && (!prune || r == 0):
			after[key] = f
		case f == 0, policy == "local":
			after[key] = w
		case policy == "remote":
			after[key] = f
		case r == f:
			after[key] = w
		default:
			return found, true // somebody changed it: nothing at all is done
		}
	}
	return after.whole(), false
}

// TestDeployIsAsModelled deploys random applications, edits them in the console and in
// the file, and deploys again, under random policies, with the record on the runner and
// without it.
func TestDeployIsAsModelled(t *testing.T) {
	sums := must(checksums())(t)
	var g errgroup.Group
	g.SetLimit(2 * runtime.GOMAXPROCS(0))
	var mu sync.Mutex
	var failed []error
	refusals := 0
	for i := range *propertyCases {
		seed := *propertySeed + uint64(i)
		g.Go(func() error {
			refused, err := tryModel(seed, sums)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = append(failed, fmt.Errorf("seed %d: %w", seed, err))
			}
			if refused {
				refusals++
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
	fmt.Printf("%s: %d of %d as modelled, %d refused\n", t.Name(), *propertyCases-len(failed), *propertyCases, refusals)
}

func tryModel(seed uint64, sums map[string]int) (refused bool, err error) {
	random := rand.New(rand.NewPCG(seed, 0))
	recorded := draw(random)
	found := recorded.retouch(random, true)
	want := recorded.retouch(random, false)
	policy := []string{"fail", "fail", "local", "remote"}[random.IntN(4)]
	args := [][]string{{"deploy", "--drift=" + policy}, map[string][]string{
		"fail": {"deploy"}, "local": {"deploy", "--use-local"}, "remote": {"deploy", "--use-remote"},
	}[policy]}[random.IntN(2)]
	fresh := random.IntN(2) == 0
	// Notes tell no names: only a runner that is kept knows what to prune. What somebody
	// made in the console stays in the way of what it is part of.
	prune := !fresh && !added(recorded, found) && random.IntN(2) == 0
	if prune {
		args = append(args, "--prune")
	}
	after, refused := expected(recorded, found, want, policy, prune)
	story := fmt.Sprintf("recorded %v\nfound    %v\nwanted   %v\n%v, fresh runner %t", recorded, found, want, args, fresh)

	a, err := newArena("", nil)
	if err != nil {
		return refused, err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	if err := a.files("app", recorded.files()); err != nil {
		return refused, err
	}
	if out := a.call("app", "deploy"); out.code != 0 {
		return refused, fmt.Errorf("the first deploy: %s\n%s", out, story)
	}
	if got, err := a.portrait(sums); err != nil || !cmp.Equal(got, recorded) {
		return refused, fmt.Errorf("after the first deploy: %w\n%v\n%s", err, got, story)
	}
	if err := a.reshape(recorded, found); err != nil {
		return refused, fmt.Errorf("%w\n%s", err, story)
	}
	if fresh {
		err = os.RemoveAll(a.path("app", ".s"))
	}
	if err := errors.Join(err, a.files("app", want.files())); err != nil {
		return refused, err
	}
	out := a.call("app", args...)
	if code := map[bool]int{false: 0, true: 101}[refused]; out.code != code {
		return refused, fmt.Errorf("exit code %d, want %d\n%s\n%s", out.code, code, story, out)
	}
	got, err := a.portrait(sums)
	if err != nil {
		return refused, err
	}
	if diff := cmp.Diff(after, got); diff != "" {
		return refused, fmt.Errorf("what is online is not as modelled:\n%s\n%s\n%s", diff, story, out)
	}
	return refused, nil
}

// added reports whether something is found that was not deployed.
func added(recorded, found portrait) bool {
	for key := range found {
		if recorded[key] == 0 {
			return true
		}
	}
	return false
}

// checksums returns the numbers of the code of files, by the checksum in the cloud.
func checksums() (sums map[string]int, err error) {
	sums = map[string]int{}
	a, err := newArena("", nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	p := portrait{"service": 1, "web": 1, "function0": 11, "function1": 12, "function2": 13}
	if err := a.files("app", p.files()); err != nil {
		return nil, err
	}
	if out := a.call("app", "deploy"); out.code != 0 {
		return nil, errors.New(out.String())
	}
	for i := range functions {
		out, err := a.api("GET", fmt.Sprint("/services/model/functions/f", i), nil)
		if err != nil {
			return nil, err
		}
		sums[out["codeChecksum"].(string)] = i + 1
	}
	return sums, nil
}

// portrait returns how the cloud looks.
func (a *arena) portrait(sums map[string]int) (portrait, error) {
	online, err := a.online()
	if err != nil {
		return nil, err
	}
	var all struct {
		Services []struct {
			Description string
			Bindings    []string
			Functions   []struct {
				FunctionName, CodeChecksum string
				MemorySize                 int
				Triggers                   []struct{ TriggerName, TriggerConfig string }
				AsyncConfigs               []struct{ MaxAsyncRetryAttempts int }
			}
		}
		Domains []struct{ RouteConfig any }
	}
	if err := json.Unmarshal([]byte(online), &all); err != nil || len(all.Services) != 1 {
		return nil, fmt.Errorf("%d services: %w", len(all.Services), err)
	}
	p := portrait{}
	s := all.Services[0]
	p["service"] = numberIn(s.Description)
	p["binding"] = numberIn(strings.Join(s.Bindings, ","))
	for _, f := range s.Functions {
		n := strings.TrimPrefix(f.FunctionName, "f")
		code, known := sums[f.CodeChecksum]
		if !known {
			code = foreign
		}
		p["function"+n] = f.MemorySize/128*10 + code
		for _, tr := range f.Triggers {
			if tr.TriggerName != "web" {
				p[tr.TriggerName+n] = numberIn(tr.TriggerConfig)
				continue
			}
			for v := 1; v <= 3; v++ {
				if strings.Contains(tr.TriggerConfig, `"`+method(v)+`"`) {
					p["web"] = v
				}
			}
		}
		for _, c := range f.AsyncConfigs {
			p["async"+n] = c.MaxAsyncRetryAttempts
		}
	}
	for _, d := range all.Domains {
		p["domain"] = numberIn(text(d.RouteConfig))
	}
	return p.whole(), nil
}

var numbered = regexp.MustCompile(`\b(?:v|vpc-)([1-9])\b`)

// numberIn finds the number in a text such as v2; 0 for none.
func numberIn(text string) int {
	m := numbered.FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}
