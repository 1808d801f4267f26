package remedy

import (
	"errors"
	"io/fs"

	"github.com/goccy/go-yaml"

	"github.com/knowngood/knowngood"
)

// Entry is what a runbook's author says beside the document, in
// library/entries; its README has the meaning of the members.
type Entry struct {
	SensitiveReads []string `yaml:"sensitiveReads"`
	Replacement    string   `yaml:"replacement"`
}

// LoadEntry reads a runbook's entry. A runbook without one has the zero entry.
func LoadEntry(fsys fs.FS, runbook string) (Entry, error) {
	file := runbook + ".yaml"
	raw, err := fs.ReadFile(fsys, file)
	if errors.Is(err, fs.ErrNotExist) {
		return Entry{}, nil
	} else if err != nil {
		return Entry{}, err
	}
	var e Entry
	if err := yaml.UnmarshalWithOptions(raw, &e, yaml.Strict()); err != nil {
		return Entry{}, &knowngood.FileError{Position: knowngood.Position{File: file}, Problem: err.Error(), Want: "a runbook entry"}
	}
	return e, nil
}

// NeedsApproval says why a plan may not be applied without a person's decision,
// or "". A reversible and whole plan may.
func NeedsApproval(p *knowngood.Plan) string {
	switch {
	case len(p.Incomplete) > 0:
		return "it is incomplete: " + p.Incomplete[0]
	case p.Risk.Effect != knowngood.Reversible:
		return "it is " + string(p.Risk.Effect)
	}
	return ""
}

// Approved says whether decisions on a plan allow it: at least one for its
// hash, none against, and for an incomplete plan one that accepts that.
func Approved(p *knowngood.Plan, decisions []knowngood.Approval) bool {
	approved := false
	for _, d := range decisions {
		if d.PlanHash != p.Hash {
			continue
		}
		if !d.Approved {
			return false
		}
		approved = approved || len(p.Incomplete) == 0 || d.Incomplete
	}
	return approved
}
