package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Main must be called first in main, with os.Args: it reports whether this process is
// the helper of a sandbox, and then has done its work; the caller returns at once.
func Main(args []string) (handled bool) {
	if len(args) == 0 || path.Base(args[0]) != helperName {
		return again(args)
	}
	// The capabilities of commands are dropped for one thread, which starts them.
	runtime.LockOSThread()
	s := helper()
	out := os.NewFile(statusFD, "status")
	_ = json.NewEncoder(out).Encode(s)
	out.Close()
	return true
}

// helper does a job and returns its end.
func helper() status {
	if err := closeOnExec(); err != nil {
		return status{Error: "closing inherited files: " + err.Error()}
	}
	in := os.NewFile(jobFD, "job")
	decoder := json.NewDecoder(in)
	var j job
	if err := decoder.Decode(&j); err != nil {
		return status{Error: "reading the job: " + err.Error()}
	}
	if j.Level != Proot { // which has to look into it
		if err := hide(); err != nil {
			return status{Error: err.Error()}
		}
	}
	if err := prepare(&j); err != nil {
		return status{Error: err.Error()}
	}
	if j.Probe {
		return status{}
	}
	return supervise(&j, func() { _, _ = io.Copy(io.Discard, io.MultiReader(decoder.Buffered(), in)) })
}

// closeOnExec keeps files that the builder itself inherited from the command.
func closeOnExec() error {
	err := unix.CloseRange(3, ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC)
	if err == nil {
		return nil
	}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, f := range files {
		var fd int
		if _, err := fmt.Sscanf(f.Name(), "%d", &fd); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

// prepare makes the surroundings of the command.
func prepare(j *job) error {
	if j.Level != Namespaces {
		// What the command leaves running comes to us, to be killed.
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("asking for orphans: %w", err)
		}
	}
	switch j.Level {
	case Namespaces:
		return enterNamespaces(j)
	case Chroot:
		if j.Probe {
			return unix.Chroot(j.Root)
		}
	}
	return nil // the root changes in supervise: /proc is needed until then
}

// supervise starts the command, waits for it and kills what it left.
func supervise(j *job, untilKilled func()) status {
	var kin *kin
	if j.Level != Namespaces {
		k, err := openKin()
		if err != nil {
			return status{Error: err.Error()}
		}
		kin = k
	}
	if j.Level == Chroot {
		if err := unix.Chroot(j.Root); err != nil {
			return status{Error: fmt.Sprintf("changing the root to %s: %v", j.Root, err)}
		}
	}
	if j.Dir == "" {
		j.Dir = "/"
	}
	if err := os.Chdir(j.Dir); err != nil {
		return status{Error: fmt.Sprintf("entering %s: %v", j.Dir, errors.Unwrap(err))}
	}
	file, s := program(j)
	if s.Code != 0 {
		return s
	}
	if err := limit(j.Keep); err != nil {
		return status{Error: err.Error()}
	}
	unix.Umask(0o022)
	pid, err := syscall.ForkExec(file, j.Args, &syscall.ProcAttr{
		Env:   j.Env,
		Files: []uintptr{0, 1, 2},
		Sys:   &syscall.SysProcAttr{Setsid: true, Credential: credential(j)},
	})
	if err != nil {
		return notStarted(file, err)
	}
	family := &family{main: pid, kin: kin}
	go func() {
		untilKilled()
		if kin == nil {
			os.Exit(1) // the first process of its namespace takes all others with it
		}
		family.kill()
	}()
	return family.wait()
}

func credential(j *job) *syscall.Credential {
	if j.Level == Proot {
		return nil
	}
	c := &syscall.Credential{Uid: uint32(j.UID), Gid: uint32(j.GID)}
	for _, g := range j.Groups {
		c.Groups = append(c.Groups, uint32(g))
	}
	return c
}

// program finds the file to execute, as docker does.
func program(j *job) (string, status) {
	if len(j.Args) == 0 || j.Args[0] == "" {
		return "", status{Code: 127, Reason: "there is no command to run"}
	}
	name := j.Args[0]
	if strings.Contains(name, "/") {
		return name, status{}
	}
	search := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	for _, e := range j.Env {
		if value, ok := strings.CutPrefix(e, "PATH="); ok {
			search = value
		}
	}
	for dir := range strings.SplitSeq(search, ":") {
		if dir == "" {
			dir = "."
		}
		file := path.Join(dir, name)
		if !strings.Contains(file, "/") {
			file = "./" + file
		}
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file, status{}
		}
	}
	return "", status{Code: 127, Reason: fmt.Sprintf("%s: not found in the PATH of the image (%s)", name, search)}
}

func notStarted(file string, err error) status {
	if errors.Is(err, unix.ENOENT) {
		return status{Code: 127, Reason: fmt.Sprintf("%s: no such program, or the interpreter or loader that it asks for is missing", file)}
	}
	return status{Code: 126, Reason: fmt.Sprintf("%s: cannot be executed: %v", file, err)}
}
