package runbook

import (
	"fmt"
	"strings"
	"time"
)

// createImage is aws:createImage, and copyImage aws:copyImage: an image is made,
// and the step waits until it is available.
type (
	createImage struct{}
	copyImage   struct{}
)

// The inputs have other names than the operations' members.
var (
	imageMembers = map[string]string{"ImageName": "Name", "ImageDescription": "Description"}
	createInputs = []string{"ImageDescription", "NoReboot", "BlockDeviceMappings", "TagSpecifications"}
	copyInputs   = []string{"ImageDescription", "Encrypted", "KmsKeyId", "ClientToken"}
)

func (createImage) timeout() (standard, most time.Duration) { return longest, 0 }
func (copyImage) timeout() (standard, most time.Duration)   { return longest, 0 }

func imageOutputs() []Output { return outputsOf(String, "ImageId", "ImageState") }

func (createImage) outputs(*Step) []Output { return imageOutputs() }
func (copyImage) outputs(*Step) []Output   { return imageOutputs() }

func (createImage) check(c *checker, s *Step) {
	c.members(s, []string{"InstanceId", "ImageName"}, createInputs)
}

func (copyImage) check(c *checker, s *Step) {
	c.members(s, []string{"SourceRegion", "SourceImageId", "ImageName"}, copyInputs)
}

func imageCalls(operation string) []callSite {
	return []callSite{{service: "ec2", operation: operation}, {service: "ec2", operation: "DescribeImages"}}
}

func (createImage) calls(*Step) []callSite { return imageCalls("CreateImage") }
func (copyImage) calls(*Step) []callSite   { return imageCalls("CopyImage") }

func (createImage) project(s *Step, r map[string]any) (map[string]any, any, error) {
	return projectImage(s, r)
}
func (copyImage) project(s *Step, r map[string]any) (map[string]any, any, error) {
	return projectImage(s, r)
}

func projectImage(s *Step, r map[string]any) (map[string]any, any, error) {
	if id := r["ImageId"]; id != nil {
		return map[string]any{"ImageId": id}, nil, nil
	}
	image := first(r["Images"])
	if image == nil {
		return nil, nil, nil
	}
	outputs, err := s.implicit(map[string]any{"ImageId": image["ImageId"], "ImageState": image["State"]}, image)
	return outputs, image["State"], err
}

func imageAwaited(operation string) (any, bool) { return "available", operation == "DescribeImages" }

func (createImage) awaited(_ map[string]any, operation string) (any, bool) {
	return imageAwaited(operation)
}
func (copyImage) awaited(_ map[string]any, operation string) (any, bool) {
	return imageAwaited(operation)
}

func (createImage) next(t *turn) move {
	return nextImage(t, "CreateImage", append([]string{"InstanceId", "ImageName"}, createInputs...))
}

func (copyImage) next(t *turn) move {
	return nextImage(t, "CopyImage", append([]string{"SourceRegion", "SourceImageId", "ImageName"}, copyInputs...))
}

func nextImage(t *turn, operation string, inputs []string) move {
	o := t.last()
	if o == nil {
		input := pick(t.inputs, inputs...)
		for name, member := range imageMembers {
			if v, ok := input[name]; ok {
				delete(input, name)
				input[member] = v
			}
		}
		return do("ec2", operation, input)
	}
	if o.Error != nil && (o.Operation == operation || !tolerable(t, o.Error)) {
		return failedCall(o)
	}
	id := t.begun("ImageId")
	switch state := text(o.Property); {
	case id == nil:
		return failf("ec2:%s gave no image id", operation)
	case o.Operation == operation || t.waited:
		return look("ec2", "DescribeImages", map[string]any{"ImageIds": []any{id}})
	case o.Error != nil:
		return pollWait(t, o.Error.Error())
	case state == "available":
		return done()
	case state == "" || state == "pending":
		return pollWait(t, fmt.Sprintf("the image %s is %s", text(id), or(state, "not visible yet")))
	default:
		return failf("the image %s is %s", text(id), state)
	}
}

// deleteImage is aws:deleteImage: it deregisters an image and deletes its
// snapshots.
type deleteImage struct{}

func (deleteImage) timeout() (standard, most time.Duration) { return longest, 0 }

func (deleteImage) check(c *checker, s *Step) { c.members(s, []string{"ImageId"}, nil) }

func (deleteImage) calls(*Step) []callSite {
	return append(imageCalls("DeregisterImage"), callSite{service: "ec2", operation: "DeleteSnapshot"})
}

// project keeps the image's snapshots.
func (deleteImage) project(_ *Step, r map[string]any) (map[string]any, any, error) {
	image := first(r["Images"])
	if image == nil {
		return nil, nil, nil
	}
	snapshots := []any{}
	mappings, _ := image["BlockDeviceMappings"].([]any)
	for _, m := range mappings {
		if id := object(object(m)["Ebs"])["SnapshotId"]; id != nil {
			snapshots = append(snapshots, id)
		}
	}
	return nil, snapshots, nil
}

