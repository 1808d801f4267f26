package sandbox

var elbAccess = serviceAccess{}
