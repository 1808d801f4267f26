package remedy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
)

func samplePlan(t *testing.T) *knowngood.Plan {
	t.Helper()
	content := "schemaVersion: '0.3'\n"
	sum := sha256.Sum256([]byte(content))
	p := &knowngood.Plan{
		Version: knowngood.PlanVersion, RunID: "run-1", Created: time.Date(2026, 11, 24, 1, 2, 3, 0, time.UTC),
		Document:   knowngood.DocumentRef{Name: "D", SHA256: hex.EncodeToString(sum[:]), Content: content},
		Parameters: knowngood.Params{"Size": int64(500)},
		Parts: []knowngood.PlanPart{{Name: knowngood.MainPart, Calls: []knowngood.Call{{
			ID: "w1", Step: "Create", Class: knowngood.Write, Service: "ec2", Operation: "CreateSnapshot",
			Input: map[string]any{"VolumeId": "vol-1", "Iops": int64(3000)},
		}}}},
		Display: knowngood.Display{Title: "anything"},
	}
	hash, err := HashPlan(p)
	if err != nil {
		t.Fatal(err)
	}
	p.Hash = hash
	return p
}

func TestPlanSurvivesItsFile(t *testing.T) {
	p := samplePlan(t)
	raw, err := EncodePlan(p)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodePlan("p.json", raw)
	if err != nil {
		t.Fatal(err)
	}
	if hash, _ := HashPlan(got); hash != p.Hash {
		t.Errorf("hash %s after the file, %s before", hash, p.Hash)
	}
	if v := got.Parts[0].Calls[0].Input.(map[string]any)["Iops"]; v != int64(3000) {
		t.Errorf("Iops is %T %v", v, v)
	}
}

func TestDisplayIsNotInTheHash(t *testing.T) {
	p := samplePlan(t)
	p.Display.Title = "another title"
	if hash, _ := HashPlan(p); hash != p.Hash {
		t.Error("the title changed the hash")
	}
	p.Parts[0].Calls[0].Operation = "DeleteSnapshot"
	if hash, _ := HashPlan(p); hash == p.Hash {
		t.Error("another operation has the same hash")
	}
}

func TestBadPlanFiles(t *testing.T) {
	good, err := EncodePlan(samplePlan(t))
	if err != nil {
		t.Fatal(err)
	}
	edit := func(old, new string) []byte {
		if !bytes.Contains(good, []byte(old)) {
			t.Fatalf("the sample has no %s", old)
		}
		return bytes.Replace(good, []byte(old), []byte(new), 1)
	}
	for _, c := range []struct {
		name string
		raw  []byte
		kind knowngood.Kind
		want string
	}{
		{"empty", nil, knowngood.Invalid, "p.json:1"},
		{"cut", good[:len(good)/2], knowngood.Invalid, "p.json:"},
		{"not JSON", []byte("{\n  \"version\": oops\n}"), knowngood.Invalid, "p.json:2"},
		{"unknown member", edit(`"runId"`, `"runID2"`), knowngood.Invalid, `p.json:4: unknown field "runID2"`},
		{"other form", edit(knowngood.PlanVersion, "knowngood.plan/9"), knowngood.Invalid, "p.json:2: its form is"},
		{"changed call", edit("vol-1", "vol-2"), knowngood.Refused, "p.json:3: the plan was changed"},
		{"changed hash", edit(`"hash": "`, `"hash": "0`), knowngood.Refused, "the plan was changed"},
		{"two plans", append(bytes.Clone(good), good...), knowngood.Invalid, "something follows"},
	} {
		_, err := DecodePlan("p.json", c.raw)
		if err == nil || knowngood.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: kind %d, %v; want kind %d, %s", c.name, knowngood.KindOf(err), err, c.kind, c.want)
		}
	}
}

func TestHashRefusesNumbersThatItCannotTellApart(t *testing.T) {
	p := samplePlan(t)
	p.Parts[0].Calls[0].Input = map[string]any{"Id": int64(1<<53 + 1)}
	if _, err := HashPlan(p); err == nil {
		t.Error("no error for an integer beyond 2^53")
	}
}
