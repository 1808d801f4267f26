package sandbox

var cloudwatchAccess = serviceAccess{}
