//go:build linux

package sandbox

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// inside is set for the tests of this package when they run in our own image.
const inside = "DEVS_TEST_INSIDE"

// dockerHost returns the address of a docker daemon: that of DEVS_TEST_DOCKER, or of
// one that it starts, and stops at the end.
func dockerHost(t *testing.T) string {
	t.Helper()
	if host := os.Getenv("DEVS_TEST_DOCKER"); host != "" {
		return host
	}
	if os.Geteuid() != 0 {
		t.Skip("DEVS_TEST_DOCKER is not set, and only root can start dockerd: OwnRoot is NOT tested")
	}
	for _, name := range []string{"dockerd", "docker"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("DEVS_TEST_DOCKER is not set, and %s is not installed: OwnRoot is NOT tested", name)
		}
	}
	dir, err := os.MkdirTemp("", "devs-dockerd-")
	if err != nil {
		t.Fatal(err)
	}
	host := "unix://" + dir + "/sock"
	log, err := os.Create(dir + "/log")
	if err != nil {
		t.Fatal(err)
	}
	daemon := exec.Command("dockerd", "--data-root", dir+"/data", "--exec-root", dir+"/exec", "-p", dir+"/pid",
		"-H", host, "--iptables=false", "--bridge=none")
	daemon.Stdout, daemon.Stderr = log, log
	daemon.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Signal(syscall.SIGTERM)
		_ = daemon.Wait()
		log.Close()
		for _, mounted := range []string{"/exec/netns/default", "/data"} {
			_ = syscall.Unmount(dir+mounted, syscall.MNT_DETACH)
		}
		_ = os.RemoveAll(dir)
	})
	for range 600 {
		if exec.Command("docker", "-H", host, "version").Run() == nil {
			return host
		}
		time.Sleep(100 * time.Millisecond)
	}
	text, _ := os.ReadFile(dir + "/log")
	t.Skipf("dockerd does not start, so OwnRoot is NOT tested:\n%s", text)
	return ""
}

// docker runs the client and fails with its output.
func docker(t *testing.T, host string, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", append([]string{"-H", host}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// compileTests makes a static program of the tests of this package.
func compileTests(t *testing.T, program string) {
	t.Helper()
	compile := exec.Command("go", "test", "-c", "-o", program, ".")
	compile.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("compiling the tests: %v\n%s", err, out)
	}
}

// testImage makes our image with the tests of this package as its program.
func testImage(t *testing.T, host string) (tag string) {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "devs")
	compileTests(t, program)
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("no busybox in PATH: install busybox-static")
	}
	project, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(dir, "root")
	if out, err := exec.Command(project+"/build/image.sh", root, program, busybox).CombinedOutput(); err != nil {
		t.Fatalf("assembling the image: %v\n%s", err, out)
	}
	tag = fmt.Sprintf("devs-sandbox-test:%d", os.Getpid())
	docker(t, host, "build", "-q", "-f", project+"/Dockerfile", "--target", "slim", "-t", tag, root)
	t.Cleanup(func() { docker(t, host, "rmi", "-f", tag) })
	return tag
}

// TestInOwnImage runs the tests of this package in our own image, with Docker's default
// rights and the mounts of a GitHub action; the first process is a shell that has a
// secret.
func TestInOwnImage(t *testing.T) {
	host := dockerHost(t)
	tag := testImage(t, host)
	workspace := t.TempDir()
	write(t, filepath.Join(workspace, "Dockerfile"), "FROM scratch\n", 0o644)
	socket := filepath.Join(t.TempDir(), "docker.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	args := []string{
		"run", "--rm", "--network=host", "-v", socket + ":/var/run/docker.sock",
		"-v", workspace + ":/github/workspace", "--workdir", "/github/workspace",
		"-e", inside + "=1", "-e", "HOME=/github/home", "-e", "OUTER=not-to-be-seen",
	}
	if base := os.Getenv("DEVS_TEST_DEBIAN"); base != "" {
		args = append(args, "-v", base+":/github/debian:ro", "-e", "DEVS_TEST_DEBIAN=/github/debian", "-e", "DEVS_TEST_APT")
	} else {
		t.Log("DEVS_TEST_DEBIAN names no folder with the files of Debian: its programs are not tested")
	}
	out := docker(t, host, append(args, "--entrypoint", "sh", tag, "-c", "devs -test.v -test.skip '^(TestSwap|TestInOwnImage)'; exit $?")...)
	t.Logf("%s", out)
	for _, name := range []string{"TestMounts", "TestSkip", "TestBuilderIsHidden", "TestNothingIsLeftRunning", "TestCancel"} {
		if !strings.Contains(out, "--- PASS: "+name+"/own-root") {
			t.Errorf("%s did not run with the exchanged root", name)
		}
	}
	for _, name := range []string{"TestInsideKilled", "TestInsideLevel"} {
		if !strings.Contains(out, "--- PASS: "+name) {
			t.Errorf("%s did not run", name)
		}
	}
}
