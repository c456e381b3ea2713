package dockerfile

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"

	"github.com/devs/deploy/pkg/diag"
)

// maxPorts is how many ports one EXPOSE can name: all, of all three protocols.
const maxPorts = 3 * 65536

// expose evaluates EXPOSE. Each word can hold several ports after expansion.
func (x *step) expose(c *instructions.ExposeCommand) error {
	var exposed []string
	for _, word := range c.Ports {
		words, err := x.lex.ProcessWords(word, &metered{env: x.env})
		if err != nil {
			return err
		}
		for _, w := range words {
			ports, err := x.ports(w, c)
			if err != nil {
				return err
			}
			if exposed = append(exposed, ports...); len(exposed) > maxPorts {
				return diag.Errorf("EXPOSE names more than %d ports", maxPorts)
			}
		}
	}
	if x.config.ExposedPorts == nil {
		x.config.ExposedPorts = map[string]struct{}{}
	}
	for _, p := range exposed {
		x.config.ExposedPorts[p] = struct{}{}
	}
	x.history = fmt.Sprintf("EXPOSE %v", exposed)
	return nil
}

// ports reads [[ip:]host:]port[-port][/protocol]. The parts before the port are
// accepted, without effect, as docker does.
func (x *step) ports(word string, c instructions.Command) ([]string, error) {
	wrong := diag.Errorf("EXPOSE: %q is no port", word).WithHint("write it as 8080, 8080/udp or 8000-8010/tcp")
	ip, host, port := splitPort(word)
	port, protocol, _ := strings.Cut(port, "/")
	if protocol == "" {
		protocol = "tcp"
	}
	if protocol != strings.ToLower(protocol) {
		x.lint.Run(&linter.RuleExposeProtoCasing, c.Location(), linter.RuleExposeProtoCasing.Format(word))
		protocol = strings.ToLower(protocol)
	}
	if ip != "" || host != "" {
		x.lint.Run(&linter.RuleExposeInvalidFormat, c.Location(), linter.RuleExposeInvalidFormat.Format(word))
	}
	first, last, ok := portRange(port)
	if !ok || protocol != "tcp" && protocol != "udp" && protocol != "sctp" {
		return nil, wrong
	}
	if ip != "" && net.ParseIP(strings.Trim(ip, "[]")) == nil {
		return nil, wrong
	}
	if host != "" {
		hostFirst, hostLast, ok := portRange(host)
		if !ok || last != first && hostLast-hostFirst != last-first {
			return nil, wrong
		}
	}
	var list []string
	for p := first; p <= last; p++ {
		list = append(list, strconv.Itoa(p)+"/"+protocol)
	}
	return list, nil
}

// splitPort cuts ip:host:port at its last two colons.
func splitPort(word string) (ip, host, port string) {
	i := strings.LastIndex(word, ":")
	if i < 0 {
		return "", "", word
	}
	rest, port := word[:i], word[i+1:]
	if j := strings.LastIndex(rest, ":"); j >= 0 {
		return rest[:j], rest[j+1:], port
	}
	return "", rest, port
}

func portRange(s string) (first, last int, ok bool) {
	from, to, isRange := strings.Cut(s, "-")
	if !isRange {
		to = from
	}
	f, err1 := strconv.ParseUint(from, 10, 16)
	l, err2 := strconv.ParseUint(to, 10, 16)
	return int(f), int(l), err1 == nil && err2 == nil && f <= l
}
