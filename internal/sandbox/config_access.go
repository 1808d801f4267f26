package sandbox

var configAccess = serviceAccess{}
