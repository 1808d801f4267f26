package main

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/knowngood/knowngood/awsapi"
)

var secret = credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", "")

// account is what a caller of GetCallerIdentity must have got.
func account(got string) (int, error) {
	if got != cannedAccount {
		return 0, errors.New("the account is " + got)
	}
	return 1, nil
}

func awsapiCallers(url string) (map[string]caller, error) {
	catalog, err := awsapi.Embedded()
	if err != nil {
		return nil, err
	}
	client, err := awsapi.New(awsapi.Config{Catalog: catalog, Credentials: secret, Region: "eu-west-1", EndpointURL: url})
	if err != nil {
		return nil, err
	}
	describeVolumes, err := catalog.Operation("ec2", "DescribeVolumes")
	if err != nil {
		return nil, err
	}
	ctx, volumes := context.Background(), volumesXML()
	list := func(out map[string]any, err error, member string) (int, error) {
		items, _ := out[member].([]any)
		return len(items), err
	}
	return map[string]caller{
		"DescribeVolumes": func() (int, error) {
			out, err := client.Call(ctx, "ec2", "DescribeVolumes", nil)
			return list(out, err, "Volumes")
		},
		"Scan": func() (int, error) {
			out, err := client.Call(ctx, "dynamodb", "Scan", map[string]any{"TableName": "inventory"})
			return list(out, err, "Items")
		},
		"GetCallerIdentity": func() (int, error) {
			out, err := client.Call(ctx, "sts", "GetCallerIdentity", nil)
			if err != nil {
				return 0, err
			}
			got, _ := out["Account"].(string)
			return account(got)
		},
		"ParseXML": func() (int, error) {
			out, err := describeVolumes.DecodeResponse(http.StatusOK, nil, strings.NewReader(volumes))
			return list(out, err, "Volumes")
		},
	}, nil
}

func typedCallers(url string) (map[string]caller, error) {
	cfg := aws.Config{Region: "eu-west-1", Credentials: secret, BaseEndpoint: &url}
	ec2Client, dynamodbClient, stsClient := ec2.NewFromConfig(cfg), dynamodb.NewFromConfig(cfg), sts.NewFromConfig(cfg)
	ctx := context.Background()
	return map[string]caller{
		"DescribeVolumes": func() (int, error) {
			out, err := ec2Client.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{})
			if err != nil {
				return 0, err
			}
			return len(out.Volumes), nil
		},
		"Scan": func() (int, error) {
			out, err := dynamodbClient.Scan(ctx, &dynamodb.ScanInput{TableName: aws.String("inventory")})
			if err != nil {
				return 0, err
			}
			return len(out.Items), nil
		},
		"GetCallerIdentity": func() (int, error) {
			out, err := stsClient.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
			if err != nil {
				return 0, err
			}
			return account(aws.ToString(out.Account))
		},
	}, nil
}

// xmlCallers read the volumes with encoding/xml as far as tokens.
func xmlCallers(string) (map[string]caller, error) {
	volumes := volumesXML()
	return map[string]caller{"ParseXML": func() (int, error) {
		d, n := xml.NewDecoder(strings.NewReader(volumes)), 0
		for {
			t, err := d.Token()
			if err == io.EOF {
				return n, nil
			}
			if err != nil {
				return 0, err
			}
			if start, ok := t.(xml.StartElement); ok && start.Name.Local == "volumeType" {
				n++ // each volume has one
			}
		}
	}}, nil
}
