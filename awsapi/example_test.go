package awsapi_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"github.com/knowngood/knowngood/awsapi"
)

// volumes is an EC2 that has two pages of volumes, and nothing else.
func volumes(catalog *awsapi.Catalog) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := catalog.DecodeRequest(r)
		var refused *awsapi.Error
		if errors.As(err, &refused) {
			_ = req.WriteError(w, refused, "request-1")
			return
		}
		if req.Operation.Name != "DescribeVolumes" {
			_ = req.WriteError(w, &awsapi.Error{Code: "UnauthorizedOperation", Message: "volumes only", Status: 403}, "request-1")
			return
		}
		out := map[string]any{"Volumes": []any{map[string]any{"VolumeId": "vol-1", "Size": 500, "Encrypted": false, "State": "available"}}, "NextToken": "2"}
		if req.Input["NextToken"] == "2" {
			out = map[string]any{"Volumes": []any{map[string]any{"VolumeId": "vol-2", "Size": 8, "Encrypted": true}}}
		}
		_ = req.WriteResponse(w, out, "request-1")
	})
}

func newClient() *awsapi.Client {
	catalog, err := awsapi.Embedded()
	if err != nil {
		log.Fatal(err)
	}
	client, err := awsapi.New(awsapi.Config{
		Catalog: catalog,
		Region:  "eu-west-1",
		// awsapi.LoadConfig gives a Config with the credentials that AWS's tools would use.
		Credentials: awsapi.StaticCredentials("AKIDEXAMPLE", "secret", ""),
		HTTPClient:  awsapi.HandlerDoer(volumes(catalog)), // a server in this process; leave it out for AWS
	})
	if err != nil {
		log.Fatal(err)
	}
	return client
}

func ExampleClient_Call() {
	out, err := newClient().Call(context.Background(), "ec2", "DescribeVolumes", map[string]any{"MaxResults": 100})
	if err != nil {
		log.Fatal(err)
	}
	for _, v := range out["Volumes"].([]any) {
		volume := v.(map[string]any)
		fmt.Println(volume["VolumeId"], volume["Size"], volume["Encrypted"])
	}
	// Output: vol-1 500 false
}

func ExampleClient_Pages() {
	for page, err := range newClient().Pages(context.Background(), "ec2", "DescribeVolumes", nil) {
		if err != nil {
			log.Fatal(err)
		}
		for _, v := range page["Volumes"].([]any) {
			fmt.Println(v.(map[string]any)["VolumeId"])
		}
	}
	// Output:
	// vol-1
	// vol-2
}

func ExampleError() {
	_, err := newClient().Call(context.Background(), "ec2", "DescribeInstances", nil)
	var e *awsapi.Error
	if errors.As(err, &e) {
		fmt.Println(e.Code, e.Status, e.Retryable)
	}
	// Output: UnauthorizedOperation 403 false
}

func ExampleClient_Wait() {
	// The names of waiters are botocore's, in any of the forms that SDKs have for them.
	err := newClient().Wait(context.Background(), "ec2", "volume_available", map[string]any{"VolumeIds": []string{"vol-1"}})
	var failed *awsapi.WaitError
	if errors.As(err, &failed) {
		log.Fatalf("after %d calls, with %v: %v", failed.Attempts, failed.Output, err)
	}
	fmt.Println("it is available")
	// Output: it is available
}

func ExampleClient_Presign() {
	link, err := newClient().Presign(context.Background(), "s3", "GetObject", map[string]any{"Bucket": "reports", "Key": "2026/january.csv"}, time.Hour)
	if err != nil {
		log.Fatal(err)
	}
	u, err := url.Parse(link)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(u.Host, u.Path, u.Query().Get("X-Amz-Expires"))
	// Output: reports.s3.eu-west-1.amazonaws.com /2026/january.csv 3600
}

func ExampleOperation_Coerce() {
	op, err := newClient().Catalog().Operation("ec2", "modify_volume")
	if err != nil {
		log.Fatal(err)
	}
	in, err := op.Coerce(map[string]any{"VolumeId": "vol-1", "Size": "8", "DryRun": "true"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s %#v %#v\n", op.Name, in["Size"], in["DryRun"])
	// Output: ModifyVolume 8 true
}

func ExampleCatalog_DecodeRequest() {
	catalog, err := awsapi.Embedded()
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := catalog.DecodeRequest(r)
		var refused *awsapi.Error
		if err == nil {
			err = awsapi.VerifySignature(r, req.Body, "secret", time.Now())
		}
		if errors.As(err, &refused) {
			_ = req.WriteError(w, refused, "request-1")
			return
		}
		fmt.Println(req.Service.Name, req.Operation.Name, req.Region, req.AccessKeyID, req.Input["Bucket"])
		_ = req.WriteResponse(w, map[string]any{"LocationConstraint": req.Region}, "request-1")
	}))
	defer server.Close()
	client, err := awsapi.New(awsapi.Config{
		Catalog: catalog, Region: "eu-west-1", EndpointURL: server.URL,
		Credentials: awsapi.StaticCredentials("AKIDEXAMPLE", "secret", ""),
	})
	if err != nil {
		log.Fatal(err)
	}
	out, err := client.Call(context.Background(), "s3", "GetBucketLocation", map[string]any{"Bucket": "reports"})
	fmt.Println(out, err)
	// Output:
	// s3 GetBucketLocation eu-west-1 AKIDEXAMPLE reports
	// map[LocationConstraint:eu-west-1] <nil>
}
