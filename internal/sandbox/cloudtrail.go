package sandbox

// cloudtrailState is what cloudtrail has in one account and Region.
type cloudtrailState struct{}

var cloudtrailHandlers = map[string]handler{}
