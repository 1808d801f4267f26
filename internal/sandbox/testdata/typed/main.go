// Typed drives the sandbox by the typed clients of AWS's SDK for Go, one for each
// protocol that a service speaks, and prints what they answer. It is a module of
// its own, for the clients are large and nothing else needs them.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
)

// must gives an answer, or ends the program.
func must[T any](out T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return out
}

// code is the code of an error as AWS answers it.
func code[T any](_ T, err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return fmt.Sprint(err)
}

func main() {
	ctx := context.Background()
	cfg := aws.Config{
		Region: os.Getenv("AWS_REGION"), BaseEndpoint: aws.String(os.Getenv("AWS_ENDPOINT_URL")), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), ""),
	}

	e := ec2.NewFromConfig(cfg)
	v := must(e.CreateVolume(ctx, &ec2.CreateVolumeInput{AvailabilityZone: aws.String(cfg.Region + "a"), Size: aws.Int32(5), VolumeType: ec2types.VolumeTypeGp3}))
	got := must(e.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{VolumeIds: []string{*v.VolumeId}})).Volumes[0]
	fmt.Println("ec2", got.State, *got.Iops, *got.Encrypted, code(e.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: aws.String("vol-0123456789abcdef0")})))

	i := iam.NewFromConfig(cfg)
	u := must(i.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("ann")}))
	fmt.Println("query", *u.User.Arn, code(i.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("ann")})))

	d := dynamodb.NewFromConfig(cfg)
	made := must(d.CreateTable(ctx, &dynamodb.CreateTableInput{TableName: aws.String("orders"), BillingMode: ddbtypes.BillingModePayPerRequest,
		AttributeDefinitions: []ddbtypes.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: ddbtypes.ScalarAttributeTypeS}},
		KeySchema:            []ddbtypes.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: ddbtypes.KeyTypeHash}}}))
	fmt.Println("json 1.0", made.TableDescription.TableStatus, code(d.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: aws.String("none")})))

	q := sqs.NewFromConfig(cfg)
	url := must(q.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("work")})).QueueUrl
	must(q.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("hello")})) // whose checksum the client checks
	fmt.Println("json with query's errors", *must(q.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url})).Messages[0].Body, code(q.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("none")})))

	l := lambda.NewFromConfig(cfg)
	fmt.Println("rest-json", len(must(l.ListFunctions(ctx, &lambda.ListFunctionsInput{})).Functions), code(l.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: aws.String("none")})))

	s := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	bucket := aws.String("typed-clients")
	must(s.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket, CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(cfg.Region)}}))
	must(s.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("a b/ü"), Body: strings.NewReader("hello")}))
	listed := must(s.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket})).Contents[0]
	fmt.Println("rest-xml", *listed.Key, *listed.Size, code(s.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: bucket})))

	w := cloudwatch.NewFromConfig(cfg)
	must(w.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: aws.String("App"), MetricData: []cwtypes.MetricDatum{{MetricName: aws.String("Load"), Value: aws.Float64(1.5)}}}))
	fmt.Println("cbor", len(must(w.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{})).MetricAlarms), code(w.SetAlarmState(ctx, &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("none"), StateValue: cwtypes.StateValueOk, StateReason: aws.String("r")})))
}
