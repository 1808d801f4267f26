package inventory

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

// Source is where a scan has its items from: the services' own APIs, as a Collector,
// or what AWS Config has recorded of them.
type Source interface {
	// Collect gives the items of the types. What could not be read leaves the rest and
	// is in the errors, each with its place. When ctx ends, what is missing is in the
	// errors.
	Collect(ctx context.Context, place knowngood.Place, types []string) ([]knowngood.Resource, []knowngood.ReadError, Stats)
}

// RecordedSource is the source of items that AWS Config has recorded: in one account and
// Region, or in all that an aggregator covers. An item is as old as its CaptureTime
// says.
type RecordedSource struct {
	Caller     awsapi.Caller
	Catalog    *awsapi.Catalog
	Table      *Table
	Clock      knowngood.Clock
	Aggregator string // its name; empty: the recorder of the place
}

// Codes of read errors of what AWS Config has recorded.
const (
	// CodeNotRecorded: AWS Config does not record it, or there is none; which of the
	// two an aggregator doesn't say.
	CodeNotRecorded = "NotRecorded"
	// CodeNothingRecorded: the aggregator has no item of an account.
	CodeNothingRecorded = "NothingRecorded"
	// CodeUnprocessed: Config knows the resource and gave no item of it.
	CodeUnprocessed = "UnprocessedResource"
)

// Bounds of Config's calls. Source: AWS Config API Reference,
// BatchGetAggregateResourceConfig and SelectAggregateResourceConfig.
const (
	batchSize      = 100
	selectPage     = 100
	longestExpress = 4096 // characters of an expression
	batchTries     = 3
)

// Collect implements Source. Of an aggregator, place is its own, and the items are
// of all accounts and Regions that it covers.
func (r *RecordedSource) Collect(ctx context.Context, place knowngood.Place, types []string) ([]knowngood.Resource, []knowngood.ReadError, Stats) {
	s := &recordedRead{RecordedSource: r, place: place, began: r.Clock.Now(), calls: map[string]int{}, regions: map[string][]string{}, items: map[knowngood.ResourceKey]*knowngood.Resource{}}
	types = slices.Compact(slices.Sorted(slices.Values(types)))
	s.types = types
	asked := slices.DeleteFunc(slices.Clone(types), func(name string) bool {
		t, ok := r.Table.Type(name)
		return !ok || t.Unrecorded
	})
	for _, name := range types {
		if !slices.Contains(asked, name) {
			s.fail(place, name, "", "SelectResourceConfig", CodeNotRecorded, "AWS Config has no items of it")
		}
	}
	if r.Aggregator != "" {
		s.sources(ctx)
	} else {
		asked = s.recorded(ctx, asked)
	}
	for _, names := range expressions(asked) {
		s.read(ctx, names)
	}
	items := s.finish(asked)
	return items, s.errors, Stats{Calls: s.calls, Items: len(items), Duration: r.Clock.Now().Sub(s.began)}
}

// recordedRead is one reading of what Config has recorded.
type recordedRead struct {
	*RecordedSource
	place   knowngood.Place
	began   time.Time
	types   []string
	calls   map[string]int
	regions map[string][]string // of an aggregator's accounts
	items   map[knowngood.ResourceKey]*knowngood.Resource
	failed  []string // types of which something could not be selected
	errors  []knowngood.ReadError
}

// Call implements awsapi.Caller: it counts.
func (s *recordedRead) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	s.calls[service+":"+operation]++
	return s.Caller.Call(ctx, service, operation, in, append(opts, awsapi.Region(s.place.Region))...)
}

func (s *recordedRead) fail(place knowngood.Place, typ, id, operation, code, message string) {
	s.errors = append(s.errors, knowngood.ReadError{Place: place, Type: typ, ID: id, Service: "config", Operation: operation, Code: code, Message: message})
}

// failAll says that nothing is known of a place: of none of the types.
func (s *recordedRead) failAll(place knowngood.Place, operation, code, message string) {
	for _, name := range s.types {
		s.fail(place, name, "", operation, code, message)
	}
}

