package sandbox

var rdsAccess = serviceAccess{}
