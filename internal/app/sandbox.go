package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/sandbox"
)

type sandboxOptions struct {
	port  int
	speed int
	seed  int64
}

func newSandbox(s Streams) *cobra.Command {
	var o sandboxOptions
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Serve an AWS in memory on 127.0.0.1",
		Long: `Serves an AWS in memory on 127.0.0.1, for the AWS CLI, SDKs and knowngood itself.
It prints the exports that a shell needs, then serves until it is interrupted.
What it does not simulate answers 501 and the operation's name.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serveSandbox(cmd.Context(), s, o) },
	}
	cmd.Flags().IntVar(&o.port, "port", 0, "port to listen on; 0 takes a free one")
	cmd.Flags().IntVar(&o.speed, "speed", 1, "how many times as fast as the wall clock states change; 0: only as the control API moves the clock")
	cmd.Flags().Int64Var(&o.seed, "seed", 1, "what ids are made of: the same seed and calls give the same ids")
	return cmd
}

func serveSandbox(ctx context.Context, s Streams, o sandboxOptions) error {
	catalog, err := catalog()
	if err != nil {
		return err
	}
	var clock knowngood.Clock = sandbox.NewFastClock(time.Now(), o.speed)
	if o.speed == 0 {
		clock = sandbox.NewClock(time.Now())
	}
	box, err := sandbox.New(sandbox.Options{Catalog: catalog, Clock: clock, Seed: o.seed})
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", o.port))
	if err != nil {
		return (&knowngood.Error{Kind: knowngood.Usage, Op: "serve the sandbox", Err: err}).WithHint("choose another --port, or none")
	}
	id, secret := box.Credentials()
	fmt.Fprintf(s.Out, "export AWS_ENDPOINT_URL=http://%s\nexport AWS_ACCESS_KEY_ID=%s\nexport AWS_SECRET_ACCESS_KEY=%s\nexport AWS_REGION=%s\nexport AWS_DEFAULT_REGION=%s\n",
		listener.Addr(), id, secret, box.Region(), box.Region())
	fmt.Fprintf(s.Err, "account %s; stop with Ctrl-C\n", box.Account())
	server := &http.Server{Handler: box, ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		stopped <- server.Shutdown(closing)
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}
