package sandbox

// securityhubState is what securityhub has in one account and Region.
type securityhubState struct{}

var securityhubHandlers = map[string]handler{}
