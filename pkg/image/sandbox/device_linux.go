package sandbox

import "golang.org/x/sys/unix"

// device is a node of /dev that every container has.
type device struct {
	name         string
	major, minor uint32
}

func (d device) number() int { return int(unix.Mkdev(d.major, d.minor)) }

func devices() []device {
	return []device{
		{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
	}
}

// devLink is a symbolic link of /dev.
type devLink struct{ name, target string }

func devLinks() []devLink {
	return []devLink{
		{"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
		{"stderr", "/proc/self/fd/2"}, {"ptmx", "pts/ptmx"},
	}
}
