package sandbox

var organizationsHandlers = map[string]handler{}
