"""EC2 and Auto Scaling."""

import base64


def image(ec2):
    found = ec2.describe_images(Owners=["amazon"])["Images"]
    return found[0]["ImageId"] if found else "ami-0abcdef1234567890"


def ec2(t):
    # Sources: Amazon EC2 API Reference (each operation, "Error codes"), Amazon EBS User Guide ("Amazon EBS encryption").
    c, zone = t.client("ec2"), "eu-west-1a"
    volume = lambda i: c.describe_volumes(VolumeIds=[i])["Volumes"][0]
    state = lambda i: c.describe_instances(InstanceIds=[i])["Reservations"][0]["Instances"][0]["State"]["Name"]

    v = t.do(lambda: c.create_volume(AvailabilityZone=zone, Size=10, VolumeType="gp3", TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "Name", "Value": "data"}]}]))
    t.eq("a new volume is creating", "creating", lambda: v["State"])
    t.eq("gp3 has 3,000 IOPS unless told otherwise", 3000, lambda: v["Iops"])
    t.eq("gp3 has 125 MiB/s unless told otherwise", 125, lambda: v["Throughput"])
    t.eq("a volume is not encrypted unless told so", False, lambda: v["Encrypted"])
    t.eq("tags come with the volume", [{"Key": "Name", "Value": "data"}], lambda: v["Tags"])
    t.wait(30)
    t.eq("a volume becomes available", "available", lambda: volume(v["VolumeId"])["State"])
    t.error("an unknown volume", "InvalidVolume.NotFound", lambda: c.describe_volumes(VolumeIds=["vol-0123456789abcdef0"]))
    t.error("DryRun of what is allowed", "DryRunOperation", lambda: c.create_volume(AvailabilityZone=zone, Size=1, DryRun=True), 412)
    t.error("a volume needs a size or a snapshot", "MissingParameter", lambda: c.create_volume(AvailabilityZone=zone))
    t.error("an unknown zone", "InvalidZone.NotFound", lambda: c.create_volume(AvailabilityZone="eu-west-1z", Size=1))
    t.error("an unknown snapshot", "InvalidSnapshot.NotFound", lambda: c.create_volume(AvailabilityZone=zone, SnapshotId="snap-0123456789abcdef0"))
    once = t.do(lambda: c.create_volume(AvailabilityZone=zone, Size=3, ClientToken="t-1")["VolumeId"])
    t.true("a client token makes one volume", lambda: once and c.create_volume(AvailabilityZone=zone, Size=3, ClientToken="t-1")["VolumeId"] == once)
    t.error("a client token with other parameters", "IdempotentParameterMismatch", lambda: c.create_volume(AvailabilityZone=zone, Size=4, ClientToken="t-1"))
    t.error("a reserved tag", "InvalidParameterValue", lambda: c.create_tags(Resources=[v["VolumeId"]], Tags=[{"Key": "aws:mine", "Value": "x"}]))
    t.eq("a filter by tag", [True], lambda: [x["VolumeId"] == v["VolumeId"] for x in c.describe_volumes(Filters=[{"Name": "tag:Name", "Values": ["data"]}])["Volumes"]])
    t.error("an unknown filter", "InvalidParameterValue", lambda: c.describe_volumes(Filters=[{"Name": "colour", "Values": ["red"]}]))

    i = t.do(lambda: c.run_instances(MinCount=1, MaxCount=1, ImageId=image(c), InstanceType="m5.large", Placement={"AvailabilityZone": zone})["Instances"][0])
    t.eq("a new instance is pending", "pending", lambda: i["State"]["Name"])
    t.wait(120)
    t.eq("an instance gets running", "running", lambda: state(i["InstanceId"]))
    t.eq("attaching takes time", "attaching", lambda: c.attach_volume(VolumeId=v["VolumeId"], InstanceId=i["InstanceId"], Device="/dev/sdf")["State"])
    t.wait(30)
    t.eq("an attached volume is in use", ("in-use", "attached", "/dev/sdf"), lambda: (volume(v["VolumeId"])["State"],) + tuple(volume(v["VolumeId"])["Attachments"][0][k] for k in ("State", "Device")))
    t.error("a volume that is attached", "VolumeInUse", lambda: c.attach_volume(VolumeId=v["VolumeId"], InstanceId=i["InstanceId"], Device="/dev/sdg"))
    t.error("an attached volume can't be deleted", "VolumeInUse", lambda: c.delete_volume(VolumeId=v["VolumeId"]))
    other = t.do(lambda: c.create_volume(AvailabilityZone=zone, Size=1, VolumeType="gp3")["VolumeId"])
    far = t.do(lambda: c.create_volume(AvailabilityZone="eu-west-1b", Size=1, VolumeType="gp3")["VolumeId"])
    t.wait(30)
    t.error("a device that is taken", "InvalidParameterValue", lambda: c.attach_volume(VolumeId=other, InstanceId=i["InstanceId"], Device="/dev/sdf"))
    t.error("a volume of another zone", "InvalidVolume.ZoneMismatch", lambda: c.attach_volume(VolumeId=far, InstanceId=i["InstanceId"], Device="/dev/sdg"))
    t.error("an unknown instance", "InvalidInstanceID.NotFound", lambda: c.describe_instances(InstanceIds=["i-0123456789abcdef0"]))

    s = t.do(lambda: c.create_snapshot(VolumeId=v["VolumeId"], Description="before"))
    t.eq("a new snapshot is pending", ("pending", 10, False), lambda: (s["State"], s["VolumeSize"], s["Encrypted"]))
    t.wait(3600)
    snapshot = lambda i: c.describe_snapshots(SnapshotIds=[i])["Snapshots"][0]
    t.eq("a snapshot is completed", ("completed", "100%"), lambda: (snapshot(s["SnapshotId"])["State"], snapshot(s["SnapshotId"])["Progress"]))
    copy = t.do(lambda: c.copy_snapshot(SourceRegion="eu-west-1", SourceSnapshotId=s["SnapshotId"], Encrypted=True)["SnapshotId"])
    t.wait(3600)
    t.eq("a copy can be encrypted", True, lambda: snapshot(copy)["Encrypted"])
    t.true("by the key of EBS unless told otherwise", lambda: snapshot(copy)["KmsKeyId"].startswith("arn:aws:kms:eu-west-1:"))
    ebs = t.do(lambda: t.client("kms").describe_key(KeyId="alias/aws/ebs")["KeyMetadata"])
    t.eq("which AWS manages", ("AWS", True), lambda: (ebs["KeyManager"], ebs["Arn"] == snapshot(copy)["KmsKeyId"]))
    e = t.do(lambda: c.create_volume(AvailabilityZone=zone, SnapshotId=copy, VolumeType="gp3"))
    t.eq("a volume of an encrypted snapshot is encrypted and of its size", (True, 10), lambda: (e["Encrypted"], e["Size"]))
    t.eq("its key is the snapshot's", True, lambda: e["KmsKeyId"] == snapshot(copy)["KmsKeyId"])
    t.eq("an unencrypted snapshot can make an encrypted volume", True, lambda: c.create_volume(AvailabilityZone=zone, SnapshotId=s["SnapshotId"], Encrypted=True)["Encrypted"])
    t.error("a volume smaller than its snapshot", "InvalidParameterValue", lambda: c.create_volume(AvailabilityZone=zone, SnapshotId=copy, Size=5))
    t.eq("stopping takes time", "stopping", lambda: c.stop_instances(InstanceIds=[i["InstanceId"]])["StoppingInstances"][0]["CurrentState"]["Name"])
    t.wait(300)
    t.eq("an instance is stopped", "stopped", lambda: state(i["InstanceId"]))
    t.eq("detaching takes time", "detaching", lambda: c.detach_volume(VolumeId=v["VolumeId"])["State"])
    t.wait(60)
    t.eq("a detached volume is available", ("available", []), lambda: (volume(v["VolumeId"])["State"], volume(v["VolumeId"])["Attachments"]))
    t.error("what is not attached", "IncorrectState", lambda: c.detach_volume(VolumeId=v["VolumeId"]))
    t.do(lambda: c.attach_volume(VolumeId=e["VolumeId"], InstanceId=i["InstanceId"], Device="/dev/sdf"))
    t.do(lambda: c.start_instances(InstanceIds=[i["InstanceId"]]))
    t.wait(120)
    mapped = lambda: [m["Ebs"] for m in c.describe_instances(InstanceIds=[i["InstanceId"]])["Reservations"][0]["Instances"][0]["BlockDeviceMappings"] if m["DeviceName"] == "/dev/sdf"]
    t.eq("the instance has the encrypted volume", (True, False), lambda: (mapped()[0]["VolumeId"] == e["VolumeId"], mapped()[0]["DeleteOnTermination"]))
    t.eq("the instance runs again", "running", lambda: state(i["InstanceId"]))
    t.do(lambda: c.delete_volume(VolumeId=v["VolumeId"]))
    t.wait(60)
    t.error("a deleted volume", "InvalidVolume.NotFound", lambda: c.describe_volumes(VolumeIds=[v["VolumeId"]]))
    t.eq("a snapshot outlives its volume", "completed", lambda: snapshot(s["SnapshotId"])["State"])

    t.eq("encryption by default is off", False, lambda: c.get_ebs_encryption_by_default()["EbsEncryptionByDefault"])
    t.eq("and can be turned on", True, lambda: c.enable_ebs_encryption_by_default()["EbsEncryptionByDefault"])
    t.eq("then every new volume is encrypted", True, lambda: c.create_volume(AvailabilityZone=zone, Size=1)["Encrypted"])
    t.eq("by the alias of EBS", "alias/aws/ebs", lambda: c.get_ebs_default_kms_key_id()["KmsKeyId"])
    t.do(lambda: c.disable_ebs_encryption_by_default())

    m = t.do(lambda: c.modify_volume(VolumeId=e["VolumeId"], Size=20)["VolumeModification"])
    t.eq("a volume can grow", ("modifying", 10, 20), lambda: (m["ModificationState"], m["OriginalSize"], m["TargetSize"]))
    t.wait(7 * 3600)  # a volume may be modified every six hours
    t.error("but not shrink", "InvalidParameterValue", lambda: c.modify_volume(VolumeId=e["VolumeId"], Size=5))
    t.eq("a snapshot is private", [], lambda: c.describe_snapshot_attribute(SnapshotId=s["SnapshotId"], Attribute="createVolumePermission")["CreateVolumePermissions"])
    t.do(lambda: c.modify_snapshot_attribute(SnapshotId=s["SnapshotId"], Attribute="createVolumePermission", OperationType="add", GroupNames=["all"]))
    t.eq("until it is shared with all", [{"Group": "all"}], lambda: c.describe_snapshot_attribute(SnapshotId=s["SnapshotId"], Attribute="createVolumePermission")["CreateVolumePermissions"])

    a = t.do(lambda: c.create_image(InstanceId=i["InstanceId"], Name="golden", NoReboot=True)["ImageId"])
    t.wait(3600)
    made = lambda: c.describe_images(ImageIds=[a])["Images"][0]
    t.eq("an image becomes available", ("available", "golden", False), lambda: (made()["State"], made()["Name"], made()["Public"]))
    t.error("an image's snapshot is in use", "InvalidSnapshot.InUse", lambda: c.delete_snapshot(SnapshotId=next(b["Ebs"]["SnapshotId"] for b in made()["BlockDeviceMappings"] if "Ebs" in b)))
    t.error("the name of an image is unique", "InvalidAMIName.Duplicate", lambda: c.create_image(InstanceId=i["InstanceId"], Name="golden", NoReboot=True))
    t.error("an unknown image", "InvalidAMIID.NotFound", lambda: c.describe_images(ImageIds=["ami-0123456789abcdef0"]))

    t.do(lambda: c.modify_instance_attribute(InstanceId=i["InstanceId"], DisableApiTermination={"Value": True}))
    t.error("a protected instance", "OperationNotPermitted", lambda: c.terminate_instances(InstanceIds=[i["InstanceId"]]))
    t.error("the type of a running instance", "IncorrectInstanceState", lambda: c.modify_instance_attribute(InstanceId=i["InstanceId"], InstanceType={"Value": "m5.xlarge"}))
    t.do(lambda: c.modify_instance_metadata_options(InstanceId=i["InstanceId"], HttpTokens="required"))
    t.wait(60)
    options = lambda: c.describe_instances(InstanceIds=[i["InstanceId"]])["Reservations"][0]["Instances"][0]["MetadataOptions"]
    t.eq("IMDSv2 can be required", ("required", "applied", "enabled"), lambda: (options()["HttpTokens"], options()["State"], options()["HttpEndpoint"]))
    t.do(lambda: c.modify_instance_attribute(InstanceId=i["InstanceId"], DisableApiTermination={"Value": False}))
    t.eq("terminating takes time", "shutting-down", lambda: c.terminate_instances(InstanceIds=[i["InstanceId"]])["TerminatingInstances"][0]["CurrentState"]["Name"])
    t.wait(300)
    t.error("a terminated instance can't start", "IncorrectInstanceState", lambda: c.start_instances(InstanceIds=[i["InstanceId"]]))

    vpc = t.do(lambda: c.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"])
    g = t.do(lambda: c.create_security_group(GroupName="web", Description="d", VpcId=vpc)["GroupId"])
    group = lambda: c.describe_security_groups(GroupIds=[g])["SecurityGroups"][0]
    t.eq("a group lets everything out", [("-1", "0.0.0.0/0")], lambda: [(p["IpProtocol"], p["IpRanges"][0]["CidrIp"]) for p in group()["IpPermissionsEgress"]])
    t.error("the name of a group is unique in its VPC", "InvalidGroup.Duplicate", lambda: c.create_security_group(GroupName="web", Description="d", VpcId=vpc))
    ssh = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    t.eq("a rule has an id", True, lambda: c.authorize_security_group_ingress(GroupId=g, IpPermissions=ssh)["SecurityGroupRules"][0]["SecurityGroupRuleId"].startswith("sgr-"))
    t.error("a rule that is there", "InvalidPermission.Duplicate", lambda: c.authorize_security_group_ingress(GroupId=g, IpPermissions=ssh))
    t.eq("rules can be listed", [(False, 22)], lambda: [(r["IsEgress"], r["FromPort"]) for r in c.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [g]}])["SecurityGroupRules"] if not r["IsEgress"]])
    t.eq("a rule can be revoked", [], lambda: c.revoke_security_group_ingress(GroupId=g, IpPermissions=ssh) and group()["IpPermissions"])
    t.error("a rule that is not there", "InvalidPermission.NotFound", lambda: c.revoke_security_group_ingress(GroupId=g, IpPermissions=ssh))
    t.error("an unknown group", "InvalidGroup.NotFound", lambda: c.describe_security_groups(GroupIds=["sg-0123456789abcdef0"]))

    t.do(lambda: c.create_launch_template(LaunchTemplateName="batch", LaunchTemplateData={"InstanceType": "t3.micro", "UserData": base64.b64encode(b"#!").decode()}))
    n = t.do(lambda: c.create_launch_template_version(LaunchTemplateName="batch", SourceVersion="1", LaunchTemplateData={"InstanceType": "t3.small"})["LaunchTemplateVersion"])
    t.eq("a version is numbered, and not the default", (2, False), lambda: (n["VersionNumber"], n["DefaultVersion"]))
    t.eq("a version keeps what its source has", True, lambda: "UserData" in n["LaunchTemplateData"])
    t.eq("$Latest is the last one", [2], lambda: [x["VersionNumber"] for x in c.describe_launch_template_versions(LaunchTemplateName="batch", Versions=["$Latest"])["LaunchTemplateVersions"]])
    t.eq("$Default stays until it is set", (1, 2), lambda: (c.describe_launch_template_versions(LaunchTemplateName="batch", Versions=["$Default"])["LaunchTemplateVersions"][0]["VersionNumber"],
         c.modify_launch_template(LaunchTemplateName="batch", DefaultVersion="2")["LaunchTemplate"]["DefaultVersionNumber"]))
    t.error("the name of a template is unique", "InvalidLaunchTemplateName.AlreadyExistsException", lambda: c.create_launch_template(LaunchTemplateName="batch", LaunchTemplateData={"InstanceType": "t3.micro"}))


