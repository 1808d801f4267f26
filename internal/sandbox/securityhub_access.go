package sandbox

var securityhubAccess = serviceAccess{}
