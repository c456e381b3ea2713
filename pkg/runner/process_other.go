//go:build !unix

package runner

import (
	"net"
	"os"
	"os/exec"

	"github.com/devs/deploy/pkg/diag"
)

func setGroup(*exec.Cmd) {}

func setSession(*exec.Cmd) {}

func killGroup(int) {}

func termGroup(int) {}

func waitExit(int) {}

func peakMemory(int) int64 { return 0 }

func peakAfter(*os.ProcessState) int64 { return 0 }

func channel() (net.Conn, *os.File, error) {
	return nil, nil, diag.Errorf("functions run on Linux and macOS only").
		WithHint("use the container image, or WSL on Windows")
}
