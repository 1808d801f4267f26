package app

import (
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/template"
)

// unit is a template whose rules are asked for: that of a file, or of a conformance
// pack that a file's template asks for.
type unit struct {
	pack string // its name
	*template.Template
}

// units are what comes of one file.
type units struct {
	all      []unit
	left     []leftPack
	excluded []string // says of packs that they leave the account out
	taken    []string // files that hold a pack's template
	err      error    // instead: the file's template can't be loaded
}

// leftPack is a conformance pack whose template can't be had.
type leftPack struct {
	name string
	at   knowngood.Position
	why  string
}

func (l leftPack) String() string { return fmt.Sprintf("%s (%s): %s", l.name, l.at, l.why) }

// expand takes a file's template with the conformance packs inside it. Of the
// inputs, all but the parameters hold for each pack, which has its own.
func expand(f templateFile, t *template.Template, in template.Inputs) (*units, error) {
	u := &units{all: []unit{{f.pack(), t}}}
	for _, p := range slices.Concat(t.Packs, t.OrganizationPacks) {
		if in.Account != "" && slices.Contains(p.ExcludedAccounts, in.Account) {
			u.excluded = append(u.excluded, fmt.Sprintf("%s: the conformance pack %s leaves the account %s out", p.Position, p.Name, in.Account))
			continue
		}
		inner, why, err := u.inner(f, p, in)
		if err != nil {
			return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the governance", Err: err}
		}
		if inner == nil {
			u.left = append(u.left, leftPack{p.Name, p.Position, why})
			continue
		}
		for _, q := range slices.Concat(inner.Packs, inner.OrganizationPacks) {
			u.left = append(u.left, leftPack{q.Name, q.Position, "it is in the conformance pack " + p.Name + ", and AWS Config takes none inside another"})
		}
		u.all = append(u.all, unit{p.Name, inner})
	}
	return u, nil
}

// inner loads a pack's template; where it can't be had, why says what for.
func (u *units) inner(f templateFile, p template.ConformancePack, in template.Inputs) (t *template.Template, why string, err error) {
	if p.TemplateBody != "" {
		t, err = p.Load(in)
		return t, "", err
	}
	name, from := path.Base(p.TemplateS3URI), p.TemplateS3URI
	candidates := []string{name}
	if p.TemplateS3URI == "" {
		name, from = p.TemplateDocument, "the SSM document "+p.TemplateDocument
		candidates = nil
		for _, ext := range templateExtensions {
			candidates = append(candidates, name+ext)
		}
	}
	if !f.onDisk || strings.ContainsAny(name, "/\\$") {
		return nil, "its template is " + from + ", which is not read", nil
	}
	for _, c := range candidates {
		file := filepath.Join(filepath.Dir(f.name), c)
		data, err := readFile(file)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, "", err
		}
		u.taken = append(u.taken, file)
		t, err = template.Load(file, data, p.With(in))
		return t, "", err
	}
	return nil, fmt.Sprintf("its template is %s; there is no %s beside this file to take in its place", from, strings.Join(candidates, ", ")), nil
}

// readFile reads a template, and of one that is too large no more than shows that
// it is.
func readFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	return readBounded(f)
}

func readBounded(f io.ReadCloser) ([]byte, error) {
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, template.MaxTemplateBytes+1))
}
