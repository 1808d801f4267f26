package sandbox

var cloudtrailAccess = serviceAccess{}
