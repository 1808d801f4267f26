package main

import (
	"context"
	"fmt"
	"hash/crc32"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const cannedAccount = "111122223333"

// volumesXML is an answer of DescribeVolumes in the form in which EC2 writes it:
// indented, with an empty element or two.
func volumesXML() string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>
<DescribeVolumesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
    <requestId>4b6a2b1e-0f4a-4d3e-9d1b-1c0d6f0e7a11</requestId>
    <volumeSet>
`)
	for i := range 1000 {
		fmt.Fprintf(&b, `        <item>
            <volumeId>vol-%017x</volumeId>
            <size>500</size>
            <snapshotId>snap-0123456789abcdef0</snapshotId>
            <availabilityZone>eu-west-1a</availabilityZone>
            <status>in-use</status>
            <createTime>2026-01-02T03:04:05.%03dZ</createTime>
            <attachmentSet>
                <item>
                    <volumeId>vol-%017x</volumeId>
                    <instanceId>i-%017x</instanceId>
                    <device>/dev/sdf</device>
                    <status>attached</status>
                    <attachTime>2026-01-02T03:04:05.000Z</attachTime>
                    <deleteOnTermination>true</deleteOnTermination>
                </item>
            </attachmentSet>
            <tagSet>
                <item>
                    <key>Name</key>
                    <value>data &amp; logs %d</value>
                </item>
                <item>
                    <key>owner</key>
                    <value>team-a</value>
                </item>
            </tagSet>
            <volumeType>gp3</volumeType>
            <iops>3000</iops>
            <encrypted>false</encrypted>
            <multiAttachEnabled>false</multiAttachEnabled>
            <throughput>125</throughput>
            <operator>
                <managed>false</managed>
            </operator>
        </item>
`, i, i%1000, i, i, i)
	}
	b.WriteString(`    </volumeSet>
</DescribeVolumesResponse>`)
	return b.String()
}

// itemsJSON is an answer of Scan.
func itemsJSON() string {
	var b strings.Builder
	b.WriteString(`{"Count":1000,"Items":[`)
	for i := range 1000 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":{"S":"item-%d"},"price":{"N":"%d.5"},"tags":{"L":[{"S":"a \"quoted\" one"},{"S":"b"}]},"active":{"BOOL":true},`+
			`"blob":{"B":"MDEyMzQ1Njc4OQ=="},"owner":{"M":{"name":{"S":"team-a"},"cost":{"N":"%d"}}}}`, i, i, i)
	}
	b.WriteString(`],"ScannedCount":1000}`)
	return b.String()
}

const identityXML = `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <GetCallerIdentityResult>
    <Arn>arn:aws:iam::` + cannedAccount + `:user/alice</Arn>
    <UserId>AIDACKCEVSQ6C2EXAMPLE</UserId>
    <Account>` + cannedAccount + `</Account>
  </GetCallerIdentityResult>
  <ResponseMetadata>
    <RequestId>01234567-89ab-cdef-0123-456789abcdef</RequestId>
  </ResponseMetadata>
</GetCallerIdentityResponse>
`

// latency is how long the server thinks. With none, a call of the typed SDK fails
// now and then: smithy-go closes the request's body when the answer comes, and the
// transport, which may not have looked for the body's end yet, then takes the
// connection for broken.
const latency = time.Millisecond

// startServer serves the canned answers on loopback.
func startServer() (url string, stop func(), err error) {
	volumes, items := []byte(volumesXML()), []byte(itemsJSON())
	crc := strconv.FormatUint(uint64(crc32.ChecksumIEEE(items)), 10)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		contentType, body := "text/xml;charset=UTF-8", []byte(identityXML)
		if r.Header.Get("X-Amz-Target") == "DynamoDB_20120810.Scan" {
			contentType, body = "application/x-amz-json-1.0", items
			w.Header().Set("X-Amz-Crc32", crc)
		} else if err := r.ParseForm(); err == nil && r.Form.Get("Action") == "DescribeVolumes" {
			body = volumes
		}
		time.Sleep(latency)
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.Header().Set("X-Amzn-Requestid", "01234567-89ab-cdef-0123-456789abcdef")
		_, _ = w.Write(body)
	})}
	go func() { _ = server.Serve(listener) }()
	return "http://" + listener.Addr().String(), func() { _ = server.Shutdown(context.Background()) }, nil
}
