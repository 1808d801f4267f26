package sandbox

var guarddutyAccess = serviceAccess{}
