package sandbox

// sqsState is what sqs has in one account and Region.
type sqsState struct{}

var sqsHandlers = map[string]handler{}
