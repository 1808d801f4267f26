package remedy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/strictyaml"
)

// Operations is the table of writes, library/operations: what each does, what
// takes it back, and how it is settled after a crash.
type Operations map[string]WriteOperation // by service:Operation

// WriteOperation is one row of the table; library/operations/README.md has the
// meaning of its members.
type WriteOperation struct {
	Effect  knowngood.Effect `yaml:"effect"`
	Inverse string           `yaml:"inverse"`
	Settle  Settlement       `yaml:"settle"`
	Token   string           `yaml:"token"`
	Plain   bool             `yaml:"plain"`
	Mark    string           `yaml:"mark"`
	Tag     string           `yaml:"tag"`
	Lookup  *Lookup          `yaml:"lookup"`
	Gone    []string         `yaml:"gone"`
}

// Settlement is how a write whose outcome is not known is settled.
type Settlement string

// The ways to settle a write.
const (
	SettleToken   Settlement = "token"   // sent again with the same client token
	SettleTag     Settlement = "tag"     // found again by its run-and-step tag
	SettleState   Settlement = "state"   // the state that it brings is read
	SettleNatural Settlement = "natural" // sent again: a repeat is harmless
	SettlePerson  Settlement = "person"  // nothing shows it: never sent again, a person decides
)

// repeatable says whether a write may be sent again although it may have taken
// effect. What is in no table may not.
func (w WriteOperation) repeatable() bool {
	return w.Settle == SettleToken || w.Settle == SettleNatural
}

// Lookup is a read that finds a write's effect.
type Lookup struct {
	Operation string         `yaml:"operation"`
	Input     map[string]any `yaml:"input"`
	Found     string         `yaml:"found"`
}

// LoadOperations reads the table: one file for each service. Errors are
// *knowngood.FileError.
func LoadOperations(fsys fs.FS) (Operations, error) {
	files, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, err
	}
	table := Operations{}
	for _, file := range files {
		raw, err := fs.ReadFile(fsys, file)
		if err != nil {
			return nil, err
		}
		var rows map[string]WriteOperation
		if err := strictyaml.Decode(file, raw, &rows, "a table of write operations"); err != nil {
			return nil, err
		}
		service := strings.TrimSuffix(path.Base(file), ".yaml")
		for name, row := range rows {
			if problem := row.problem(); problem != "" {
				return nil, &knowngood.FileError{Position: knowngood.Position{File: file}, Problem: name + ": " + problem}
			}
			table[service+":"+name] = row
		}
	}
	return table, nil
}

func (w WriteOperation) problem() string {
	switch w.Effect {
	case knowngood.Reversible, knowngood.Disruptive:
		if w.Inverse == "" {
			return "it can be taken back and has no inverse"
		}
	case knowngood.Irreversible:
	default:
		return fmt.Sprintf("unknown effect %q", w.Effect)
	}
	switch w.Settle {
	case SettleToken:
		if w.Token == "" {
			return "settled by token, and has no token"
		}
	case SettleTag:
		if w.Tag == "" || w.Lookup == nil {
			return "settled by tag, and has no tag or no lookup"
		}
	case SettleState:
		if w.Lookup == nil {
			return "settled by state, and has no lookup"
		}
	case SettleNatural, SettlePerson:
	default:
		return fmt.Sprintf("unknown way to settle %q", w.Settle)
	}
	return ""
}

// StepTag is the tag by which a write without client token is found again.
const StepTag = "knowngood:step"

// prepare gives a write's input with what makes it possible to settle it: a
// client token or a tag, both made of the run and the step alone, so that every
// attempt at the same call carries the same.
func (w WriteOperation) prepare(runID, step string, input map[string]any) map[string]any {
	mark := runID + "/" + step
	out := make(map[string]any, len(input)+1)
	for k, v := range input {
		out[k] = v
	}
	switch w.Settle {
	case SettleToken:
		if _, given := out[w.Token]; !given {
			if out[w.Token] = mark; w.Plain || len(mark) > maxToken {
				out[w.Token] = clientToken(mark)
			}
		}
	case SettleTag:
		specs, _ := out["TagSpecifications"].([]any)
		tag := map[string]any{"Key": StepTag, "Value": mark}
		merged := false
		var all []any
		for _, s := range specs {
			spec, ok := s.(map[string]any)
			if ok && spec["ResourceType"] == w.Tag && !merged {
				tags, _ := spec["Tags"].([]any)
				s = map[string]any{"ResourceType": w.Tag, "Tags": append(append([]any{}, tags...), tag)}
				merged = true
			}
			all = append(all, s)
		}
		if !merged {
			all = append(all, map[string]any{"ResourceType": w.Tag, "Tags": []any{tag}})
		}
		out["TagSpecifications"] = all
	}
	if w.Mark != "" {
		said, _ := out[w.Mark].(string)
		token := clientToken(mark)
		if most := maxMarked - len(token) - 1; len(said) > most {
			said = strings.ToValidUTF8(said[:most], "")
		}
		out[w.Mark] = strings.TrimSpace(said + " " + token)
	}
	return out
}

// maxToken is how long a client token may be: EC2's.
const maxToken = 64

// maxMarked is how long a text with a mark in it may become: SendCommand's
// Comment.
const maxMarked = 100

var tokenForm = regexp.MustCompile(`[^A-Za-z0-9-]+`)

// clientToken makes of a mark what every service takes as a client token:
// letters, digits and hyphens, maxToken at most.
func clientToken(mark string) string {
	sum := sha256.Sum256([]byte(mark))
	readable := tokenForm.ReplaceAllString(mark, "-")
	return readable[:min(len(readable), 47)] + "-" + hex.EncodeToString(sum[:8])
}
