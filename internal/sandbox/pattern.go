package sandbox

import (
	"regexp"
	"sync"
)

// pattern is a regular expression that is compiled when it is first used. There are
// dozens, with long repetitions, and a sandbox that has just begun needs few of them.
type pattern func() *regexp.Regexp

func patternOf(text string) pattern {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

func (p pattern) MatchString(s string) bool { return p().MatchString(s) }

func (p pattern) FindString(s string) string { return p().FindString(s) }

func (p pattern) FindStringSubmatch(s string) []string { return p().FindStringSubmatch(s) }
