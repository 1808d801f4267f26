package sandbox

// elbState is what elbv2 has in one account and Region.
type elbState struct{}

var elbHandlers = map[string]handler{}
