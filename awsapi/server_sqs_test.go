package awsapi

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

// A request by the query protocol is read with that protocol's names and
// answered in them; one by JSON isn't touched by it.
func TestSQSIsAskedByTheQueryProtocolToo(t *testing.T) {
	catalog, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	decode := func(contentType, target, body string) *ServerRequest {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, "https://sqs.eu-west-1.amazonaws.com/", strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		if target != "" {
			r.Header.Set("X-Amz-Target", target)
		}
		sr, err := catalog.DecodeRequest(r)
		if err != nil {
			t.Fatal(err)
		}
		return sr
	}
	form := decode("application/x-www-form-urlencoded", "", "Action=SetQueueAttributes&Version=2012-11-05&QueueUrl=u&Attribute.1.Name=A&Attribute.1.Value=1&Attribute.2.Name=B&Attribute.2.Value=2")
	body := decode("application/x-amz-json-1.0", "AmazonSQS.SetQueueAttributes", `{"QueueUrl":"u","Attributes":{"A":"1","B":"2"}}`)
	if form.Protocol != Query || body.Protocol != JSON || !reflect.DeepEqual(form.Input, body.Input) {
		t.Errorf("%s %v, %s %v", form.Protocol, form.Input, body.Protocol, body.Input)
	}
	out := map[string]any{"Failed": []any{map[string]any{"Id": "1", "Code": "c", "SenderFault": true}}, "Successful": []any{}}
	rec := httptest.NewRecorder()
	if err := decode("application/x-www-form-urlencoded", "", "Action=DeleteMessageBatch&QueueUrl=u&DeleteMessageBatchRequestEntry.1.Id=1&DeleteMessageBatchRequestEntry.1.ReceiptHandle=r").WriteResponse(rec, out, "id"); err != nil {
		t.Fatal(err)
	}
	want := `<DeleteMessageBatchResult><BatchResultErrorEntry><Id>1</Id><SenderFault>true</SenderFault><Code>c</Code></BatchResultErrorEntry></DeleteMessageBatchResult>`
	if !strings.Contains(rec.Body.String(), want) {
		t.Errorf("%s has no %s", rec.Body, want)
	}
	for code, shape := range map[string]string{"AWS.SimpleQueueService.NonExistentQueue": "QueueDoesNotExist", "AWS.SimpleQueueService.QueueDeletedRecently": "QueueDeletedRecently", "QueueAlreadyExists": "QueueNameExists"} {
		if s := body.Operation.errorShape(code); s == nil || s.Name != shape {
			t.Errorf("%s is %v, want %s", code, s, shape)
		}
	}
}
