package inventory

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/rule"
	"github.com/knowngood/knowngood/library"
)

// good is a type that tests make mistakes in.
const good = `resourceType: AWS::EC2::Volume
service: ec2
list:
  operation: DescribeVolumes
  input: {MaxResults: 500}
  items: Volumes
read:
  operation: DescribeVolumes
  input: {VolumeIds: ["{id}"]}
  items: Volumes
gone: {State: [deleted]}
resourceId: "{VolumeId}"
arn: "arn:{partition}:ec2:{region}:{account}:volume/{VolumeId}"
resourceCreationTime: CreateTime
tags: {each: Tags, key: Key, value: Value}
relationships:
  - {each: Attachments, resourceType: AWS::EC2::Instance, resourceId: InstanceId, relationshipName: Is attached to Instance}
configuration:
  state: {value: State}
  size: Size
  attachments:
    $each: Attachments
    device: Device
details:
  - operation: DescribeVolumeAttribute
    input: {VolumeId: "{VolumeId}", Attribute: autoEnableIO}
    supplementaryConfiguration:
      AutoEnableIO: {$from: AutoEnableIO.Value}
`

func load(t testing.TB, file, text string) (*Table, error) {
	t.Helper()
	return LoadTypes(fstest.MapFS{"resources/" + file: {Data: []byte(text)}}, models(t))
}

