package awsapi_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
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
		out := map[string]any{"Volumes": []any{map[string]any{"VolumeId": "vol-1", "Size": 500, "Encrypted": false}}, "NextToken": "2"}
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
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret"}, nil
		}),
		HTTPClient: awsapi.HandlerDoer(volumes(catalog)), // a server in this process; leave it out for AWS
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
