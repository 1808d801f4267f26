package sandbox

var dynamodbAccess = serviceAccess{}