func (s *recordedRead) failCall(typ, operation string, err error) {
	s.fail(s.place, typ, "", operation, cmp.Or(errorCode(err), CodeFailed), errorMessage(err))
}

// operation is the aggregator's form of an operation where there is an aggregator.
func (s *recordedRead) operation(one, aggregate string) string {
	if s.Aggregator != "" {
		return aggregate
	}
	return one
}

// sources says of which accounts the aggregator has nothing new: nothing of them may
// be taken for well.
func (s *recordedRead) sources(ctx context.Context) {
	const operation = "DescribeConfigurationAggregatorSourcesStatus"
	for page, err := range awsapi.Pages(ctx, s, s.Catalog, "config", operation, map[string]any{"ConfigurationAggregatorName": s.Aggregator}) {
		if err != nil {
			s.failAll(s.place, operation, cmp.Or(errorCode(err), CodeFailed), errorMessage(err))
			return
		}
		for _, e := range elements(page, "AggregatedSourceStatusList") {
			text := func(name string) string { v, _ := at(e, name).(string); return v }
			if text("SourceType") != "ACCOUNT" {
				continue // what is wrong with the organization is wrong with each account
			}
			account, region := text("SourceId"), text("AwsRegion")
			s.regions[account] = append(s.regions[account], region)
			if status := text("LastUpdateStatus"); status != "SUCCEEDED" {
				s.failAll(knowngood.Place{Partition: s.place.Partition, Account: account, Region: region}, operation, cmp.Or(text("LastErrorCode"), status),
					fmt.Sprintf("the aggregator's data of it is %s: %s", strings.ToLower(status), text("LastErrorMessage")))
			}
		}
	}
}

// recorded leaves those of the types that the place's recorder records.
func (s *recordedRead) recorded(ctx context.Context, types []string) []string {
	out, err := s.Call(ctx, "config", "DescribeConfigurationRecorders", nil)
	if err != nil {
		s.failAll(s.place, "DescribeConfigurationRecorders", cmp.Or(errorCode(err), CodeFailed), errorMessage(err))
		return types
	}
	recorders := elements(out, "ConfigurationRecorders")
	if len(recorders) == 0 {
		s.failAll(s.place, "DescribeConfigurationRecorders", "NoAvailableConfigurationRecorder", "AWS Config has no recorder here")
		return nil
	}
	status, err := s.Call(ctx, "config", "DescribeConfigurationRecorderStatus", nil)
	if err != nil {
		s.failAll(s.place, "DescribeConfigurationRecorderStatus", cmp.Or(errorCode(err), CodeFailed), errorMessage(err))
	} else if !slices.ContainsFunc(elements(status, "ConfigurationRecordersStatus"), func(e any) bool { return at(e, "recording") == true }) {
		s.failAll(s.place, "DescribeConfigurationRecorderStatus", "RecorderStopped", "the recorder is stopped: what has changed since then is not known")
	}
	return slices.DeleteFunc(types, func(name string) bool {
		if slices.ContainsFunc(recorders, func(e any) bool { return groupHolds(at(e, "recordingGroup"), name) }) {
			return false
		}
		s.fail(s.place, name, "", "DescribeConfigurationRecorders", CodeNotRecorded, "the recorder does not record the type")
		return true
	})
}

// identityTypes are recorded only where the recorder includes global types.
// Source: AWS Config API Reference, RecordingGroup.
var identityTypes = []string{"AWS::IAM::Group", "AWS::IAM::Policy", "AWS::IAM::Role", "AWS::IAM::User"}

