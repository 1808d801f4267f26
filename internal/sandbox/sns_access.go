package sandbox

var snsAccess = serviceAccess{}
