package sandbox

// ssmState is what ssm has in one account and Region.
type ssmState struct{}

var ssmHandlers = map[string]handler{}
