package sandbox

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/library"
)

// history is all that a scenario leaves behind, byte for byte: the estate, the log
// of calls, and CloudTrail's records.
func history(t *testing.T, name string, seed int64) (estate, calls, trail []byte) {
	t.Helper()
	catalog, err := awsapi.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := library.FS.ReadFile("scenarios/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Catalog: catalog, Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Load(t.Context(), name, raw); err != nil {
		t.Fatal(err)
	}
	s.Settle()
	if estate, err = s.Snapshot(); err != nil {
		t.Fatal(err)
	}
	if calls, err = json.Marshal(s.Calls()); err != nil {
		t.Fatal(err)
	}
	return estate, calls, bytes.Join(asBytes(s.trailRecords()), []byte("\n"))
}

func asBytes(l []json.RawMessage) [][]byte {
	out := make([][]byte, len(l))
	for i, r := range l {
		out[i] = r
	}
	return out
}

func TestOneSeedOneHistory(t *testing.T) {
	for _, name := range []string{"demo", "startup", "enterprise", "ransomware", "unpatched-fleet", "oversized"} {
		t.Run(name, func(t *testing.T) {
			estate, calls, trail := history(t, name, 7)
			estate2, calls2, trail2 := history(t, name, 7)
			for what, pair := range map[string][2][]byte{"estate": {estate, estate2}, "log of calls": {calls, calls2}, "trail": {trail, trail2}} {
				if len(pair[0]) < 1000 {
					t.Errorf("the %s is %d bytes", what, len(pair[0]))
				}
				if !bytes.Equal(pair[0], pair[1]) {
					i := 0
					for i < min(len(pair[0]), len(pair[1])) && pair[0][i] == pair[1][i] {
						i++
					}
					t.Errorf("the %s differs at byte %d:\n%.300s\n%.300s", what, i, pair[0][max(0, i-100):], pair[1][max(0, i-100):])
				}
			}
			if other, _, _ := history(t, name, 8); bytes.Equal(estate, other) {
				t.Error("another seed gives the same estate")
			}
		})
	}
}
