package sandbox

// eventsState is what events has in one account and Region.
type eventsState struct{}

var eventsHandlers = map[string]handler{}