def autoscaling(t):
    # Sources: Amazon EC2 Auto Scaling API Reference; User Guide ("Use an instance refresh to update instances in an Auto Scaling group").
    c, ec2 = t.client("autoscaling"), t.client("ec2")
    t.do(lambda: ec2.create_launch_template(LaunchTemplateName="fleet", LaunchTemplateData={"ImageId": image(ec2), "InstanceType": "t3.micro"}))
    t.do(lambda: c.create_auto_scaling_group(AutoScalingGroupName="web", MinSize=1, MaxSize=4, DesiredCapacity=2, AvailabilityZones=["eu-west-1a", "eu-west-1b"],
         LaunchTemplate={"LaunchTemplateName": "fleet", "Version": "$Latest"}))
    t.wait(600)
    group = lambda: c.describe_auto_scaling_groups(AutoScalingGroupNames=["web"])["AutoScalingGroups"][0]
    t.eq("a group launches its capacity", [("InService", "Healthy")] * 2, lambda: [(i["LifecycleState"], i["HealthStatus"]) for i in group()["Instances"]])
    t.eq("over its zones", ["eu-west-1a", "eu-west-1b"], lambda: sorted(i["AvailabilityZone"] for i in group()["Instances"]))
    first = t.do(lambda: [i["InstanceId"] for i in group()["Instances"]])
    tags = lambda: {x["Key"]: x["Value"] for x in ec2.describe_instances(InstanceIds=first)["Reservations"][0]["Instances"][0]["Tags"]}
    t.eq("an instance has its group's tag", "web", lambda: tags()["aws:autoscaling:groupName"])
    t.error("the name of a group is unique", "AlreadyExists", lambda: c.create_auto_scaling_group(AutoScalingGroupName="web", MinSize=1, MaxSize=1, AvailabilityZones=["eu-west-1a"], LaunchTemplate={"LaunchTemplateName": "fleet"}))
    t.error("more than its maximum", "ValidationError", lambda: c.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=9))
    t.error("an unknown group", "ValidationError", lambda: c.update_auto_scaling_group(AutoScalingGroupName="none", MinSize=1))
    t.eq("an unknown group is not listed", [], lambda: c.describe_auto_scaling_groups(AutoScalingGroupNames=["none"])["AutoScalingGroups"])
    t.do(lambda: ec2.create_launch_template_version(LaunchTemplateName="fleet", SourceVersion="1", LaunchTemplateData={"InstanceType": "t3.small"}))
    r = t.do(lambda: c.start_instance_refresh(AutoScalingGroupName="web", Preferences={"MinHealthyPercentage": 50, "InstanceWarmup": 60})["InstanceRefreshId"])
    refresh = lambda: c.describe_instance_refreshes(AutoScalingGroupName="web", InstanceRefreshIds=[r])["InstanceRefreshes"][0]
    t.true("a refresh begins", lambda: r and refresh()["Status"] in ("Pending", "InProgress"))
    t.error("one refresh at a time", "InstanceRefreshInProgress", lambda: c.start_instance_refresh(AutoScalingGroupName="web"))
    t.wait(3600)
    t.eq("a refresh ends", ("Successful", 100), lambda: (refresh()["Status"], refresh()["PercentageComplete"]))
    t.eq("every instance was replaced", True, lambda: len(group()["Instances"]) == 2 and not set(first) & {i["InstanceId"] for i in group()["Instances"]})
    t.eq("by the template's version", ["t3.small"] * 2, lambda: [i["InstanceType"] for i in group()["Instances"]])
    t.error("no refresh to cancel", "ActiveInstanceRefreshNotFound", lambda: c.cancel_instance_refresh(AutoScalingGroupName="web"))
    t.do(lambda: c.suspend_processes(AutoScalingGroupName="web", ScalingProcesses=["Launch"]))
    t.eq("a process can be suspended", ["Launch"], lambda: [p["ProcessName"] for p in group()["SuspendedProcesses"]])
    t.eq("and resumed", [], lambda: c.resume_processes(AutoScalingGroupName="web", ScalingProcesses=["Launch"]) and group()["SuspendedProcesses"])
    t.error("a group with instances can't be deleted", "ResourceInUse", lambda: c.delete_auto_scaling_group(AutoScalingGroupName="web"))


FLOWS = [ec2, autoscaling]
