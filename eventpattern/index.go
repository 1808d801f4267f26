package eventpattern

import (
	"math"
	"net/netip"
	"slices"
	"sort"
)

// by is a way from a value to the branches that may want it.
type by uint8

const (
	byText by = iota
	byPrefix
	bySuffix
	byFold
	byFoldPrefix
	byFoldSuffix
	byNumber
	byDigits // of a number that can't be compared
	byKind
	byAddress
	byCIDR
	byRange
	anyValue
	ways
)

// key is a way and what is looked up on it; equal keys are filed together.
type key struct {
	by        by
	text      string
	low, high float64
	cidr      netip.Prefix
}

// keysOf gives the keys that a list of matchers is filed under. Each value that
// one of the matchers matches leads to one of them.
func keysOf(matchers []matcher) []key {
	var keys []key
	for _, m := range matchers {
		if k := keyOf(m); !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	return keys
}

func keyOf(m matcher) key {
	switch m := m.(type) {
	case exactText:
		return key{by: byText, text: m.text}
	case exactAddress:
		return key{by: byAddress, cidr: netip.PrefixFrom(m.addr, m.addr.BitLen())}
	case exactKind:
		return key{by: byKind, low: float64(m.kind)}
	case exactNum:
		if m.comp {
			return key{by: byNumber, low: m.num + 0} // no -0
		}
		return key{by: byDigits, text: m.text}
	case prefix:
		return affixKey(byPrefix, m.text)
	case suffix:
		return affixKey(bySuffix, m.text)
	case foldEqual:
		return key{by: byFold, text: foldText(m.text)}
	case foldPrefix:
		return affixKey(byFoldPrefix, foldText(m.text))
	case foldSuffix:
		return affixKey(byFoldSuffix, foldText(m.text))
	case wildcard:
		first, last := m.parts[0], m.parts[len(m.parts)-1]
		if len(m.parts) == 1 {
			return key{by: byText, text: first}
		}
		if len(first) >= len(last) {
			return affixKey(byPrefix, first)
		}
		return affixKey(bySuffix, last)
	case between:
		return key{by: byRange, low: m.low, high: m.high}
	case inPrefix:
		return key{by: byCIDR, cidr: m.prefix}
	}
	return key{by: anyValue} // exists, anything-but
}

func affixKey(way by, text string) key {
	if text == "" {
		return key{by: anyValue}
	}
	return key{by: way, text: text}
}

// index leads from a value of one field to branches.
type index struct {
	texts   [ways]map[string][]int32
	lengths [ways][]int // of the texts of prefixes and suffixes, from short to long
	numbers map[float64][]int32
	kinds   [arrayKind + 1][]int32
	cidrs   map[netip.Prefix][]int32
	bits    [2][]int // the bits of the masks in cidrs, for IPv4 and IPv6
	ranges  []numberRange
	any     []int32
}

// numberRange is an entry of ranges, which are in the order of low.
type numberRange struct {
	low, high float64
	highest   float64 // of this and all before it
	branch    int32
}

func newIndex() *index {
	return &index{numbers: map[float64][]int32{}, cidrs: map[netip.Prefix][]int32{}}
}

func (x *index) add(k key, branch int32) {
	switch k.by {
	case byNumber:
		x.numbers[k.low] = append(x.numbers[k.low], branch)
	case byKind:
		x.kinds[kind(k.low)] = append(x.kinds[kind(k.low)], branch)
	case byAddress, byCIDR:
		family := 0
		if k.cidr.Addr().Is6() {
			family = 1
		}
		x.cidrs[k.cidr] = append(x.cidrs[k.cidr], branch)
		x.bits[family] = insert(x.bits[family], k.cidr.Bits())
	case byRange:
		x.ranges = append(x.ranges, numberRange{low: k.low, high: k.high, branch: branch})
	case anyValue:
		x.any = append(x.any, branch)
	default:
		if x.texts[k.by] == nil {
			x.texts[k.by] = map[string][]int32{}
		}
		x.texts[k.by][k.text] = append(x.texts[k.by][k.text], branch)
		x.lengths[k.by] = insert(x.lengths[k.by], len(k.text))
	}
}

func insert(sorted []int, n int) []int {
	i, found := slices.BinarySearch(sorted, n)
	if found {
		return sorted
	}
	return slices.Insert(sorted, i, n)
}

// finish must follow the last add.
func (x *index) finish() {
	sort.SliceStable(x.ranges, func(i, j int) bool { return x.ranges[i].low < x.ranges[j].low })
	highest := math.Inf(-1)
	for i := range x.ranges {
		highest = max(highest, x.ranges[i].high)
		x.ranges[i].highest = highest
	}
}

// find calls try with each branch that may want a value, some more than once.
func (x *index) find(v *value, try func(int32)) {
	all(x.any, try)
	all(x.kinds[v.kind], try)
	switch v.kind {
	case stringKind:
		all(x.texts[byText][string(v.text)], try)
		x.affixes(byPrefix, bySuffix, v.text, try)
		if x.texts[byFold] != nil || x.texts[byFoldPrefix] != nil || x.texts[byFoldSuffix] != nil {
			all(x.texts[byFold][string(v.fold())], try)
			x.affixes(byFoldPrefix, byFoldSuffix, v.fold(), try)
		}
		if len(x.cidrs) > 0 {
			x.address(v, try)
		}
	case numberKind:
		if n, ok := v.number(); ok {
			all(x.numbers[n+0], try)
			x.between(n, try)
		} else {
			all(x.texts[byDigits][string(v.text)], try)
		}
	}
}

func all(branches []int32, try func(int32)) {
	for _, b := range branches {
		try(b)
	}
}

// affixes looks up the beginnings and ends of a text that have the length of one
// in the index.
func (x *index) affixes(prefixes, suffixes by, text []byte, try func(int32)) {
	for _, n := range x.lengths[prefixes] {
		if n > len(text) {
			break
		}
		all(x.texts[prefixes][string(text[:n])], try)
	}
	for _, n := range x.lengths[suffixes] {
		if n > len(text) {
			break
		}
		all(x.texts[suffixes][string(text[len(text)-n:])], try)
	}
}

func (x *index) address(v *value, try func(int32)) {
	addr, ok := v.address()
	if !ok {
		return
	}
	family := 0
	if addr.Is6() {
		family = 1
	}
	for _, bits := range x.bits[family] {
		p, _ := addr.Prefix(bits)
		all(x.cidrs[p], try)
	}
}

// between looks up the ranges that hold a number: of those that begin at or below
// it, from the last on, until none before ends at or above it.
func (x *index) between(n float64, try func(int32)) {
	i := sort.Search(len(x.ranges), func(i int) bool { return x.ranges[i].low > n })
	for i--; i >= 0 && x.ranges[i].highest >= n; i-- {
		if x.ranges[i].high >= n {
			try(x.ranges[i].branch)
		}
	}
}
