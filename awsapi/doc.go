// Package awsapi calls any operation of any AWS service by name, and serves any
// as well.
//
// It is driven by models: those of botocore, compiled into a pack of some three
// megabytes that is embedded in the package. There is one function where an SDK
// has one client for each service:
//
//	catalog, err := awsapi.Embedded()
//	cfg, err := awsapi.LoadConfig(ctx, awsapi.LoadOptions{Catalog: catalog})
//	client, err := awsapi.New(cfg)
//	out, err := client.Call(ctx, "ec2", "DescribeVolumes", map[string]any{"MaxResults": 100}, awsapi.Region("eu-west-1"))
//	for page, err := range client.Pages(ctx, "s3", "ListObjectsV2", map[string]any{"Bucket": "b"}) { ... }
//	err = client.Wait(ctx, "ec2", "SnapshotCompleted", map[string]any{"SnapshotIds": []any{id}})
//
// # Values
//
// Inputs and outputs are plain values: map[string]any for structures and maps,
// []any for lists, string, int64, float64, bool, []byte for blobs, time.Time for
// timestamps, and an io.Reader or io.ReadCloser for a payload that is a stream.
// In an input other Go integers, []string and the like are taken too. A value of
// another type is an error that has its path; Operation.Coerce makes texts such as
// "8" and "true" what the model wants, and Operation.Validate says all that is
// wrong with an input, without a call.
//
// # Protocols
//
// ec2, query, json 1.0 and 1.1, rest-json, rest-xml and smithy-rpc-v2-cbor, each
// from both sides: EncodeRequest and DecodeResponse are the client's, DecodeRequest
// of Catalog and EncodeResponse the server's. Operations with event streams are
// refused by name. Documents are bounded in depth and size.
//
// # S3
//
// Buckets are in the host where they can be. What S3 says of a bucket's Region is
// followed, an error in a success is found, and the checksums that an operation
// requires or an input asks for are sent; a response's is verified where the input's
// ChecksumMode asks for it, while the payload is read.
//
// # Errors
//
// A service's refusal, and a response that can't be read, is an *Error. It says
// whether it is worth another attempt; Client makes such attempts by itself, as its
// RetryPolicy has it. There never is a partial output beside an error.
package awsapi
