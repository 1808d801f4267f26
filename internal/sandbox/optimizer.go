package sandbox

// optimizerState is what compute-optimizer has in one account and Region.
type optimizerState struct{}

var optimizerHandlers = map[string]handler{}
