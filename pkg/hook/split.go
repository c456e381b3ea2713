package hook

import (
	"errors"
	"strings"
)

// Split splits a line into words as a POSIX shell does: white space separates,
// '…' keeps everything, "…" keeps everything but a backslash before ", \, $, ` or
// a line end, and elsewhere a backslash keeps the next character. Nothing is
// expanded; $, *, ~ and # stay as they are.
func Split(line string) ([]string, error) {
	s := splitter{rest: line}
	for s.rest != "" {
		if err := s.next(); err != nil {
			return nil, err
		}
	}
	s.endWord()
	return s.words, nil
}

type splitter struct {
	rest  string
	word  strings.Builder
	open  bool // a word has begun; it may be empty: ''
	words []string
}

func (s *splitter) endWord() {
	if s.open {
		s.words = append(s.words, s.word.String())
	}
	s.word.Reset()
	s.open = false
}

func (s *splitter) next() error {
	c := s.rest[0]
	s.rest = s.rest[1:]
	switch c {
	case ' ', '\t', '\n', '\r':
		s.endWord()
		return nil
	case '\'':
		return s.single()
	case '"':
		return s.double()
	case '\\':
		return s.escape()
	}
	s.open = true
	s.word.WriteByte(c)
	return nil
}

func (s *splitter) single() error {
	text, rest, ok := strings.Cut(s.rest, "'")
	if !ok {
		return errors.New("a ' is not closed")
	}
	s.open = true
	s.word.WriteString(text)
	s.rest = rest
	return nil
}

func (s *splitter) double() error {
	s.open = true
	for i := 0; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '"':
			s.rest = s.rest[i+1:]
			return nil
		case c == '\\' && i+1 < len(s.rest) && strings.IndexByte("\"\\$`\n", s.rest[i+1]) >= 0:
			i++
			if s.rest[i] != '\n' {
				s.word.WriteByte(s.rest[i])
			}
		default:
			s.word.WriteByte(c)
		}
	}
	return errors.New(`a " is not closed`)
}

func (s *splitter) escape() error {
	if s.rest == "" {
		return errors.New(`it ends in a \`)
	}
	if s.rest[0] != '\n' {
		s.open = true
		s.word.WriteByte(s.rest[0])
	}
	s.rest = s.rest[1:]
	return nil
}
