package sandbox

// rdsState is what rds has in one account and Region.
type rdsState struct{}

var rdsHandlers = map[string]handler{}
