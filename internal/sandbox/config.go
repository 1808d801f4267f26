package sandbox

// configState is what config has in one account and Region.
type configState struct{}

var configHandlers = map[string]handler{}
