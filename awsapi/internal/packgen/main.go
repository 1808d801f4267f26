// Packgen compiles the model pack from the data folder of an installed
// botocore:
//
//	go run ./awsapi/internal/packgen -botocore DIR -o awsapi/models.pack
//
// DIR is the folder of the Python package, which holds data/. Of each service
// the newest API version is taken, and what the SDKs add in *.sdk-extras.json is
// merged into it.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/knowngood/knowngood/awsapi"
)

func main() {
	dir := flag.String("botocore", "", "folder of the installed Python package botocore")
	out := flag.String("o", "awsapi/models.pack", "file to write")
	flag.Parse()
	if err := run(*dir, *out); err != nil {
		fmt.Fprintln(os.Stderr, "packgen:", err)
		os.Exit(1)
	}
}

func run(dir, out string) error {
	raw, manifest, err := awsapi.CompilePack(os.DirFS(dir))
	if err != nil {
		return err
	}
	if err := os.WriteFile(out, raw, 0o644); err != nil {
		return err
	}
	fmt.Printf("%s: botocore %s, %d services, %d operations, %d bytes\n", out, manifest.Botocore, manifest.Services, manifest.Operations, len(raw))
	return nil
}
