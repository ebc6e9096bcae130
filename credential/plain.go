package credential

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxPlainDepth bounds the nesting that [scanPlain] follows.
const maxPlainDepth = 32

// plainScan recognises at a glance most texts that are in canonical form already. It knows a part of the form only: no
// escapes, integers, ASCII names of members. Whatever it does not know it leaves to the general way, which is ten times
// slower and decides alone what is refused.
type plainScan struct {
	text  []byte
	at    int
	nulls bool // there was a null
}

// scanPlain tells whether the text is one that [CanonicalJSON] would return as it is, as far as it can tell; nulls,
// whether a null stands in it. A false answer says nothing.
func scanPlain(text []byte) (plain, nulls bool) {
	s := plainScan{text: text}
	return len(text) <= MaxDocument && s.value(maxPlainDepth) && s.at == len(text), s.nulls
}

func (s *plainScan) value(depth int) bool {
	if s.at == len(s.text) || depth == 0 {
		return false
	}
	switch c := s.text[s.at]; {
	case c == '{':
		return s.object(depth)
	case c == '[':
		return s.list(depth)
	case c == '"':
		_, ok := s.string()
		return ok
	case c == '-' || '0' <= c && c <= '9':
		return s.integer()
	case c == 'n':
		s.nulls = true
		return s.word("null")
	case c == 't':
		return s.word("true")
	}
	return s.word("false")
}

func (s *plainScan) word(w string) bool {
	if !bytes.HasPrefix(s.text[s.at:], []byte(w)) {
		return false
	}
	s.at += len(w)
	return true
}

// object wants names that ascend, so that none comes twice. Of ASCII names the order of bytes is that of RFC 8785.
func (s *plainScan) object(depth int) bool {
	s.at++
	if s.word("}") {
		return true
	}
	var last []byte
	for first := true; ; first = false {
		name, ok := s.string()
		if !ok || !ascii(name) || !first && bytes.Compare(last, name) >= 0 || !s.word(":") || !s.value(depth-1) {
			return false
		}
		last = name
		if s.word("}") {
			return true
		}
		if !s.word(",") {
			return false
		}
	}
}

func (s *plainScan) list(depth int) bool {
	s.at++
	if s.word("]") {
		return true
	}
	for s.value(depth - 1) {
		if s.word("]") {
			return true
		}
		if !s.word(",") {
			return false
		}
	}
	return false
}

// string wants no escapes, and of text beyond ASCII what checkText wants.
func (s *plainScan) string() (content []byte, ok bool) {
	if !s.word(`"`) {
		return nil, false
	}
	start := s.at
	for s.at < len(s.text) && s.text[s.at] != '"' {
		if c := s.text[s.at]; c < ' ' || c == '\\' {
			return nil, false
		}
		s.at++
	}
	content = s.text[start:s.at]
	if !s.word(`"`) {
		return nil, false
	}
	return content, ascii(content) || utf8.Valid(content) && !strings.ContainsRune(string(content), utf8.RuneError) && norm.NFC.IsNormal(content)
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// integer wants what a float64 holds and RFC 8785 writes digit by digit: at most 15 digits, no zero in front, not -0.
func (s *plainScan) integer() bool {
	negative := s.word("-")
	start := s.at
	for s.at < len(s.text) && '0' <= s.text[s.at] && s.text[s.at] <= '9' {
		s.at++
	}
	digits := s.text[start:s.at]
	switch {
	case len(digits) == 0 || len(digits) > 15:
		return false
	case digits[0] == '0':
		return len(digits) == 1 && !negative
	}
	return true
}
