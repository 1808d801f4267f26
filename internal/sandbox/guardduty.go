package sandbox

// guarddutyState is what guardduty has in one account and Region.
type guarddutyState struct{}

var guarddutyHandlers = map[string]handler{}
