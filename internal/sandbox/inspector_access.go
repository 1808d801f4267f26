package sandbox

var inspectorAccess = serviceAccess{}
