package inventory

import (
	"testing"

	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/library"
)

func TestTheLibrarysTable(t *testing.T) {
	c, err := awsapi.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	table, err := LoadTypes(library.FS, c)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(table.Types()); n < 11 {
		t.Errorf("%d types", n)
	}
}
