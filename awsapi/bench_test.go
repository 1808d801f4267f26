package awsapi

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// thousand is the output of a list operation with 1,000 elements, as it goes over
// the wire.
func thousand(b *testing.B, service, operation, list string, element func(i int) map[string]any) (*Operation, http.Header, string) {
	b.Helper()
	op, err := testCatalog(b).Operation(service, operation)
	if err != nil {
		b.Fatal(err)
	}
	var elements []any
	for i := range 1000 {
		elements = append(elements, element(i))
	}
	w := httptest.NewRecorder()
	if err := op.EncodeResponse(w, map[string]any{list: elements}, "r"); err != nil {
		b.Fatal(err)
	}
	return op, w.Header(), w.Body.String()
}

func volume(i int) map[string]any {
	return map[string]any{
		"VolumeId": fmt.Sprintf("vol-%017x", i), "Size": int64(500), "SnapshotId": "snap-0123456789abcdef0", "AvailabilityZone": "eu-west-1a", "State": "in-use",
		"CreateTime": time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC), "VolumeType": "gp3", "Iops": int64(3000), "Throughput": int64(125), "Encrypted": false, "MultiAttachEnabled": false,
		"Attachments": []any{map[string]any{"InstanceId": fmt.Sprintf("i-%017x", i), "Device": "/dev/sdf", "State": "attached", "DeleteOnTermination": true, "VolumeId": fmt.Sprintf("vol-%017x", i),
			"AttachTime": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}},
		"Tags": []any{map[string]any{"Key": "Name", "Value": fmt.Sprintf("data & logs %d", i)}, map[string]any{"Key": "owner", "Value": "team-a"}},
	}
}

// BenchmarkXML reads DescribeVolumes with 1,000 volumes into maps, and beside it
// shows what encoding/xml takes for its tokens alone.
func BenchmarkXML(b *testing.B) {
	op, h, text := thousand(b, "ec2", "DescribeVolumes", "Volumes", volume)
	b.Run("maps", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := op.DecodeResponse(200, h, strings.NewReader(text)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("tokens of encoding-xml", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			d := xml.NewDecoder(strings.NewReader(text))
			for {
				if _, err := d.Token(); err == io.EOF {
					break
				} else if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

// BenchmarkJSON reads 1,000 items of DynamoDB into maps, and beside it shows what
// encoding/json takes without a model.
func BenchmarkJSON(b *testing.B) {
	op, h, text := thousand(b, "dynamodb", "Scan", "Items", func(i int) map[string]any {
		return map[string]any{"id": map[string]any{"S": fmt.Sprint("item-", i)}, "n": map[string]any{"N": fmt.Sprint(i)},
			"list": map[string]any{"L": []any{map[string]any{"S": "a"}, map[string]any{"BOOL": true}}}, "bin": map[string]any{"B": []byte("0123456789")}}
	})
	b.Run("maps", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := op.DecodeResponse(200, h, strings.NewReader(text)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			var v any
			if err := json.Unmarshal([]byte(text), &v); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkCall is a whole tiny call, signed, over a handler in this process.
func BenchmarkCall(b *testing.B) {
	client := testClient(b, HandlerDoer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	})), nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Call(b.Context(), "sts", "GetCallerIdentity", nil); err != nil {
			b.Fatal(err)
		}
	}
}
