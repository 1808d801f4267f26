package sandbox

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// aggregator sees the items of several accounts and Regions.
type aggregator struct {
	ID       string    `json:"id"`
	Settings structure `json:"settings"`
	Created  time.Time `json:"created"`
	Updated  time.Time `json:"updated"`
}

// row is an item as queries see it.
func (i item) row(c *call) object {
	tags := []any{}
	for _, k := range sorted(i.tags) {
		tags = append(tags, object{"key": k, "value": i.tags[k], "tag": k + "=" + i.tags[k]})
	}
	out := lowerTimes(i.base(c)).(object)
	out["tags"], out["relationships"], out["configuration"] = tags, i.related(), i.configuration
	supplementary := object{}
	for k, v := range i.supplementary {
		supplementary[k] = v
	}
	out["supplementaryConfiguration"] = supplementary
	return out
}

// rows are the current items of the call's account and Region, and what its
// rules say of each resource.
func (c *call) rows() []object {
	var out []object
	for _, k := range itemKinds {
		for _, id := range k.ids(c) {
			if i, ok := c.latest(k, id, c.view); ok {
				out = append(out, i.row(c))
			}
		}
	}
	return append(out, c.complianceRows()...)
}

// complianceRows are items of the type that holds compliance alone.
func (c *call) complianceRows() []object {
	of := map[string][]complianceResult{}
	for _, r := range c.home().Config.Results.all(c.view) {
		key := r.ResourceType + "/" + r.ResourceID
		of[key] = append(of[key], r)
	}
	var out []object
	for _, key := range sorted(of) {
		rules := []any{}
		for _, r := range of[key] {
			if _, rule, err := c.configRule(r.Rule, c.view); err == nil {
				rules = append(rules, object{"configRuleName": r.Rule, "complianceType": r.Compliance, "configRuleArn": c.configRuleARN(rule), "configRuleId": rule.ID})
			}
		}
		first := of[key][0]
		out = append(out, object{"resourceType": "AWS::Config::ResourceCompliance", "resourceId": key, "accountId": c.who.Account, "awsRegion": c.region, "configuration": object{
			"targetResourceType": first.ResourceType, "targetResourceId": first.ResourceID, "complianceType": summary(of[key], contributorCap)["ComplianceType"], "configRuleList": rules}})
	}
	return out
}

// query answers an advanced query over rows.
func (c *call) query(rows []object) (map[string]any, error) {
	s, err := parseSelection(c.str("Expression"))
	if codeOf(err) != "" {
		return nil, err
	}
	if err != nil {
		return nil, failure(400, "InvalidExpressionException", "Invalid query: %v", err)
	}
	if s.where != nil {
		rows = slices.DeleteFunc(rows, func(o object) bool { return !s.where(o) })
	}
	if s.order != "" {
		slices.SortStableFunc(rows, func(a, b object) int {
			n := strings.Compare(jsonText(lookup(a, s.order)), jsonText(lookup(b, s.order)))
			if x, y := lookup(a, s.order), lookup(b, s.order); len(x) == 1 && len(y) == 1 {
				f, ok := asNumber(x[0])
				if g, too := asNumber(y[0]); ok && too {
					n = cmp.Compare(f, g)
				}
			}
			if s.down {
				return -n
			}
			return n
		})
	}
	list := []any{}
	for _, o := range rows {
		list = append(list, jsonText(s.picked(o)))
	}
	page, next, err := c.configPage(list, 25, 100)
	if err != nil {
		return nil, err
	}
	fields := []any{}
	for _, f := range s.fields {
		fields = append(fields, object{"Name": f})
	}
	return withToken(object{"Results": page, "QueryInfo": object{"SelectFields": fields}}, next), nil
}

func selectConfig(c *call) (map[string]any, error) { return c.query(c.rows()) }

func (c *call) aggregator(at time.Time) (aggregator, error) {
	name := c.str("ConfigurationAggregatorName")
	if _, a, ok := c.home().Config.Aggregators.live(name, at); ok {
		return a, nil
	}
	return aggregator{}, failure(400, "NoSuchConfigurationAggregatorException", "The configuration aggregator does not exist. Check the configuration aggregator name and try again.")
}

// sources are calls in each account and Region that an aggregator covers.
func (c *call) sources(a aggregator) []*call {
	var out []*call
	add := func(account string, o object) {
		regions := texts(o["AwsRegions"])
		if o["AllAwsRegions"] == true {
			regions = c.regions
		}
		state := c.state.Accounts[account]
		if state == nil {
			return
		}
		for _, region := range regions {
			if state.Regions[region] == nil {
				continue
			}
			sub := *c
			sub.region, sub.who = region, accessKey{Account: account}
			out = append(out, &sub)
		}
	}
	for _, s := range objects(a.Settings["AccountAggregationSources"]) {
		for _, account := range texts(s["AccountIds"]) {
			add(account, s)
		}
	}
	if o, ok := a.Settings["OrganizationAggregationSource"].(object); ok {
		for _, account := range sorted(c.state.Accounts) {
			add(account, o)
		}
	}
	return out
}

