package sandbox

var s3controlHandlers = map[string]handler{}
