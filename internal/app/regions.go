package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/inventory"
)

// estate is where a scan reads.
type estate struct {
	regions []string // each once, sorted
	// partial: there are Regions that are not read, or may be.
	partial bool
	unread  []knowngood.ReadError // why it is not known which Regions there are
}

// regionsOfAccount stands for a resource type in the read error of the list of Regions.
const regionsOfAccount = "Regions"

// checkRegions takes the Regions that a flag names.
func checkRegions(asked []string) ([]string, error) {
	out := slices.Compact(slices.Sorted(slices.Values(asked)))
	for _, name := range out {
		if !regionName.MatchString(name) {
			return nil, knowngood.E(knowngood.Usage, "find the Region", "%q is no Region's name; expected one such as eu-west-1", name).WithHint("--region takes names with commas between, and may be repeated")
		}
	}
	return out, nil
}

// estate is the Regions that are asked for, else all that are enabled for the
// account: by EC2, or by Account Management where EC2 may not be asked. Where neither
// tells, it is the session's own Region, and says so.
func (ses *session) estate(ctx context.Context, asked []string) (estate, error) {
	if len(asked) > 0 {
		return estate{regions: asked, partial: true}, nil
	}
	own := awsapi.Region(ses.place.Region)
	out, err := ses.client.Call(ctx, "ec2", "DescribeRegions", map[string]any{"AllRegions": false}, own)
	names := texts(out, "Regions", "RegionName")
	if err != nil && ctx.Err() == nil {
		var other error
		for page, err := range ses.client.Pages(ctx, "account", "ListRegions", map[string]any{"RegionOptStatusContains": []any{"ENABLED", "ENABLED_BY_DEFAULT"}}, own) {
			other = cmp.Or(other, err)
			names = append(names, texts(page, "Regions", "RegionName")...)
		}
		if other != nil {
			names = nil
		}
	}
	switch {
	case ctx.Err() != nil:
		return estate{}, ctx.Err()
	case len(names) > 0:
		return estate{regions: slices.Compact(slices.Sorted(slices.Values(names)))}, nil
	case err == nil:
		err = errors.New("EC2 names no Region")
	}
	var e *awsapi.Error
	code, message := inventory.CodeFailed, err.Error()
	if errors.As(err, &e) {
		code, message = e.Code, cmp.Or(e.Message, message)
	}
	return estate{regions: []string{ses.place.Region}, partial: true, unread: []knowngood.ReadError{{
		Place: ses.place, Type: regionsOfAccount, Service: "ec2", Operation: "DescribeRegions", Code: code, Message: message,
	}}}, nil
}

// texts are a member of each element of a list.
func texts(out map[string]any, list, member string) []string {
	var names []string
	elements, _ := out[list].([]any)
	for _, e := range elements {
		m, _ := e.(map[string]any)
		if s, ok := m[member].(string); ok {
			names = append(names, s)
		}
	}
	return names
}

// String is what a scan says of its Regions before it reads.
func (e estate) String() string {
	if len(e.regions) == 1 {
		return "Region " + e.regions[0]
	}
	return fmt.Sprintf("%d Regions: %s", len(e.regions), strings.Join(e.regions, ", "))
}

// globalRegion is where the partition has what is global.
func (ses *session) globalRegion() string {
	p, _ := ses.catalog.Partition(ses.place.Region) // a Region that no partition knows is in the first
	return cmp.Or(p.ImplicitGlobalRegion, ses.place.Region)
}

// in is the session in another Region; for what is global, where the partition has
// it.
func (ses *session) in(region string) *session {
	if region == inventory.Global {
		region = ses.globalRegion()
	}
	other := *ses
	other.place.Region = region
	return &other
}

// governances are a governance in each Region: a template may name its Region.
type governances struct {
	options governanceOptions
	place   knowngood.Place
	byName  map[string]*governance
}

func (o governanceOptions) in(place knowngood.Place) *governances {
	return &governances{o, place, map[string]*governance{}}
}

// at is the governance of a Region. Templates that don't name the Region are the same
// everywhere, and are read once.
func (gs *governances) at(region string) (*governance, error) {
	for _, g := range gs.byName {
		if !g.regional {
			return g, nil
		}
	}
	if g, ok := gs.byName[region]; ok {
		return g, nil
	}
	place := gs.place
	place.Region = region
	g, err := gs.options.load(place)
	if err == nil {
		gs.byName[region] = g
	}
	return g, err
}
