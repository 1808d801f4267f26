package sandbox

// aggregateSources says how an aggregator's sources are. One that is no account of
// the sandbox has not authorized it.
func aggregateSources(c *call) (map[string]any, error) {
	a, err := c.aggregator(c.view)
	if err != nil {
		return nil, err
	}
	list := []any{}
	for _, s := range c.sources(a) {
		list = append(list, object{"SourceId": s.who.Account, "SourceType": "ACCOUNT", "AwsRegion": s.region, "LastUpdateStatus": "SUCCEEDED", "LastUpdateTime": c.view})
	}
	for _, s := range objects(a.Settings["AccountAggregationSources"]) {
		regions := texts(s["AwsRegions"])
		if s["AllAwsRegions"] == true {
			regions = c.regions
		}
		for _, account := range texts(s["AccountIds"]) {
			if c.state.Accounts[account] != nil {
				continue
			}
			for _, region := range regions {
				list = append(list, object{"SourceId": account, "SourceType": "ACCOUNT", "AwsRegion": region, "LastUpdateStatus": "FAILED", "LastUpdateTime": a.Created,
					"LastErrorCode": "AccessDenied", "LastErrorMessage": "The source account has not authorized the aggregator."})
			}
		}
	}
	page, next, err := c.configPage(list, 100, 100)
	if err != nil {
		return nil, err
	}
	return withToken(object{"AggregatedSourceStatusList": page}, next), nil
}

var configAggregateHandlers = map[string]handler{
	"DescribeConfigurationAggregatorSourcesStatus": {"config:DescribeConfigurationAggregatorSourcesStatus", aggregateSources},
}
