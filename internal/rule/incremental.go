package rule

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/knowngood/knowngood"
)

// evaluatorVersion is that of the evaluation itself. It is raised where the same rule
// on the same item may have another verdict than before.
const evaluatorVersion = 1

// Known is what earlier sweeps found, by rule and resource.
type Known map[subjectOf]knowngood.Judgement

type subjectOf struct {
	rule     string
	resource knowngood.ResourceKey
}

// Remember makes judgements known.
func Remember(list []knowngood.Judgement) Known {
	k := make(Known, len(list))
	for _, j := range list {
		k[subjectOf{j.Rule, j.Resource}] = j
	}
	return k
}

// Judgement is what is known of a rule on a resource.
func (k Known) Judgement(rule string, resource knowngood.ResourceKey) (knowngood.Judgement, bool) {
	j, ok := k[subjectOf{rule, resource}]
	return j, ok
}

// All are all that are known, in no order.
func (k Known) All() iter.Seq[knowngood.Judgement] { return maps.Values(k) }

// Incremental is a Sweep that evaluates only what may have changed: a rule is left
// out where its definition, parameters and scope, the item, and all resources of the
// types that it looks up are those of a known verdict. A rule that reads the time is
// always evaluated. It serves one goroutine, and the items of one Lookup.
type Incremental struct {
	sweep  *Sweep
	lookup Lookup
	known  Known
	rules  map[*plan][]byte // digests of the rules
	others map[string][]byte
	hashes map[*knowngood.Resource][]byte
	buffer []byte
	out    []knowngood.Judgement
	reused int
}

// Incremental binds the time of an evaluation, what rules look up in, and what is
// known.
func (s *Set) Incremental(now time.Time, lookup Lookup, known Known) *Incremental {
	return &Incremental{
		sweep: s.Sweep(now), lookup: lookup, known: known,
		rules: map[*plan][]byte{}, others: map[string][]byte{}, hashes: map[*knowngood.Resource][]byte{},
	}
}

// Reused is how many verdicts were known.
func (i *Incremental) Reused() int { return i.reused }

// Resource gives the verdicts of all rules that look at an item and have it in scope,
// in the order of the rules' names, as Sweep.Resource does; a known one has the time
// at which it was found. They are good until the next call. The item is not changed
// while the Incremental is in use.
func (i *Incremental) Resource(item *knowngood.Resource) []knowngood.Judgement {
	i.out = i.out[:0]
	t := i.sweep.engine.types[item.Type]
	if t == nil {
		return nil
	}
	bases := make(map[string]string, len(t.plans))
	for _, p := range t.plans {
		if !p.active.Scope.Covers(item) {
			continue
		}
		basis := i.basis(p, item)
		if was, ok := i.known[subjectOf{p.active.Name, item.Key()}]; ok && basis != "" && was.Basis == basis {
			i.out = append(i.out, was)
			i.reused++
			continue
		}
		bases[p.active.Name] = basis
	}
	if len(bases) == 0 {
		return i.out
	}
	fresh := i.sweep.resource(item, i.lookup, func(p *plan) bool {
		_, ok := bases[p.active.Name]
		return ok
	})
	for _, e := range fresh {
		i.out = append(i.out, knowngood.Judgement{Evaluation: e, Basis: bases[e.Rule]})
	}
	slices.SortFunc(i.out, func(a, b knowngood.Judgement) int { return cmp.Compare(a.Rule, b.Rule) })
	return i.out
}

// basis is a digest of all that a rule's verdict on an item rests on; "" where it
// rests on the time, or on what has no digest.
func (i *Incremental) basis(p *plan, item *knowngood.Resource) string {
	d := p.active.Rule.Definition
	if d.timed() {
		return ""
	}
	rule, ok := i.rules[p]
	if !ok {
		rule = p.active.digest()
		i.rules[p] = rule
	}
	hash := i.hash(item)
	if hash == nil {
		return ""
	}
	i.buffer = append(append(i.buffer[:0], rule...), hash...)
	for _, t := range slices.Sorted(maps.Keys(d.Others)) {
		all := i.other(t)
		if all == nil {
			return ""
		}
		i.buffer = append(append(i.buffer, t...), all...)
	}
	sum := sha256.Sum256(i.buffer)
	return hex.EncodeToString(sum[:16])
}

// other is a digest of all resources of a type that can be looked up, and of why some
// can't.
func (i *Incremental) other(resourceType string) []byte {
	if d, ok := i.others[resourceType]; ok {
		return d
	}
	h := sha256.New()
	if i.lookup != nil {
		found, err := i.lookup.Resources(resourceType)
		for _, r := range found {
			sum := i.hash(r)
			if sum == nil {
				return nil
			}
			h.Write(sum)
		}
		if err != nil {
			h.Write([]byte(err.Error()))
		}
	}
	d := h.Sum(nil)
	i.others[resourceType] = d
	return d
}

// hash is that of an item but for when it was read.
func (i *Incremental) hash(item *knowngood.Resource) []byte {
	if sum, ok := i.hashes[item]; ok {
		return sum
	}
	same := *item
	same.CaptureTime, same.StateID = time.Time{}, ""
	raw, err := json.Marshal(&same)
	if err != nil {
		return nil // JSON has no infinite numbers: such an item is never known
	}
	sum := sha256.Sum256(raw)
	i.hashes[item] = sum[:]
	return sum[:]
}

// digest is of all that a rule is: what it says, its parameters and its scope.
func (a Active) digest() []byte {
	d := a.Rule.Definition
	raw, err := json.Marshal([]any{
		evaluatorVersion, d.Identifier, d.Title, d.ResourceTypes, d.Applies, d.Compliant, d.Annotation, a.Rule.params, a.Scope,
	})
	if err != nil {
		return nil // texts, numbers and lists of texts can always be written
	}
	sum := sha256.Sum256(raw)
	return sum[:]
}

// timed says whether the rule's verdict or its text rests on the time.
func (d *Definition) timed() bool {
	return slices.ContainsFunc(d.expressions(), func(e *expression) bool { return e.timed })
}