// next reads which snapshots the image has, deregisters it, and deletes them one
// by one. An image that is gone already is no error.
func (deleteImage) next(t *turn) move {
	o := t.last()
	if o == nil {
		return look("ec2", "DescribeImages", map[string]any{"ImageIds": []any{t.inputs["ImageId"]}})
	}
	if o.Error != nil && o.Operation == "DescribeImages" && strings.HasPrefix(o.Error.Code, "InvalidAMIID.") && o.Error.Code != "InvalidAMIID.Malformed" {
		return done()
	}
	if o.Error != nil {
		return failedCall(o)
	}
	snapshots, _ := t.outcomes[0].Property.([]any)
	deleted := len(t.outcomes) - 2 // after DescribeImages and DeregisterImage
	switch {
	case deleted < 0 && t.outcomes[0].Property == nil:
		return done()
	case deleted < 0:
		return do("ec2", "DeregisterImage", map[string]any{"ImageId": t.inputs["ImageId"]})
	case deleted < len(snapshots):
		return do("ec2", "DeleteSnapshot", map[string]any{"SnapshotId": snapshots[deleted]})
	}
	return done()
}

// runInstances is aws:runInstances: it launches instances and waits until they
// run.
type runInstances struct{}

var instanceInputs = []string{
	"AdditionalInfo", "BlockDeviceMappings", "ClientToken", "DisableApiTermination", "EbsOptimized", "InstanceInitiatedShutdownBehavior",
	"InstanceType", "KernelId", "KeyName", "MetadataOptions", "NetworkInterfaces", "Placement", "PrivateIpAddress", "RamdiskId",
	"SecurityGroupIds", "SecurityGroups", "SubnetId", "TagSpecifications", "UserData",
}

func (runInstances) timeout() (standard, most time.Duration) { return longest, 0 }

func (runInstances) outputs(*Step) []Output {
	return outputsOf(StringList, "InstanceIds", "InstanceStates")
}

func (runInstances) check(c *checker, s *Step) {
	c.members(s, []string{"ImageId"}, append([]string{"MinInstanceCount", "MaxInstanceCount", "IamInstanceProfileArn", "IamInstanceProfileName", "Monitoring"}, instanceInputs...))
}

func (runInstances) calls(*Step) []callSite {
	return []callSite{{service: "ec2", operation: "RunInstances"}, {service: "ec2", operation: "DescribeInstances"}}
}

// project keeps the ids and states of the instances.
func (runInstances) project(s *Step, r map[string]any) (map[string]any, any, error) {
	reservations, _ := r["Reservations"].([]any)
	if reservations == nil {
		reservations = []any{r}
	}
	ids, states := []any{}, []any{}
	for _, reservation := range reservations {
		instances, _ := object(reservation)["Instances"].([]any)
		for _, i := range instances {
			ids = append(ids, object(i)["InstanceId"])
			states = append(states, object(object(i)["State"])["Name"])
		}
	}
	if len(ids) == 0 {
		return nil, states, nil
	}
	own := map[string]any{"InstanceIds": ids}
	if len(states) > 0 && states[0] != nil {
		own["InstanceStates"] = states
	}
	outputs, err := s.implicit(own, nil)
	return outputs, states, err
}

func (runInstances) awaited(inputs map[string]any, operation string) (any, bool) {
	return []any{"running"}, operation == "DescribeInstances"
}

func (runInstances) next(t *turn) move {
	o := t.last()
	if o == nil {
		input := pick(t.inputs, append([]string{"ImageId"}, instanceInputs...)...)
		for name, member := range map[string]string{"MinInstanceCount": "MinCount", "MaxInstanceCount": "MaxCount"} {
			input[member] = int64(1)
			if v, ok := t.inputs[name]; ok && v != "" {
				n, err := integer(v)
				if err != nil {
					return failf("%s is %s", name, excerpt(text(v)))
				}
				input[member] = n
			}
		}
		for name, member := range map[string]string{"IamInstanceProfileArn": "Arn", "IamInstanceProfileName": "Name"} {
			if v, ok := t.inputs[name]; ok && v != "" {
				input["IamInstanceProfile"] = map[string]any{member: v}
			}
		}
		if v, ok := t.inputs["Monitoring"]; ok && v != "" {
			input["Monitoring"] = map[string]any{"Enabled": v}
		}
		return do("ec2", "RunInstances", input)
	}
	if o.Error != nil && (o.Operation == "RunInstances" || !tolerable(t, o.Error)) {
		return failedCall(o)
	}
	ids, _ := t.begun("InstanceIds").([]any)
	states, _ := o.Property.([]any)
	switch {
	case len(ids) == 0:
		return failf("ec2:RunInstances gave no instance ids")
	case o.Operation == "RunInstances" || t.waited:
		return look("ec2", "DescribeInstances", map[string]any{"InstanceIds": ids})
	case o.Error != nil:
		return pollWait(t, o.Error.Error())
	case satisfied(o.Property, []any{"running"}):
		return done()
	case len(states) > 0 && !satisfied(o.Property, []any{"running", "pending"}):
		return failf("the instances %s are %s", text(ids), stateList(states))
	}
	return pollWait(t, "the instances are "+stateList(states))
}
