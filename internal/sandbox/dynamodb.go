package sandbox

// dynamodbState is what dynamodb has in one account and Region.
type dynamodbState struct{}

var dynamodbHandlers = map[string]handler{}
