package sandbox

// cloudtrailState is what cloudtrail has in one account and Region.
type cloudtrailState struct {
	Records []trailRecord     `json:"records,omitempty"` // by time
	Trails  table[cloudTrail] `json:"trails,omitempty"`  // whose home this is
}

type cloudTrail struct {
	Bucket  string `json:"bucket"`
	Multi   bool   `json:"multiRegion,omitempty"`
	Logging bool   `json:"logging,omitempty"`
	Writes  bool   `json:"writes"` // it has management events that write
}

// logged says whether one of the account's trails logs the writes of this
// Region. EventBridge has an API call's event only then.
func (c *call) logged() bool {
	for home, region := range c.accountState().Regions {
		for _, t := range region.CloudTrail.Trails.all(c.now) {
			if t.Logging && t.Writes && (t.Multi || home == c.region) {
				return true
			}
		}
	}
	return false
}

var cloudtrailHandlers = map[string]handler{}