func TestTypeFilesThatAreWrong(t *testing.T) {
	if _, err := load(t, "ec2-volume.yaml", good); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from, to string
		want     string // the error: line, problem, expectation
	}{
		{"service: ec2", "service: ec2\ncolour: red", `:3:1: unknown field "colour"`},
		{"service: ec2", "service: [", "expected a resource type"},
		{"service: ec2", "service: ec2\nservice: ec2", ":3:1: "},
		{"AWS::EC2::Volume\n", "Volume\n", `:1:1: the type is "Volume"; expected a type such as`},
		{"AWS::EC2::Volume\n", "AWS::EC2::Disk\n", ":1:1: the file of AWS::EC2::Disk is ec2-volume.yaml; expected ec2-disk.yaml"},
		{"service: ec2", "service: ec3", `:4:3: `},
		{"operation: DescribeVolumes\n  input: {MaxResults", "operation: DescribeDisks\n  input: {MaxResults", ":4:3: "},
		{"operation: DescribeVolumes\n  input: {MaxResults", "operation: describe_volumes\n  input: {MaxResults", ":4:3: the operation is describe_volumes; expected DescribeVolumes"},
		{"operation: DescribeVolumes\n  input: {MaxResults", "operation: DeleteVolume\n  input: {MaxResults", ":4:3: DeleteVolume is of another class; expected an operation that reads"},
		{"{MaxResults: 500}", "{PageSize: 500}", ":5:11: DescribeVolumes has no input PageSize"},
		{"items: Volumes\nread", "items: Disks\nread", ":6:3: there is no member Disks; expected a member of the model's DescribeVolumesResult"},
		{"items: Volumes\nread", "items: \"\"\nread", ":3:1: list has no items"},
		{"items: Volumes\ngone", "items: \"Volumes[].Attachments\"\ngone", ":10:3: read gives VolumeAttachment; expected elements of the same shape as the list's, Volume"},
		{"[deleted]", "[vanished]", ":11:8: VolumeState is never vanished; expected one of creating,"},
		{"{State: [deleted]}", "{Stat: [deleted]}", ":11:8: there is no member Stat"},
		{`resourceId: "{VolumeId}"`, `resourceId: ""`, ":1:1: AWS::EC2::Volume has none; expected resourceId"},
		{`resourceId: "{VolumeId}"`, `resourceId: "{Size}"`, ":12:1: Size is of type integer; expected a text"},
		{`volume/{VolumeId}"`, `volume/{Id}"`, ":13:1: there is no member Id"},
		{"resourceCreationTime: CreateTime", "resourceCreationTime: State", ":14:1: State is of type string; expected a timestamp"},
		{"{each: Tags,", "{each: State,", ":15:8: State is of type string; expected a list"},
		{"key: Key,", "key: Name,", ":15:20: there is no member Name"},
		{"resourceId: InstanceId", "resourceId: HostId", "there is no member HostId"},
		{"{each: Attachments, resourceType", "{each: State, resourceType", ":17:6: State is of type string; expected a list"},
		{", relationshipName: Is attached to Instance", "", ":17:6: something is missing; expected resourceType, relationshipName, and"},
		{"{value: State}", "{value: Status}", ":19:11: there is no member Status"},
		{"size: Size", "size: 5", ":20:3: the mapping is 5; expected a path, or a map"},
		{"size: Size", "size: Attachments", ":20:3: the structure VolumeAttachment is taken whole"},
		{"size: Size", "size: {$as: milliseconds}", ":20:3: the mapping says of nothing"},
		{"size: Size", "size: {$from: Size, $as: milliseconds}", ":20:23: Size is of type integer; expected a timestamp"},
		{"size: Size", "size: {$from: CreateTime, $as: week}", ":20:29: $as is week; expected date, integer, json, milliseconds, text"},
		{"size: Size", "size: {$from: Size, $each: Tags}", "expected a path, and one of $from and $each"},
		{"size: Size", "size: {$from: State, $values: yes}", ":20:24: $values is yes; expected a map"},
		{"size: Size", "size: {$from: State, $values: {vanished: 1}}", ":20:24: VolumeState is never vanished"},
		{"size: Size", "size: {$form: Size}", ":20:10: the key $form is not known"},
		{"size: Size", "size: {$first: [Size, Sise]}", ":20:25: there is no member Sise"},
		{"size: Size", "size: {$first: []}", ":20:10: $first is []; expected a list of mappings"},
		{"size: Size", "size: {$first: [Size], $from: Size}", ":20:3: $first stands alone"},
		{"size: Size", "size: {$as: date, value: Size}", ":20:3: the mapping has both"},
		{"size: Size", "size: {$default: 5, value: Size}", ":20:3: the mapping has both"},
		{"size: Size", "size: Size.Gigabytes", ":20:3: there is no member Gigabytes"},
		{"size: Size", "size: Attachments.Device", ":20:3: Attachments is a list; expected Attachments[]"},
		{"size: Size", `size: "Size[]"`, ":20:3: Size is no list; expected a path without []"},
		{"$each: Attachments", "$from: Attachments", ":21:3: Attachments is a list; expected $each"},
		{"$each: Attachments", "$each: State", ":22:5: State is of type string; expected a list or a map"},
		{"$each: Attachments", "$each: Attachments\n    $key: Devise", ":23:5: there is no member Devise"},
		{"size: Size", "size: {$from: Size, $key: Size}", ":20:23: $key is Size; expected a path in the elements of a list"},
		{"device: Device", "device: Devise", ":23:5: there is no member Devise"},
		{"operation: DescribeVolumeAttribute", "operation: DescribeVolumeAttribute\n    service: kms", `:25:5: no operation "DescribeVolumeAttribute" in kms`},
		{"operation: DescribeVolumeAttribute", "operation: ModifyVolumeAttribute", ":25:5: ModifyVolumeAttribute is of another class"},
		{"operation: DescribeVolumeAttribute", "for: {operation: DescribeVpcs, items: Vpcs, as: {id: VpcId}}\n    operation: DescribeVolumeAttribute", ":25:54: the variable id is there already; expected another name"},
		{"operation: DescribeVolumeAttribute", "for: {operation: DescribeVpcs, items: Vpcs, as: {vpc: Id}}\n    operation: DescribeVolumeAttribute", ":25:54: there is no member Id"},
		{"operation: DescribeVolumeAttribute", "for: {operation: DescribeVpcs, items: Vpcs, as: {vpc: VpcId}}\n    operation: DescribeVolumeAttribute", ":29:22: there is no member AutoEnableIO"},
		{`{VolumeId: "{VolumeId}", Attribute`, `{Attribute`, ":26:5: DescribeVolumeAttribute needs the input VolumeId; expected VolumeId"},
		{`{VolumeId: "{VolumeId}", Attribute`, `{VolumeId: "{Id}", Attribute`, ":26:13: there is no member Id"},
		{"supplementaryConfiguration:\n      AutoEnableIO: {$from: AutoEnableIO.Value}", "absent: []", ":25:5: DescribeVolumeAttribute gives nothing"},
		{"service: ec2", "service: ec2\nglobal: true", ":3:1: a global type has no Region to make one of"},
		{"  items: Volumes\nread", "  items: Volumes\n  id: \"{Tags}\"\nread", ":7:3: Tags is of type list; expected a text"},
		{"{each: Tags,", "{map: Tags, each: Tags,", ":15:1: the tags have both or neither; expected map, or each, key and value"},
		{"{each: Tags, key: Key, value: Value}", "{map: Tags}", ":15:8: Tags is of type list; expected a map"},
		{"size: Size", "size: {$from: Size, $notSecret: no}", ":20:23: $notSecret is no; expected true"},
		{"list:\n", "list:\n  for: {operation: DescribeVpcs, items: Vpcs, as: {vpc: VpcId}}\n", ":4:3: one resource can't be read without knowing what it belongs to; expected no call read"},
		{"list:\n", "list:\n  for: {operation: DescribeVpcs, items: Vpcs, as: {region: VpcId}}\n", ":4:52: the variable region is there already"},
		{"list:\n", "list:\n  for: {operation: DescribeVpcs, items: Vpcs, as: {vpc: IsDefault}}\n", ":4:52: IsDefault is of type boolean; expected a text"},
		{"  items: Volumes\nread", "  items: Volumes\n  pages: {NextToken: NextToken}\nread", ":7:3: the models know how DescribeVolumes is asked for its pages; expected no pages"},
		{"  items: Volumes\nread", "  items: Volumes\n  pages: {Token: Volumes}\nread", ":7:11: DescribeVolumes has no input Token"},
		{"  items: Volumes\nread", "  items: Volumes\n  pages: {NextToken: Volumes}\nread", ":7:11: Volumes is of type list; expected a text"},
		{"gone:", "region: {member: Size}\ngone:", ":11:10: Size is of type integer; expected a text"},
		{"gone:", "region: {operation: DescribeRegions, path: Region}\ngone:", ":11:38: there is no member Region"},
	} {
		text := strings.Replace(good, c.from, c.to, 1)
		if text == good {
			t.Fatalf("%q is not in the file", c.from)
		}
		_, err := load(t, "ec2-volume.yaml", text)
		var file *knowngood.FileError
		if !errors.As(err, &file) || file.File != "resources/ec2-volume.yaml" || file.Want == "" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v\nwant %s", c.to, err, c.want)
		}
	}
}

