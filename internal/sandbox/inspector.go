package sandbox

// inspectorState is what inspector2 has in one account and Region.
type inspectorState struct{}

var inspectorHandlers = map[string]handler{}
