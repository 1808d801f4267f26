package sandbox

var optimizerAccess = serviceAccess{}
