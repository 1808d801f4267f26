package awsapi

import (
	"encoding/json"
	"fmt"
	"regexp"
	"sort"
	"sync"
)

// Partition is a group of Regions: aws, aws-cn, aws-us-gov, aws-iso, ...
type Partition struct {
	ID      string
	Regions []string // sorted
	// ImplicitGlobalRegion is where the partition's global services are.
	ImplicitGlobalRegion string
}

type partitionTable struct {
	list []partitionEntry
}

type partitionEntry struct {
	ID          string
	RegionRegex string
	Regions     map[string]map[string]any
	Outputs     map[string]any
	pattern     *regexp.Regexp
}

type partitionsCache struct {
	once  sync.Once
	table *partitionTable
	err   error
}

func (c *Catalog) partitionTable() (*partitionTable, error) {
	p := &c.partitions
	p.once.Do(func() {
		var doc struct{ Partitions []partitionEntry }
		if err := json.Unmarshal(c.index.Partitions, &doc); err != nil {
			p.err = fmt.Errorf("%w: partitions: %v", errCorrupt, err)
			return
		}
		if len(doc.Partitions) == 0 {
			p.err = fmt.Errorf("%w: no partitions", errCorrupt)
			return
		}
		for i := range doc.Partitions {
			e := &doc.Partitions[i]
			if e.pattern, p.err = regexp.Compile(e.RegionRegex); p.err != nil {
				return
			}
		}
		p.table = &partitionTable{doc.Partitions}
	})
	return p.table, p.err
}

// find gives a Region's partition: the one that lists it, else the one whose
// pattern it fits, else the first, aws.
func (t *partitionTable) find(region string) *partitionEntry {
	for i := range t.list {
		if _, ok := t.list[i].Regions[region]; ok {
			return &t.list[i]
		}
	}
	for i := range t.list {
		if t.list[i].pattern.MatchString(region) {
			return &t.list[i]
		}
	}
	return &t.list[0]
}

// attributes is what the rule function aws.partition gives.
func (t *partitionTable) attributes(region string) map[string]any {
	p := t.find(region)
	out := map[string]any{"name": p.ID}
	for k, v := range p.Outputs {
		out[k] = v
	}
	for k, v := range p.Regions[region] {
		if k != "description" {
			out[k] = v
		}
	}
	return out
}

// Partition gives the partition of a Region.
func (c *Catalog) Partition(region string) (Partition, error) {
	t, err := c.partitionTable()
	if err != nil {
		return Partition{}, err
	}
	p := t.find(region)
	out := Partition{ID: p.ID}
	for r := range p.Regions {
		out.Regions = append(out.Regions, r)
	}
	sort.Strings(out.Regions)
	out.ImplicitGlobalRegion, _ = p.Outputs["implicitGlobalRegion"].(string)
	return out, nil
}
