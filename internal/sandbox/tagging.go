package sandbox

var taggingHandlers = map[string]handler{}