func TestAListOfIDsNeedsARead(t *testing.T) {
	_, err := load(t, "kms-key.yaml", `
resourceType: AWS::KMS::Key
service: kms
list: {operation: ListKeys, items: Keys, id: "{KeyId}"}
resourceId: "{KeyId}"
arn: "{KeyArn}"
configuration: {keyId: KeyId}
`)
	if err == nil || !strings.Contains(err.Error(), ":4:42: a list of ids needs it; expected the call read") {
		t.Errorf("%v", err)
	}
}

// A list whose pages nobody knows to ask for would be silently cut short.
func TestPagesThatTheModelsDontKnow(t *testing.T) {
	_, err := load(t, "wafv2-webacl.yaml", `
resourceType: AWS::WAFv2::WebACL
service: wafv2
list: {operation: ListWebACLs, input: {Scope: REGIONAL}, items: WebACLs}
resourceId: "{ARN}"
configuration: {name: Name}
`)
	if err == nil || !strings.Contains(err.Error(), ":4:8: ListWebACLs has pages, and the models don't say how to ask for them") {
		t.Errorf("%v", err)
	}
}

func TestSecretsAreNotTaken(t *testing.T) {
	const vpn = `
resourceType: AWS::EC2::VPNConnection
service: ec2
list: {operation: DescribeVpnConnections, items: VpnConnections}
resourceId: "{VpnConnectionId}"
configuration:
  customerGatewayConfiguration: CustomerGatewayConfiguration
`
	_, err := load(t, "ec2-vpnconnection.yaml", vpn)
	if err == nil || !strings.Contains(err.Error(), ":7:3: the model calls customerGatewayConfiguration sensitive; expected no secrets") {
		t.Errorf("%v", err)
	}
	if _, err = load(t, "ec2-vpnconnection.yaml", strings.Replace(vpn, " CustomerGatewayConfiguration", " {$from: CustomerGatewayConfiguration, $notSecret: true}", 1)); err != nil {
		t.Errorf("%v", err)
	}
}

// holdsJSON are members that are text with a JSON document, into which rules look.
var holdsJSON = map[string]bool{"supplementaryConfiguration.AccessControlList": true, "supplementaryConfiguration.BucketPolicy.policyText": true}

// What the library's rules read the table gives, of the item and of the resources
// that they look up; else a rule would judge what is never there. A rule of several
// types may read what only one of them has.
func TestTheTableGivesWhatRulesRead(t *testing.T) {
	rules, err := rule.Load(library.FS)
	if err != nil {
		t.Fatal(err)
	}
	table, checked := libraryTable(t), 0
	check := func(identifier string, types, reads []string) {
		var emits []string
		for _, name := range types {
			typ, ok := table.Type(name)
			if !ok {
				t.Errorf("%s reads %s, which is not in the table", identifier, name)
				return
			}
			emits = append(emits, typ.Emits()...)
		}
		for _, read := range reads {
			if !strings.HasPrefix(read, "configuration.") && !strings.HasPrefix(read, "supplementaryConfiguration.") {
				continue
			}
			checked++
			if !slices.ContainsFunc(emits, func(path string) bool {
				return path == read || strings.HasPrefix(path, read+".") || holdsJSON[path] && strings.HasPrefix(read, path+".")
			}) {
				t.Errorf("%s reads %s of %s, which the table does not give", identifier, read, strings.Join(types, ", "))
			}
		}
	}
	for _, d := range rules.Rules() {
		check(d.Identifier, d.ResourceTypes, d.Reads)
		for other, reads := range d.Others {
			check(d.Identifier, []string{other}, reads)
		}
	}
	if checked == 0 {
		t.Error("no rule reads anything")
	}
}

