package dockerfile

import (
	"errors"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/devs/deploy/pkg/diag"
)

// problem returns err, which the parser or the evaluation of node gave, as a Problem
// with the place of the word that it names.
func (t *text) problem(node *parser.Node, err error) error {
	if p, ok := errors.AsType[*diag.Problem](err); ok {
		if p.Pos.IsZero() {
			p.Pos = t.find(node, named(p.Summary))
		}
		return p
	}
	summary, hint := splitSuggestion(err.Error())
	p := diag.At(t.find(node, named(summary)), "%s", summary).WithCause(err)
	switch _, unknown := errors.AsType[*instructions.UnknownInstructionError](err); {
	case hint != "":
	case unknown:
		p.Pos = t.start(node.StartLine)
		hint = "when the line belongs to the one before, end that one with \\"
	case strings.Contains(summary, "unexpected end of statement"):
		hint = `close the quote; names with spaces need the JSON form, as in COPY ["a b", "/c"]`
	case strings.Contains(summary, "unsupported modifier (\uFFFD)"):
		p.Summary, hint = "a brace of a variable is not closed", "write ${NAME}"
	case strings.Contains(summary, "unsupported modifier"):
		hint = "use ${x:-y}, ${x:+y}, ${x:?y}, ${x#y}, ${x%y} or ${x/y/z}"
	case strings.EqualFold(node.Value, "run") && len(node.Flags) > 0:
		hint = "the flags are --mount=type=bind|cache|tmpfs|secret|ssh,target=/path, --network=default|none|host, --security=sandbox and --device=NAME"
	case !strings.HasPrefix(summary, "failed to process"):
		hint = usage(node.Value)
	}
	p.Hint = hint
	return p
}

// usage returns how an instruction is written.
func usage(instruction string) string {
	text := map[string]string{
		"add":         "ADD source... destination",
		"arg":         "ARG NAME or ARG NAME=default",
		"cmd":         `CMD command, or CMD ["program", "argument"]`,
		"copy":        "COPY source... destination",
		"entrypoint":  `ENTRYPOINT ["program", "argument"]`,
		"env":         "ENV NAME=value",
		"expose":      "EXPOSE 8080",
		"from":        "FROM image:tag, or FROM image:tag AS name",
		"healthcheck": "HEALTHCHECK --interval=30s CMD command, or HEALTHCHECK NONE",
		"label":       "LABEL name=value",
		"maintainer":  "MAINTAINER name",
		"onbuild":     "ONBUILD and one instruction other than FROM, MAINTAINER and ONBUILD",
		"run":         `RUN command, or RUN ["program", "argument"]`,
		"shell":       `SHELL ["program", "argument"]`,
		"stopsignal":  "STOPSIGNAL SIGTERM",
		"user":        "USER name, or USER uid:gid",
		"volume":      "VOLUME /path",
		"workdir":     "WORKDIR /path",
	}[strings.ToLower(instruction)]
	if text == "" {
		return ""
	}
	return "write " + text
}

// parseProblem returns an error of the parser, which knows lines only.
func (t *text) parseProblem(err error) error {
	summary, hint := splitSuggestion(err.Error())
	pos := diag.Pos{File: t.name}
	if loc, ok := errors.AsType[*parser.LocationError](err); ok && len(loc.Locations) > 0 {
		pos = t.at(loc.Locations[0])
	}
	p := &diag.Problem{Summary: summary, Pos: pos, Err: err, Hint: hint}
	switch summary {
	case "unterminated heredoc":
		p.Hint = "end it with a line that holds nothing but its word"
	case "file with no instructions":
		p.Summary, p.Pos, p.Hint = "the Dockerfile has no instructions", diag.Pos{File: t.name}, "begin with FROM and an image"
	default:
		if first, _, _ := strings.Cut(t.trimmed(pos.Line), " "); hint == "" {
			p.Hint = usage(first)
		}
	}
	return p
}

// splitSuggestion cuts " (did you mean x?)", which BuildKit appends, off a message.
func splitSuggestion(message string) (summary, hint string) {
	message = strings.ReplaceAll(message, "\n", " ")
	const open = " (did you mean "
	if i := strings.LastIndex(message, open); i >= 0 && strings.HasSuffix(message, "?)") {
		return message[:i], message[i+2 : len(message)-1]
	}
	return message, ""
}

// named returns the word of the file that a message is about: what is quoted in it, or
// what follows its last colon.
func named(message string) string {
	for _, quote := range []string{`"`, `'`} {
		if parts := strings.SplitN(message, quote, 3); len(parts) == 3 {
			return parts[1]
		}
	}
	if i := strings.LastIndex(message, ": "); i >= 0 {
		return message[i+2:]
	}
	return ""
}
