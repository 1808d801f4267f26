package sandbox

// cloudwatchState is what cloudwatch has in one account and Region.
type cloudwatchState struct{}

var cloudwatchHandlers = map[string]handler{}
