package emulator

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	fc "github.com/alibabacloud-go/fc-open-20210406/v2/client"
	"github.com/alibabacloud-go/tea/tea"

	"github.com/devs/deploy/pkg/image/sandbox"
)

// childEnv makes the test binary serve the state folder that it names.
const childEnv = "EMULATOR_TEST_SERVE"

func TestMain(m *testing.M) {
	if sandbox.Main(os.Args) {
		return
	}
	dir := os.Getenv(childEnv)
	if dir == "" {
		os.Exit(m.Run())
	}
	s, err := Start(context.Background(), Config{Dir: dir, Runner: &fakeRunner{}}, "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(s.URL)
	select {}
}

// fill makes one of each resource.
func fill(w *world) {
	w.t.Helper()
	l := w.legacy()
	must := func(method, path string, body any) {
		w.t.Helper()
		if a := l.do(method, path, body); a.status >= 300 {
			w.t.Fatalf("%s %s: %d %s", method, path, a.status, a.raw)
		}
	}
	w.service("s")
	w.function("s", "f", "one")
	must("POST", "/services/s/versions", object{"description": "first"})
	w.update("s", "f", "two")
	must("PUT", "/services/s/functions/f", object{"environmentVariables": object{"SECRET": "hunter2"}})
	must("POST", "/services/s/aliases", object{"aliasName": "prod", "versionId": "1"})
	must("POST", "/services/s/functions/f/triggers", object{"triggerName": "h", "triggerType": "http", "triggerConfig": object{"authType": "anonymous", "methods": []string{"GET"}}})
	must("PUT", "/services/s.prod/functions/f/async-invoke-config", object{"maxAsyncRetryAttempts": 1})
	must("PUT", "/services/s.prod/functions/f/provision-config", object{"target": 2})
	must("PUT", "/services/s/functions/f/on-demand-config", object{"maximumInstanceCount": 2})
	must("POST", "/services/s/bindings", object{"vpcId": "vpc-1"})
	must("POST", "/tag", object{"resourceArn": "services/s", "tags": object{"k": "v"}})
	must("POST", "/custom-domains", object{"domainName": "a.example.com", "protocol": "HTTP", "routeConfig": object{"routes": []object{{"path": "/*", "serviceName": "s", "functionName": "f"}}}})
	must("POST", "/layers/lib/versions", object{"code": object{"zipFile": *code(w.t, "layer").ZipFile}})
}

// everything reads all that fill made.
func everything(w *world) string {
	w.t.Helper()
	l := w.legacy()
	var all strings.Builder
	for _, path := range []string{
		"/services/s", "/services/s/functions/f", "/services/s.prod/functions/f", "/services/s/versions", "/services/s/aliases/prod",
		"/services/s/functions/f/triggers/h", "/services/s.prod/functions/f/async-invoke-config", "/services/s.prod/functions/f/provision-config",
		"/services/s/functions/f/on-demand-config", "/services/s/bindings", "/tags", "/custom-domains/a.example.com", "/layers/lib/versions/1",
	} {
		a := l.do("GET", path, nil)
		a.want(w.t, 200, "")
		raw := strings.ReplaceAll(a.raw, w.server.URL, "")
		before, after, found := strings.Cut(raw, "?Expires=") // links differ
		if found {
			_, after, _ = strings.Cut(after, `"`)
		}
		all.WriteString(path + " " + a.header.Get("Etag") + " " + before + after + "\n")
	}
	for _, qualifier := range []string{"LATEST", "prod", "1"} {
		all.WriteString(w.invoke("s", "f", qualifier) + "\n")
	}
	return all.String()
}

func TestReopen(t *testing.T) {
	w := newWorld(t)
	fill(w)
	before := everything(w)
	again := openWorld(t, w.dir) // the first one was not closed
	if after := everything(again); after != before {
		t.Errorf("after a restart:\n%s\nbefore:\n%s", after, before)
	}
}

func TestModesOfState(t *testing.T) {
	w := openWorld(t, filepath.Join(t.TempDir(), "state"))
	fill(w)
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if strings.HasPrefix(path, filepath.Join(w.dir, dirCode)+string(filepath.Separator)) {
			return nil // inside a folder of mode 0700
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	w.ok(err)
}

// TestForeignFolders makes sure that a folder of somebody else is left alone.
func TestForeignFolders(t *testing.T) {
	dir := t.TempDir()
	mine := filepath.Join(dir, dirTemp, "mine")
	if err := os.Mkdir(filepath.Dir(mine), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mine, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: dir, Runner: &fakeRunner{}}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("opened: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the folder was changed: %v %v", entries, err)
	}
	if _, err := os.Stat(mine); err != nil {
		t.Error(err)
	}
	for _, cfg := range []Config{{}, {Dir: t.TempDir()}, {Dir: mine, Runner: &fakeRunner{}}} {
		if _, err := Open(cfg); err == nil {
			t.Errorf("opened with %+v", cfg)
		}
	}
}

func TestDamagedState(t *testing.T) {
	w := newWorld(t)
	fill(w)
	for _, sub := range []string{dirServices, dirDomains, dirLayers} {
		files, err := filepath.Glob(filepath.Join(w.dir, sub, "*"))
		if err != nil || len(files) != 1 {
			t.Fatalf("%v %v", files, err)
		}
		good, err := os.ReadFile(files[0])
		w.ok(err)
		for _, bad := range []string{"", "{", "null", "{}", string(good[:len(good)/2])} {
			w.ok(os.WriteFile(files[0], []byte(bad), 0o600))
			if _, err := Open(Config{Dir: w.dir, Runner: &fakeRunner{}}); err == nil || !strings.Contains(err.Error(), files[0]) {
				t.Errorf("%q in %s: %v", bad, sub, err)
			}
		}
		w.ok(os.WriteFile(files[0], good, 0o600))
	}
	stray := filepath.Join(w.dir, dirServices, "notes.txt")
	w.ok(os.WriteFile(stray, nil, 0o600))
	if _, err := Open(Config{Dir: w.dir, Runner: &fakeRunner{}}); err == nil || !strings.Contains(err.Error(), stray) {
		t.Errorf("a stray file: %v", err)
	}
	w.ok(os.Remove(stray))
	blobs, err := filepath.Glob(filepath.Join(w.dir, dirBlobs, "*"))
	w.ok(err)
	w.ok(os.Remove(blobs[0]))
	if _, err := Open(Config{Dir: w.dir, Runner: &fakeRunner{}}); err == nil || !strings.Contains(err.Error(), blobs[0]) {
		t.Errorf("a missing package: %v", err)
	}
}

func TestPackagesAreCollected(t *testing.T) {
	w := newWorld(t)
	count := func(sub string) int {
		entries, err := os.ReadDir(filepath.Join(w.dir, sub))
		w.ok(err)
		return len(entries)
	}
	w.service("s")
	w.function("s", "f", "one")
	w.function("s", "g", "one") // the same package
	if n := count(dirBlobs); n != 1 {
		t.Errorf("%d packages for the same code", n)
	}
	w.invoke("s", "f", "LATEST")
	w.publish("s")
	w.update("s", "f", "two")
	w.update("s", "g", "two")
	w.invoke("s", "f", "LATEST")
	if b, c := count(dirBlobs), count(dirCode); b != 2 || c != 2 {
		t.Errorf("%d packages, %d folders; the version needs the old code", b, c)
	}
	_, err := w.DeleteServiceVersion(str("s"), str("1"))
	w.ok(err)
	if b, c := count(dirBlobs), count(dirCode); b != 1 || c != 1 {
		t.Errorf("%d packages, %d folders after the version is gone", b, c)
	}
	for _, f := range []string{"f", "g"} {
		_, err := w.DeleteFunction(str("s"), &f)
		w.ok(err)
	}
	if b, c, tmp := count(dirBlobs), count(dirCode), count(dirTemp); b+c+tmp != 0 {
		t.Errorf("%d packages, %d folders, %d temporary files are left", b, c, tmp)
	}
}

// TestKill writes as fast as it can, kills the server with SIGKILL, and looks for
// every write that was acknowledged.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	var acknowledged []string
	for round := range 3 {
		child := exec.Command(os.Args[0], "-test.run=^$")
		child.Env = append(os.Environ(), childEnv+"="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		address := strings.TrimSpace(line)
		if err != nil || !strings.HasPrefix(address, "http://") {
			_ = child.Process.Kill()
			t.Fatalf("the server did not start: %q %v", line, err)
		}
		acknowledged = append(acknowledged, hammer(t, address, round, 12*(round+1), child.Process.Kill)...)
		_ = child.Wait()
		if _, ok := Locate(dir); ok {
			t.Error("a killed server is found")
		}
	}
	w := openWorld(t, dir)
	for _, name := range acknowledged {
		got, err := w.GetFunction(&name, str("f"), &fc.GetFunctionRequest{})
		w.ok(err)
		if *got.Body.Description != "updated" {
			t.Errorf("%s lost its update", name)
		}
	}
	if len(acknowledged) < 3 {
		t.Errorf("only %d writes were acknowledged", len(acknowledged))
	}
	if entries, _ := os.ReadDir(filepath.Join(dir, dirTemp)); len(entries) > 0 {
		t.Errorf("temporary files are left: %v", entries)
	}
}

// hammer creates services until after some of them kill ends the server, and
// returns those that were made and updated with success.
func hammer(t *testing.T, address string, round, after int, kill func() error) []string {
	client, err := fc.NewClient(&openapi.Config{
		AccessKeyId: tea.String(DefaultAccessKeyID), AccessKeySecret: tea.String(DefaultAccessKeySecret),
		Endpoint: tea.String(strings.TrimPrefix(address, "http://")), Protocol: tea.String("HTTP"),
	})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var done []string
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("s-%d-%d-%d", round, worker, i)
				if createAndUpdate(t, client, name) != nil {
					return
				}
				mu.Lock()
				done = append(done, name)
				if len(done) == after {
					_ = kill()
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return done
}

func createAndUpdate(t *testing.T, client *fc.Client, name string) error {
	if _, err := client.CreateService(&fc.CreateServiceRequest{ServiceName: &name}); err != nil {
		return err
	}
	_, err := client.CreateFunction(&name, &fc.CreateFunctionRequest{
		FunctionName: str("f"), Runtime: str("python3.9"), Handler: str("i.h"), Code: code(t, name)})
	if err != nil {
		return err
	}
	_, err = client.UpdateFunction(&name, str("f"), &fc.UpdateFunctionRequest{Description: str("updated")})
	return err
}
