package sandbox

// backupState is what backup has in one account and Region.
type backupState struct{}

var backupHandlers = map[string]handler{}
