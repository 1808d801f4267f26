package sandbox

var backupAccess = serviceAccess{}
