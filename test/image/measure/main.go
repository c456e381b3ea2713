// Command measure runs a program and writes how long it took and how much memory its
// largest process held at once. It is static, so that it can be mounted into any image.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

func main() {
	out := flag.String("o", "", "the file for the result: seconds and KiB (default standard output)")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: measure [-o FILE] PROGRAM [ARGUMENT...]")
		os.Exit(2)
	}
	os.Exit(run(*out, flag.Args()))
}

func run(out string, args []string) int {
	// The file is opened first: the program may change what paths mean here.
	to := os.Stdout
	if out != "" {
		file, err := os.Create(out)
		if err != nil {
			fmt.Fprintln(os.Stderr, "measure:", err)
			return 2
		}
		to = file
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start)
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		fmt.Fprintln(os.Stderr, "measure:", err)
		return 2
	}
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &usage); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		return 2
	}
	if _, err := fmt.Fprintf(to, "%.3f %d\n", took.Seconds(), usage.Maxrss); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		return 2
	}
	return cmd.ProcessState.ExitCode()
}
