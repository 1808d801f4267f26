package document

import (
	"slices"
	"strings"
)

// Projection is the members of a kind of document that will be read. What is at a
// path is kept whole; of an array on the way each element is looked at. It may be
// used by many Documents at once when it is complete.
type Projection struct {
	nodes []branch
	slots map[string]int
}

// branch is a place in the trie of paths. The places below it follow it, so that
// their slots, which are their indices, are a range.
type branch struct {
	name  string
	whole bool
	end   int32   // behind the last place below it
	mask  uint32  // of the table
	table []int32 // of the children, by hash; 0 is empty
}

// NewProjection makes a projection of paths. The empty path is the whole document.
func NewProjection(paths [][]string) *Projection {
	tree := &treeNode{}
	for _, p := range paths {
		at := tree
		for _, name := range p {
			if at.children == nil {
				at.children = map[string]*treeNode{}
			}
			child := at.children[name]
			if child == nil {
				child = &treeNode{}
				at.children[name] = child
				at.order = append(at.order, name)
			}
			at = child
		}
		at.whole = true
	}
	p := &Projection{slots: map[string]int{}}
	p.add("", tree, nil, false)
	return p
}

type treeNode struct {
	whole    bool
	children map[string]*treeNode
	order    []string
}

// add makes the branch of a path; whole says that a path above it is wanted
// whole, and with it all that lies below.
func (p *Projection) add(name string, t *treeNode, path []string, whole bool) int32 {
	at := int32(len(p.nodes))
	whole = whole || t.whole
	p.nodes = append(p.nodes, branch{name: name, whole: whole})
	p.slots[pathKey(path)] = int(at)
	size := 1
	for size < 3*len(t.order) {
		size *= 2
	}
	table := make([]int32, size)
	mask := uint32(size - 1)
	for _, childName := range t.order {
		child := p.add(childName, t.children[childName], append(slices.Clip(path), childName), whole)
		for h := hash(childName) & mask; ; h = (h + 1) & mask {
			if table[h] == 0 {
				table[h] = child
				break
			}
		}
	}
	b := &p.nodes[at]
	b.end, b.mask, b.table = int32(len(p.nodes)), mask, table
	return at
}

func pathKey(path []string) string { return strings.Join(path, "\x00") }

// Slot is where Document.At finds what is at a path; false where the path is not
// one of the projection's, nor on the way to one.
func (p *Projection) Slot(path []string) (int, bool) {
	slot, ok := p.slots[pathKey(path)]
	return slot, ok
}

// hash is of the length and the ends of a name, in which names of members differ.
func hash(name string) uint32 {
	n := uint32(len(name))
	if n == 0 {
		return 0
	}
	return n*37 + uint32(name[0])*5 + uint32(name[n-1])*11 + uint32(name[n/2])*3
}

// child is the place below one by its name, 0 where there is none.
func (p *Projection) child(at int32, name string) int32 {
	b := &p.nodes[at]
	for h := hash(name) & b.mask; ; h = (h + 1) & b.mask {
		c := b.table[h]
		if c == 0 || p.nodes[c].name == name {
			return c
		}
	}
}
