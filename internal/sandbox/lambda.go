package sandbox

// lambdaState is what lambda has in one account and Region.
type lambdaState struct{}

var lambdaHandlers = map[string]handler{}
