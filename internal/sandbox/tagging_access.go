package sandbox

var taggingAccess = serviceAccess{}