// groupHolds says whether a recording group holds a type.
func groupHolds(group any, name string) bool {
	holds := func(path string) bool { return slices.Contains(elements(group, path), any(name)) }
	switch strategy, _ := at(group, "recordingStrategy.useOnly").(string); {
	case group == nil:
		return !slices.Contains(identityTypes, name)
	case strategy == "EXCLUSION_BY_RESOURCE_TYPES":
		return !holds("exclusionByResourceTypes.resourceTypes")
	case strategy == "INCLUSION_BY_RESOURCE_TYPES" || at(group, "allSupported") != true:
		return holds("resourceTypes")
	}
	return !slices.Contains(identityTypes, name) || at(group, "includeGlobalResourceTypes") == true
}

const selected = "SELECT accountId, awsRegion, resourceType, resourceId, tags, relationships WHERE resourceType IN ("

// expressions puts types together as far as one expression holds them.
func expressions(types []string) [][]string {
	var out [][]string
	length := longestExpress
	for _, name := range types {
		if length += len(name) + 3; length >= longestExpress {
			out, length = append(out, nil), len(selected)+len(name)+3
		}
		out[len(out)-1] = append(out[len(out)-1], name)
	}
	return out
}

// identifier is a resource that is to be read, and the Regions that may be the one of
// its record. A global resource is recorded in some Region, and Config's queries
// don't say which.
type identifier struct {
	knowngood.ResourceKey
	regions []string
}

// read reads the items of some types.
func (s *recordedRead) read(ctx context.Context, types []string) {
	operation := s.operation("SelectResourceConfig", "SelectAggregateResourceConfig")
	in := map[string]any{"Expression": selected + "'" + strings.Join(types, "','") + "')", "Limit": int64(selectPage)}
	if s.Aggregator != "" {
		in["ConfigurationAggregatorName"] = s.Aggregator
	}
	var wanted []identifier
	for page, err := range awsapi.Pages(ctx, s, s.Catalog, "config", operation, in) {
		if err != nil {
			for _, name := range types {
				s.failCall(name, operation, err)
			}
			s.failed = append(s.failed, types...)
			break // what was selected counts
		}
		for _, row := range elements(page, "Results") {
			if id, ok := s.row(row); ok {
				wanted = append(wanted, id)
			}
		}
	}
	for len(wanted) > 0 && ctx.Err() == nil {
		var missed []identifier
		for chunk := range slices.Chunk(wanted, batchSize) {
			missed = append(missed, s.batch(ctx, chunk)...)
		}
		wanted = missed
		if len(wanted) > 0 && s.Clock.Sleep(ctx, time.Second) != nil {
			break
		}
	}
	for _, id := range wanted {
		s.lost(id.ResourceKey, CodeFailed, "the scan ended before it was read")
	}
}

// row takes what a query says of a resource; false where it is known already.
func (s *recordedRead) row(text any) (identifier, bool) {
	raw, _ := text.(string)
	var row struct {
		AccountID, AWSRegion, ResourceType, ResourceID string
		Tags                                           []struct{ Key, Value string }
		Relationships                                  []knowngood.Relationship
	}
	if err := json.Unmarshal([]byte(raw), &row); err != nil || row.ResourceID == "" {
		s.fail(s.place, row.ResourceType, "", s.operation("SelectResourceConfig", "SelectAggregateResourceConfig"), CodeNoID, "the answer holds a resource without an id")
		return identifier{}, false
	}
	key := knowngood.ResourceKey{Account: row.AccountID, Region: row.AWSRegion, Type: row.ResourceType, ID: row.ResourceID}
	if s.items[key] != nil {
		return identifier{}, false
	}
	item := &knowngood.Resource{Tags: map[string]string{}, RelatedEvents: []string{}, Relationships: append([]knowngood.Relationship{}, row.Relationships...)}
	for _, tag := range row.Tags {
		item.Tags[tag.Key] = tag.Value
	}
	s.items[key] = item
	id := identifier{key, slices.Repeat([]string{key.Region}, batchTries)}
	if key.Region == globalRegion && s.Aggregator != "" {
		id.regions = append([]string{globalRegion}, s.regions[key.Account]...)
	}
	return id, true
}

