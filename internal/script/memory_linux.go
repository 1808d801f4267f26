package script

// memoryHeldBy says how a limit of memory is held here.
func memoryHeldBy() string { return "watch" }
