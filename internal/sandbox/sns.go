package sandbox

// snsState is what sns has in one account and Region.
type snsState struct{}

var snsHandlers = map[string]handler{}