// lost says that a resource has no item.
func (s *recordedRead) lost(key knowngood.ResourceKey, code, why string) {
	delete(s.items, key)
	s.fail(knowngood.Place{Partition: s.place.Partition, Account: key.Account, Region: key.Region}, key.Type, key.ID, s.operation("BatchGetResourceConfig", "BatchGetAggregateResourceConfig"), code, why)
}

// batch reads items and gives those that are to be asked for again.
func (s *recordedRead) batch(ctx context.Context, ids []identifier) []identifier {
	in, operation, found := map[string]any{}, "BatchGetResourceConfig", "baseConfigurationItems"
	list := make([]any, len(ids))
	if s.Aggregator == "" {
		for i, id := range ids {
			list[i] = map[string]any{"resourceType": id.Type, "resourceId": id.ID}
		}
		in["resourceKeys"] = list
	} else {
		operation, found = "BatchGetAggregateResourceConfig", "BaseConfigurationItems"
		for i, id := range ids {
			list[i] = map[string]any{"SourceAccountId": id.Account, "SourceRegion": id.regions[0], "ResourceType": id.Type, "ResourceId": id.ID}
		}
		in["ConfigurationAggregatorName"], in["ResourceIdentifiers"] = s.Aggregator, list
	}
	out, err := s.Call(ctx, "config", operation, in)
	if err != nil {
		for _, id := range ids {
			s.lost(id.ResourceKey, cmp.Or(errorCode(err), CodeFailed), errorMessage(err))
		}
		return nil
	}
	got := map[knowngood.ResourceKey]bool{}
	for _, e := range elements(out, found) {
		if key, ok := s.fill(e); ok {
			got[key] = true
		}
	}
	var again []identifier
	for _, id := range ids {
		switch id.regions = id.regions[1:]; {
		case got[id.ResourceKey]:
		case len(id.regions) > 0:
			again = append(again, id)
		default:
			s.lost(id.ResourceKey, CodeUnprocessed, "AWS Config gave no item of it")
		}
	}
	return again
}

// fill takes an item as Config's batches give it.
func (s *recordedRead) fill(from any) (knowngood.ResourceKey, bool) {
	text := func(name string) string { v, _ := at(from, name).(string); return v }
	key := knowngood.ResourceKey{Account: text("accountId"), Region: text("awsRegion"), Type: text("resourceType"), ID: text("resourceId")}
	r := s.items[key]
	if r == nil {
		return key, false
	}
	r.Version, r.AccountID, r.Status, r.StateID, r.ARN = text("version"), key.Account, knowngood.ItemStatus(text("configurationItemStatus")), text("configurationStateId"), text("arn")
	r.Type, r.ID, r.Name, r.Region, r.AvailabilityZone = key.Type, key.ID, text("resourceName"), key.Region, text("availabilityZone")
	r.CaptureTime, _ = at(from, "configurationItemCaptureTime").(time.Time)
	if created, ok := at(from, "resourceCreationTime").(time.Time); ok {
		r.CreationTime = &created
	}
	configuration, whole := plain(forms["json"](text("configuration"))).(map[string]any)
	if r.Configuration = configuration; !whole {
		r.Unread = append(r.Unread, knowngood.ReadError{
			Place: knowngood.Place{Partition: s.place.Partition, Account: key.Account, Region: key.Region}, Type: key.Type, ID: key.ID, Path: "configuration",
			Service: "config", Operation: "BatchGetResourceConfig", Code: CodeFailed, Message: "the item's configuration is no JSON object",
		})
	}
	r.Supplementary = map[string]any{}
	parts, _ := at(from, "supplementaryConfiguration").(map[string]any)
	for name, v := range parts {
		// Each is JSON's text; one that is not is itself the value.
		r.Supplementary[name] = plain(forms["json"](v))
	}
	if t, ok := s.Table.Type(key.Type); ok {
		s.unrecorded(t, r)
	}
	return key, true
}

