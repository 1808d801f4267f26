// Knowngood keeps AWS accounts in their known good state.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/knowngood/knowngood/internal/app"
	"github.com/knowngood/knowngood/internal/script"
)

func main() {
	script.Init()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal lets the command end in order, a second one ends it at once.
	context.AfterFunc(ctx, stop)
	os.Exit(app.Main(ctx, os.Args[1:], app.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
