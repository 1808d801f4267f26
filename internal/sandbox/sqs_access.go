package sandbox

var sqsAccess = serviceAccess{}