// unrecorded marks what Config's items don't have.
func (s *recordedRead) unrecorded(t *Type, r *knowngood.Resource) {
	for i := range t.Details {
		d := &t.Details[i]
		if !d.Unrecorded {
			continue
		}
		for _, path := range d.gives() {
			r.Unread = append(r.Unread, knowngood.ReadError{
				Place: knowngood.Place{Partition: s.place.Partition, Account: r.AccountID, Region: r.Region}, Type: r.Type, ID: r.ID, Path: path,
				Service: d.Service, Operation: d.Operation, Code: CodeNotRecorded, Message: "AWS Config does not record it",
			})
		}
	}
}

// finish gives the items that are there, and says of which types an aggregator has
// none.
func (s *recordedRead) finish(types []string) []knowngood.Resource {
	var out []knowngood.Resource
	for _, r := range s.items {
		if r.Status == "" || strings.HasPrefix(string(r.Status), string(knowngood.ItemDeleted)) {
			continue
		}
		// Discovered or OK: Config tells apart how it came to know of it.
		r.Status = knowngood.ItemOK
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b knowngood.Resource) int { return strings.Compare(a.Key().String(), b.Key().String()) })
	if s.Aggregator == "" {
		return out
	}
	for _, account := range slices.Sorted(maps.Keys(s.regions)) {
		if len(s.failed) == 0 && !slices.ContainsFunc(out, func(r knowngood.Resource) bool { return r.AccountID == account }) {
			s.failAll(knowngood.Place{Partition: s.place.Partition, Account: account, Region: globalRegion}, "SelectAggregateResourceConfig", CodeNothingRecorded, "the aggregator has no item of the account: is AWS Config on there?")
		}
	}
	for _, name := range types {
		if !slices.Contains(s.failed, name) && !slices.ContainsFunc(out, func(r knowngood.Resource) bool { return r.Type == name }) {
			s.fail(s.place, name, "", "SelectAggregateResourceConfig", CodeNotRecorded, "the aggregator has no item of the type: there is none, or it is not recorded")
		}
	}
	return out
}

// Part is what a source gave of one account and Region, for rules that look up other
// resources: those of another place are none of theirs.
type Part struct {
	Account, Region string
	Items           []knowngood.Resource // global ones among them
	Unreadable      []knowngood.ReadError
}

// Parts cuts what was recorded into accounts and Regions. In each, one of the types
// without an item is one that could not be read: nothing says that there is none. An
// error whose place is that of the source is one of all.
func Parts(source knowngood.Place, items []knowngood.Resource, unreadable []knowngood.ReadError, types []string) []Part {
	type place struct{ account, region string }
	of := map[place]*Part{}
	var order []place
	part := func(account, region string) *Part {
		at := place{account, region}
		if of[at] == nil {
			of[at] = &Part{Account: account, Region: region}
			order = append(order, at)
		}
		return of[at]
	}
	for _, r := range items {
		p := part(r.AccountID, r.Region)
		p.Items = append(p.Items, r)
	}
	out := make([]Part, 0, len(order))
	for _, at := range order {
		p := *of[at]
		if global := of[place{at.account, globalRegion}]; global != nil && at.region != globalRegion {
			p.Items = append(slices.Clip(p.Items), global.Items...)
		}
		for _, name := range types {
			if !slices.ContainsFunc(p.Items, func(r knowngood.Resource) bool { return r.Type == name }) {
				p.Unreadable = append(p.Unreadable, knowngood.ReadError{Place: knowngood.Place{Account: at.account, Region: at.region}, Type: name, Service: "config", Code: CodeNotRecorded,
					Message: "AWS Config has no item of the type here: there is none, or it is not recorded"})
			}
		}
		for _, e := range unreadable {
			own := e.Account == at.account && (e.Region == at.region || e.Region == globalRegion || at.region == globalRegion)
			if own || e.Account == source.Account && e.Region == source.Region {
				p.Unreadable = append(p.Unreadable, e)
			}
		}
		out = append(out, p)
	}
	return out
}