func selectAggregate(c *call) (map[string]any, error) {
	a, err := c.aggregator(c.view)
	if err != nil {
		return nil, err
	}
	var rows []object
	for _, sub := range c.sources(a) {
		rows = append(rows, sub.rows()...)
	}
	return c.query(rows)
}

func batchGetAggregate(c *call) (map[string]any, error) {
	a, err := c.aggregator(c.view)
	if err != nil {
		return nil, err
	}
	ids := c.objects("ResourceIdentifiers")
	if len(ids) < 1 || len(ids) > 100 {
		return nil, invalid("ResourceIdentifiers must have from 1 to 100 members")
	}
	sources, found, missed := c.sources(a), []any{}, []any{}
	for _, o := range ids {
		i := slices.IndexFunc(sources, func(s *call) bool { return s.who.Account == o["SourceAccountId"] && s.region == o["SourceRegion"] })
		resourceType, _ := o["ResourceType"].(string)
		id, _ := o["ResourceId"].(string)
		if i >= 0 {
			if it, ok := sources[i].currentItem(resourceType, id); ok {
				found = append(found, it.base(sources[i]))
				continue
			}
		}
		missed = append(missed, o)
	}
	return object{"BaseConfigurationItems": found, "UnprocessedResourceIdentifiers": missed}, nil
}

func putAggregator(c *call) (map[string]any, error) {
	name := c.str("ConfigurationAggregatorName")
	accounts, organization := c.objects("AccountAggregationSources"), c.object("OrganizationAggregationSource")
	if (len(accounts) == 0) == (organization == nil) {
		return nil, wrongParameter("You must choose either an account aggregation source or an organization aggregation source.")
	}
	if len(accounts) > 1 {
		return nil, wrongParameter("AccountAggregationSources must have at most one member.")
	}
	for _, o := range append(slices.Clone(accounts), organization) {
		if o != nil && (o["AllAwsRegions"] == true) == (len(texts(o["AwsRegions"])) > 0) {
			return nil, wrongParameter("You must choose either all AWS Regions or some of them.")
		}
	}
	settings := copied(c.in).(object)
	delete(settings, "Tags")
	if r, a, ok := c.home().Config.Aggregators.live(name, c.now); ok {
		a.Settings, a.Updated = settings, c.now
		r.change(c.now, func(now *aggregator) { *now = a })
		return object{"ConfigurationAggregator": c.aggregatorOut(name, a)}, nil
	}
	a := aggregator{ID: "config-aggregator-" + c.id("", 8), Settings: settings, Created: c.now, Updated: c.now}
	c.home().Config.Aggregators.put(name, c.now, a)
	return object{"ConfigurationAggregator": c.aggregatorOut(name, a)}, nil
}

func (c *call) aggregatorOut(name string, a aggregator) object {
	out := copied(a.Settings).(object)
	out["ConfigurationAggregatorArn"] = "arn:aws:config:" + c.region + ":" + c.who.Account + ":config-aggregator/" + a.ID
	out["ConfigurationAggregatorName"], out["CreationTime"], out["LastUpdatedTime"] = name, a.Created, a.Updated
	return out
}

func describeAggregators(c *call) (map[string]any, error) {
	names, list := c.strings("ConfigurationAggregatorNames"), []any{}
	for name, a := range c.home().Config.Aggregators.all(c.view) {
		if len(names) == 0 || slices.Contains(names, name) {
			list = append(list, c.aggregatorOut(name, a))
		}
	}
	if len(list) < len(names) {
		return nil, failure(400, "NoSuchConfigurationAggregatorException", "The configuration aggregator does not exist. Check the configuration aggregator name and try again.")
	}
	page, next, err := c.configPage(list, 100, 100)
	if err != nil {
		return nil, err
	}
	return withToken(object{"ConfigurationAggregators": page}, next), nil
}

var configQueryHandlers = map[string]handler{
	"BatchGetAggregateResourceConfig":  {"config:BatchGetAggregateResourceConfig", batchGetAggregate},
	"DescribeConfigurationAggregators": {"config:DescribeConfigurationAggregators", describeAggregators},
	"PutConfigurationAggregator":       {"config:PutConfigurationAggregator", putAggregator},
	"SelectAggregateResourceConfig":    {"config:SelectAggregateResourceConfig", selectAggregate},
	"SelectResourceConfig":             {"config:SelectResourceConfig", selectConfig},
}
