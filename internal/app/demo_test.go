package app

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

// Ctrl-C ends a question that nobody answers.
func TestAQuestionEndsWithTheContext(t *testing.T) {
	in, out := io.Pipe()
	defer out.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if line, err := readLine(ctx, bufio.NewReader(in)); !errors.Is(err, context.Canceled) {
		t.Errorf("%q, %v", line, err)
	}
	if line, err := readLine(t.Context(), bufio.NewReader(strings.NewReader("yes"))); line != "yes" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
}
