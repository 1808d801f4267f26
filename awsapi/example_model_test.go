package awsapi_test

import (
	"fmt"
	"log"

	"github.com/knowngood/knowngood/awsapi"
)

func ExampleCatalog_Operation() {
	catalog, err := awsapi.Embedded()
	if err != nil {
		log.Fatal(err)
	}
	op, err := catalog.Operation("s3", "put_public_access_block")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(op.Name, op.Method, op.URI)
	fmt.Println(op.Class(), op.IAMActions(nil))
	// Output:
	// PutPublicAccessBlock PUT /{Bucket}?publicAccessBlock
	// write [s3:PutBucketPublicAccessBlock]
}

func ExampleOperation_Validate() {
	catalog, err := awsapi.Embedded()
	if err != nil {
		log.Fatal(err)
	}
	op, err := catalog.Operation("ec2", "CreateVolume")
	if err != nil {
		log.Fatal(err)
	}
	in, err := op.Coerce(map[string]any{"Size": "500", "Encrypted": "true", "VolumeTyp": "gp3"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(in["Size"], in["Encrypted"])
	fmt.Println(op.Validate(in))
	// Output:
	// 500 true
	// ec2 CreateVolume: VolumeTyp is not known; near: VolumeType
}

func ExampleCatalog_ResolveEndpoint() {
	catalog, err := awsapi.Embedded()
	if err != nil {
		log.Fatal(err)
	}
	ep, err := catalog.ResolveEndpoint("s3", awsapi.EndpointParams{"Region": "eu-west-1", "Bucket": "acme-invoices", "UseDualStack": true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ep.URL, ep.AuthScheme, ep.SigningRegion)
	// Output:
	// https://acme-invoices.s3.dualstack.eu-west-1.amazonaws.com sigv4 eu-west-1
}