func TestAllProblemsAreTold(t *testing.T) {
	bad := strings.NewReplacer("size: Size", "size: Sise", "device: Device", "device: Devise").Replace(good)
	_, err := LoadTypes(fstest.MapFS{"resources/ec2-volume.yaml": {Data: []byte(bad)}, "resources/ec2-vpc.yaml": {Data: []byte("colour: red")}}, models(t))
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("%v", err)
	}
	if _, err := load(t, "ec2-volume.yaml", "#"+strings.Repeat(" ", maxTypeBytes)); err == nil || !strings.Contains(err.Error(), "bytes; expected at most 262144") {
		t.Errorf("%v", err)
	}
}

func TestTheTable(t *testing.T) {
	table, err := load(t, "ec2-volume.yaml", good)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(table.Types(), " "); got != "AWS::EC2::Volume" {
		t.Errorf("types %s", got)
	}
	typ, ok := table.Type("AWS::EC2::Volume")
	if _, other := table.Type("AWS::EC2::VPC"); !ok || other {
		t.Errorf("%v, %v", ok, other)
	}
	if got := strings.Join(typ.Emits(), " "); got != "configuration.attachments.device configuration.size configuration.state.value supplementaryConfiguration.AutoEnableIO" {
		t.Errorf("emits %s", got)
	}
	if got := strings.Join(typ.Operations(), " "); got != "ec2:DescribeVolumeAttribute ec2:DescribeVolumes" {
		t.Errorf("operations %s", got)
	}
}

// Each error code that the library's table names is one that the service's model
// knows, save those of services whose models have none: a misspelt code would
// make an absence a failure.
func TestErrorCodesAreTheModels(t *testing.T) {
	table := libraryTable(t)
	for _, name := range table.Types() {
		typ, _ := table.Type(name)
		check := func(service, operation string, codes []string) {
			op, err := models(t).Operation(service, operation)
			if err != nil {
				t.Fatal(err)
			}
			if len(op.Errors) == 0 {
				return // ec2 and s3 don't model their errors
			}
			for _, code := range codes {
				if op.Service.QueryCompatible && strings.Contains(code, ".") {
					continue // its code of the query protocol, which answers bring along
				}
				known := false
				for _, s := range op.Errors {
					known = known || s.ErrorCode() == code
				}
				if !known {
					t.Errorf("%s: %s has no error %s", name, operation, code)
				}
			}
		}
		if typ.Read != nil {
			check(typ.Service, typ.Read.Operation, typ.Read.NotFound)
		}
		for i := range typ.Details {
			check(typ.Details[i].Service, typ.Details[i].Operation, typ.Details[i].Absent)
		}
	}
}

func BenchmarkLoadTypes(b *testing.B) {
	for b.Loop() {
		if _, err := LoadTypes(library.FS, models(b)); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzTypeFile(f *testing.F) {
	f.Add(good)
	files, err := fs.Glob(library.FS, "resources/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		raw, err := library.FS.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(raw))
	}
	f.Add("resourceType: &a AWS::EC2::Volume\nconfiguration: {x: *a, y: {$each: \".\", z: .}}")
	f.Add("list: [\nread: {items: \"[].[]\"}")
	catalog, err := awsapi.Embedded()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		const file = "resources/x.yaml"
		typ, err := parseType(file, []byte(text), catalog)
		if err == nil {
			t.Fatalf("%s passes for the file x.yaml", typ.Name)
		}
		var at *knowngood.FileError
		if !errors.As(err, &at) || at.File != file || at.Line < 1 {
			t.Fatalf("no file and line: %v", err)
		}
		// Under its right name a file either fails or makes items of anything.
		if typ == nil || !typeForm.MatchString(typ.Name) {
			return
		}
		right := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(typ.Name, "AWS::"), "::", "-")) + ".yaml"
		if typ, err = parseType(path.Join("resources", right), []byte(text), catalog); err != nil {
			return
		}
		for _, element := range []any{nil, "text", map[string]any{}, map[string]any{"Tags": "x", "Volumes": []any{nil}}} {
			r := &knowngood.Resource{Tags: map[string]string{}, Configuration: map[string]any{}}
			typ.Tags.add(r, element)
			typ.conf.merge(r.Configuration, element)
			typ.gone(element)
		}
	})
}
