package sandbox

var eventsAccess = serviceAccess{}
