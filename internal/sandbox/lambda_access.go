package sandbox

var lambdaAccess = serviceAccess{}
