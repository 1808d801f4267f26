package sandbox

var s3controlAccess = serviceAccess{}
