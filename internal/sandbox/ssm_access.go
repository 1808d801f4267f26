package sandbox

var ssmAccess = serviceAccess{}
