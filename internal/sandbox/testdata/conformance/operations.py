"""Systems Manager, Backup, CloudWatch and Config."""

import datetime
import json


RUNBOOK = {"schemaVersion": "0.3", "description": "d", "parameters": {"Name": {"type": "String"}},
           "mainSteps": [{"name": "wait", "action": "aws:sleep", "inputs": {"Duration": "PT1M"}}]}
SHELL = {"schemaVersion": "2.2", "description": "d", "mainSteps": [{"name": "run", "action": "aws:runShellScript", "inputs": {"runCommand": ["true"]}}]}


def managed(t):
    """An instance that Systems Manager manages: it has the role for it."""
    iam, ec2 = t.client("iam"), t.client("ec2")
    iam.create_role(RoleName="managed", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}))
    iam.attach_role_policy(RoleName="managed", PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore")
    iam.create_instance_profile(InstanceProfileName="managed")
    iam.add_role_to_instance_profile(InstanceProfileName="managed", RoleName="managed")
    t.wait(60)
    found = ec2.describe_images(Owners=["amazon"])["Images"] or [{"ImageId": "ami-0abcdef1234567890"}]
    i = ec2.run_instances(MinCount=1, MaxCount=1, ImageId=found[0]["ImageId"], InstanceType="t3.micro", IamInstanceProfile={"Name": "managed"})["Instances"][0]["InstanceId"]
    t.wait(600)
    return i


def ssm(t):
    # Sources: AWS Systems Manager API Reference; User Guide ("Understanding command statuses", "About patch compliance state values").
    c = t.client("ssm")
    t.eq("a parameter begins with version 1", 1, lambda: c.put_parameter(Name="/app/host", Value="one", Type="String")["Version"])
    t.error("a parameter is not overwritten unless told so", "ParameterAlreadyExists", lambda: c.put_parameter(Name="/app/host", Value="two", Type="String"))
    t.eq("an overwrite is a version", 2, lambda: c.put_parameter(Name="/app/host", Value="two", Type="String", Overwrite=True)["Version"])
    t.eq("an earlier version by its number", "one", lambda: c.get_parameter(Name="/app/host:1")["Parameter"]["Value"])
    t.error("an unknown parameter", "ParameterNotFound", lambda: c.get_parameter(Name="/none"))
    t.do(lambda: c.put_parameter(Name="/app/secret", Value="hush", Type="SecureString"))
    t.eq("a SecureString is not told unless asked", True, lambda: c.get_parameter(Name="/app/secret")["Parameter"]["Value"] != "hush")
    t.eq("and then decrypted", "hush", lambda: c.get_parameter(Name="/app/secret", WithDecryption=True)["Parameter"]["Value"])
    t.eq("parameters below a path", ["/app/host", "/app/secret"], lambda: sorted(p["Name"] for p in c.get_parameters_by_path(Path="/app", Recursive=True)["Parameters"]))
    d = t.do(lambda: c.create_document(Name="Pause", Content=json.dumps(RUNBOOK), DocumentType="Automation", DocumentFormat="JSON")["DocumentDescription"])
    t.eq("a new document", ("Automation", "1", "0.3"), lambda: (d["DocumentType"], d["DocumentVersion"], d["SchemaVersion"]))
    t.error("its name is unique", "DocumentAlreadyExists", lambda: c.create_document(Name="Pause", Content=json.dumps(RUNBOOK), DocumentType="Automation"))
    t.error("content that is none", "InvalidDocumentContent", lambda: c.create_document(Name="Broken", Content="{", DocumentType="Automation"))
    t.error("an unknown document", "InvalidDocument", lambda: c.describe_document(Name="None-Such"))
    t.wait(30)
    t.eq("a document becomes active", "Active", lambda: c.describe_document(Name="Pause")["Document"]["Status"])
    t.eq("an update makes a version", "2", lambda: c.update_document(Name="Pause", Content=json.dumps(dict(RUNBOOK, description="e")), DocumentVersion="$LATEST")["DocumentDescription"]["DocumentVersion"])
    t.wait(30)
    t.eq("the default stays until it is set", "1", lambda: c.get_document(Name="Pause")["DocumentVersion"])
    t.error("an update of nothing", "DuplicateDocumentContent", lambda: c.update_document(Name="Pause", Content=json.dumps(dict(RUNBOOK, description="e")), DocumentVersion="$LATEST"))
    x = t.do(lambda: c.start_automation_execution(DocumentName="Pause", Parameters={"Name": ["n"]})["AutomationExecutionId"])
    status = lambda: c.get_automation_execution(AutomationExecutionId=x)["AutomationExecution"]["AutomationExecutionStatus"]
    t.true("an automation begins", lambda: x and status() in ("Pending", "InProgress"))
    t.wait(300)
    t.eq("an automation succeeds in the end", "Success", status)
    t.error("a parameter that is missing", "InvalidAutomationExecutionParametersException", lambda: c.start_automation_execution(DocumentName="Pause"))
    t.error("an unknown automation", "AutomationExecutionNotFoundException", lambda: c.get_automation_execution(AutomationExecutionId="12345678-1234-1234-1234-123456789012"))
    t.error("an unknown runbook", "AutomationDefinitionNotFoundException", lambda: c.start_automation_execution(DocumentName="None-Such"))
    i = t.do(lambda: managed(t))
    t.eq("a managed instance is online", [(i, "Online")], lambda: [(n["InstanceId"], n["PingStatus"]) for n in c.describe_instance_information(Filters=[{"Key": "InstanceIds", "Values": [i]}])["InstanceInformationList"]])
    command = t.do(lambda: c.send_command(DocumentName="AWS-RunShellScript", InstanceIds=[i], Parameters={"commands": ["echo hello"]})["Command"])
    t.eq("a command is pending", ("Pending", 1), lambda: (command["Status"], command["TargetCount"]))
    t.wait(120)
    done = lambda k: c.get_command_invocation(CommandId=k["CommandId"], InstanceId=i)
    t.eq("a command succeeds", ("Success", 0), lambda: (done(command)["Status"], done(command)["ResponseCode"]))
    t.error("an invocation that never was", "InvocationDoesNotExist", lambda: c.get_command_invocation(CommandId="12345678-1234-1234-1234-123456789012", InstanceId=i))
    t.error("an instance that is not managed", "InvalidInstanceId", lambda: c.send_command(DocumentName="AWS-RunShellScript", InstanceIds=["i-0123456789abcdef0"], Parameters={"commands": ["true"]}))
    t.error("a document that is none", "InvalidDocument", lambda: c.send_command(DocumentName="None-Such", InstanceIds=[i]))
    t.eq("there are AWS's patch baselines", True, lambda: "AWS-AmazonLinux2DefaultPatchBaseline" in [b["BaselineName"] for p in c.get_paginator("describe_patch_baselines").paginate() for b in p["BaselineIdentities"]])
    t.do(lambda: c.send_command(DocumentName="AWS-RunPatchBaseline", InstanceIds=[i], Parameters={"Operation": ["Scan"]}))
    t.wait(1800)
    t.eq("a scan leaves a patch state", [(i, "Scan")], lambda: [(s["InstanceId"], s["Operation"]) for s in c.describe_instance_patch_states(InstanceIds=[i])["InstancePatchStates"]])
    t.do(lambda: c.send_command(DocumentName="AWS-RunPatchBaseline", InstanceIds=[i], Parameters={"Operation": ["Install"]}))
    t.wait(3600)
    w = t.do(lambda: c.create_maintenance_window(Name="hourly", Schedule="rate(4 hours)", Duration=2, Cutoff=1, AllowUnassociatedTargets=True)["WindowId"])
    t.error("a window closes after its cutoff", "ValidationException", lambda: c.create_maintenance_window(Name="none", Schedule="rate(4 hours)", Duration=1, Cutoff=1, AllowUnassociatedTargets=True))
    t.do(lambda: c.register_task_with_maintenance_window(WindowId=w, TaskArn="AWS-RunShellScript", TaskType="RUN_COMMAND", MaxConcurrency="1", MaxErrors="1", Targets=[{"Key": "InstanceIds", "Values": [i]}], TaskInvocationParameters={"RunCommand": {"Parameters": {"commands": ["echo hello"]}}}))
    t.eq("a task is registered", ["AWS-RunShellScript"], lambda: [x["TaskArn"] for x in c.describe_maintenance_window_tasks(WindowId=w)["Tasks"]])
    runs = lambda: c.describe_maintenance_window_executions(WindowId=w)["WindowExecutions"]
    t.eq("a window waits for its time", [], runs)
    t.wait(4 * 3600 + 600)
    t.eq("then runs its tasks", ["SUCCESS"], lambda: [r["Status"] for r in runs()])
    tasks = lambda: c.describe_maintenance_window_execution_tasks(WindowExecutionId=runs()[0]["WindowExecutionId"])["WindowExecutionTaskIdentities"]
    t.eq("each of them", [("RUN_COMMAND", "SUCCESS")], lambda: [(x["TaskType"], x["Status"]) for x in tasks()])
    t.eq("by a command", "Success", lambda: done({"CommandId": c.describe_maintenance_window_execution_task_invocations(WindowExecutionId=runs()[0]["WindowExecutionId"], TaskId=tasks()[0]["TaskExecutionId"])["WindowExecutionTaskInvocationIdentities"][0]["ExecutionId"]})["Status"])
    t.error("an execution that never was", "DoesNotExistException", lambda: c.get_maintenance_window_execution(WindowExecutionId="12345678-1234-1234-1234-123456789012"))
    t.eq("after an installation nothing is missing", [("Install", 0)], lambda: [(s["Operation"], s["MissingCount"]) for s in c.describe_instance_patch_states(InstanceIds=[i])["InstancePatchStates"]])


def backup(t):
    # Source: AWS Backup Developer Guide, with its API Reference.
    c, ec2 = t.client("backup"), t.client("ec2")
    v = t.do(lambda: c.create_backup_vault(BackupVaultName="main"))
    t.eq("a vault's ARN", True, lambda: v["BackupVaultArn"].endswith(":backup-vault:main"))
    t.error("its name is unique", "AlreadyExistsException", lambda: c.create_backup_vault(BackupVaultName="main"))
    t.eq("a new vault is empty", 0, lambda: c.describe_backup_vault(BackupVaultName="main")["NumberOfRecoveryPoints"])
    t.error("an unknown vault", "ResourceNotFoundException", lambda: c.describe_backup_vault(BackupVaultName="none"))
    p = t.do(lambda: c.create_backup_plan(BackupPlan={"BackupPlanName": "daily", "Rules": [{"RuleName": "r", "TargetBackupVaultName": "main", "ScheduleExpression": "cron(0 5 * * ? *)", "Lifecycle": {"DeleteAfterDays": 35}}]}))
    t.eq("a plan is kept", ("daily", 35), lambda: (lambda b: (b["BackupPlanName"], b["Rules"][0]["Lifecycle"]["DeleteAfterDays"]))(c.get_backup_plan(BackupPlanId=p["BackupPlanId"])["BackupPlan"]))
    t.eq("plans are listed", ["daily"], lambda: [b["BackupPlanName"] for b in c.list_backup_plans()["BackupPlansList"]])
    t.error("90 days of cold storage at least", "InvalidParameterValueException", lambda: c.create_backup_plan(BackupPlan={"BackupPlanName": "cold", "Rules": [{"RuleName": "r", "TargetBackupVaultName": "main", "Lifecycle": {"MoveToColdStorageAfterDays": 30, "DeleteAfterDays": 60}}]}))
    t.do(lambda: t.client("iam").create_role(RoleName="backup", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "backup.amazonaws.com"}, "Action": "sts:AssumeRole"}]})))
    t.do(lambda: [t.client("iam").attach_role_policy(RoleName="backup", PolicyArn="arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyFor" + x) for x in ("Backup", "Restores")])
    role = t.do(lambda: t.client("iam").get_role(RoleName="backup")["Role"]["Arn"])
    account = t.do(lambda: t.client("sts").get_caller_identity()["Account"])
    vol = t.do(lambda: ec2.create_volume(AvailabilityZone="eu-west-1a", Size=8, VolumeType="gp3")["VolumeId"])
    t.wait(60)
    arn = f"arn:aws:ec2:eu-west-1:{account}:volume/{vol}"
    t.eq("a selection is kept", ["volumes"], lambda: c.create_backup_selection(BackupPlanId=p["BackupPlanId"], BackupSelection={"SelectionName": "volumes", "IamRoleArn": role, "Resources": [arn]}) and [s["SelectionName"] for s in c.list_backup_selections(BackupPlanId=p["BackupPlanId"])["BackupSelectionsList"]])
    j = t.do(lambda: c.start_backup_job(BackupVaultName="main", ResourceArn=arn, IamRoleArn=role))
    t.true("a job begins", lambda: c.describe_backup_job(BackupJobId=j["BackupJobId"])["State"] in ("CREATED", "PENDING", "RUNNING"))
    t.wait(7200)
    t.eq("and completes", ("COMPLETED", "EBS"), lambda: (lambda r: (r["State"], r["ResourceType"]))(c.describe_backup_job(BackupJobId=j["BackupJobId"])))
    points = lambda: c.list_recovery_points_by_backup_vault(BackupVaultName="main")["RecoveryPoints"]
    t.eq("it leaves a recovery point", [("COMPLETED", arn)], lambda: [(r["Status"], r["ResourceArn"]) for r in points()])
    t.eq("which is the volume's", 1, lambda: len(c.list_recovery_points_by_resource(ResourceArn=arn)["RecoveryPoints"]))
    t.eq("the volume is protected", [arn], lambda: [r["ResourceArn"] for r in c.list_protected_resources()["Results"]])
    t.error("a vault with recovery points can't be deleted", "InvalidRequestException", lambda: c.delete_backup_vault(BackupVaultName="main"))
    meta = t.do(lambda: c.get_recovery_point_restore_metadata(BackupVaultName="main", RecoveryPointArn=points()[0]["RecoveryPointArn"])["RestoreMetadata"])
    r = t.do(lambda: c.start_restore_job(RecoveryPointArn=points()[0]["RecoveryPointArn"], IamRoleArn=role, ResourceType="EBS", Metadata={**meta, "availabilityZone": "eu-west-1a"})["RestoreJobId"])
    t.wait(7200)
    t.eq("a restore makes a new volume", ("COMPLETED", True), lambda: (lambda j: (j["Status"], j["CreatedResourceArn"].split("/")[1] in [x["VolumeId"] for x in ec2.describe_volumes()["Volumes"]] and j["CreatedResourceArn"] != arn))(c.describe_restore_job(RestoreJobId=r)))
    t.error("a vault that is not there", "ResourceNotFoundException", lambda: c.start_backup_job(BackupVaultName="none", ResourceArn=arn, IamRoleArn=role))


def cloudwatch(t):
    # Source: Amazon CloudWatch API Reference; User Guide ("Alarm states", "Metrics").
    c = t.client("cloudwatch")
    now = t.now().replace(minute=0, second=0) - datetime.timedelta(hours=3)
    at = lambda m: now + datetime.timedelta(minutes=m)
    dims = [{"Name": "Host", "Value": "a"}]
    t.do(lambda: c.put_metric_data(Namespace="App", MetricData=[{"MetricName": "Load", "Dimensions": dims, "Timestamp": at(m), "Value": v, "Unit": "Count"} for m, v in ((1, 1.0), (2, 3.0), (11, 10.0))]))
    t.wait(900)
    t.eq("a metric is listed", [("App", "Load", dims)], lambda: [(m["Namespace"], m["MetricName"], m["Dimensions"]) for m in c.list_metrics(Namespace="App")["Metrics"]])
    stats = lambda d=dims: sorted(c.get_metric_statistics(Namespace="App", MetricName="Load", Dimensions=d, StartTime=now, EndTime=at(20), Period=600, Statistics=["Average", "Maximum", "SampleCount", "Sum"])["Datapoints"], key=lambda p: p["Timestamp"])
    t.eq("values are gathered by period", [(2.0, 3.0, 2.0, 4.0), (10.0, 10.0, 1.0, 10.0)], lambda: [tuple(p[k] for k in ("Average", "Maximum", "SampleCount", "Sum")) for p in stats()])
    t.eq("other dimensions are another metric", [], lambda: stats([]))
    query = lambda **more: c.get_metric_data(StartTime=now, EndTime=at(20), **more)["MetricDataResults"]
    load = {"Id": "m", "MetricStat": {"Metric": {"Namespace": "App", "MetricName": "Load", "Dimensions": dims}, "Period": 600, "Stat": "Maximum"}}
    t.eq("data come newest first", [10.0, 3.0], lambda: query(MetricDataQueries=[load])[0]["Values"])
    t.eq("unless told otherwise", [3.0, 10.0], lambda: query(MetricDataQueries=[load], ScanBy="TimestampAscending")[0]["Values"])
    t.eq("an expression is computed", [20.0, 6.0], lambda: [r["Values"] for r in query(MetricDataQueries=[dict(load, ReturnData=False), {"Id": "e", "Expression": "m * 2"}])][0])
    t.error("a period that is none", "InvalidParameterValue", lambda: c.get_metric_statistics(Namespace="App", MetricName="Load", StartTime=now, EndTime=at(20), Period=7, Statistics=["Sum"]))
    t.error("a namespace of AWS's", "InvalidParameterValue", lambda: c.put_metric_data(Namespace="AWS/EC2", MetricData=[{"MetricName": "x", "Value": 1.0}]))
    alarm = lambda: c.describe_alarms(AlarmNames=["high"])["MetricAlarms"][0]
    t.do(lambda: c.put_metric_alarm(AlarmName="high", Namespace="App", MetricName="Load", Dimensions=dims, Statistic="Maximum", Period=60, EvaluationPeriods=1, Threshold=5.0, ComparisonOperator="GreaterThanThreshold"))
    t.eq("a new alarm does not know", "INSUFFICIENT_DATA", lambda: alarm()["StateValue"])
    for value, want in ((1.0, "OK"), (9.0, "ALARM")):
        for _ in range(2):
            t.do(lambda: c.put_metric_data(Namespace="App", MetricData=[{"MetricName": "Load", "Dimensions": dims, "Timestamp": t.now(), "Value": value, "Unit": "Count"}]))
            t.wait(60)
        t.eq(f"with a value of {value:.0f} it is {want}", want, lambda: alarm()["StateValue"])
    t.do(lambda: c.set_alarm_state(AlarmName="high", StateValue="OK", StateReason="test"))
    t.eq("a state can be set", ("OK", "test"), lambda: (alarm()["StateValue"], alarm()["StateReason"]))
    t.eq("alarms of no name are none", [], lambda: c.describe_alarms(AlarmNames=["none"])["MetricAlarms"])


def config(t):
    # Source: AWS Config API Reference; Developer Guide ("Evaluating resources with AWS Config rules").
    c = t.client("config")
    t.eq("no recorder at first", [], lambda: c.describe_configuration_recorders()["ConfigurationRecorders"])
    role = t.do(lambda: t.client("iam").create_role(RoleName="config", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "config.amazonaws.com"}, "Action": "sts:AssumeRole"}]}))["Role"]["Arn"])
    t.do(lambda: c.put_configuration_recorder(ConfigurationRecorder={"name": "default", "roleARN": role, "recordingGroup": {"allSupported": True, "includeGlobalResourceTypes": True}}))
    t.error("a recorder needs a channel", "NoAvailableDeliveryChannelException", lambda: c.start_configuration_recorder(ConfigurationRecorderName="default"))
    b = "kg-conformance-config"
    t.do(lambda: t.client("s3").create_bucket(Bucket=b, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}))
    t.do(lambda: t.client("s3").put_bucket_policy(Bucket=b, Policy=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "config.amazonaws.com"}, "Action": ["s3:GetBucketAcl", "s3:ListBucket", "s3:PutObject"], "Resource": [f"arn:aws:s3:::{b}", f"arn:aws:s3:::{b}/*"]}]})))
    t.do(lambda: c.put_delivery_channel(DeliveryChannel={"name": "default", "s3BucketName": b}))
    t.do(lambda: c.start_configuration_recorder(ConfigurationRecorderName="default"))
    t.eq("a started recorder records", [True], lambda: [s["recording"] for s in c.describe_configuration_recorder_status()["ConfigurationRecordersStatus"]])
    v = t.do(lambda: t.client("ec2").create_volume(AvailabilityZone="eu-west-1a", Size=1)["VolumeId"])
    rule = {"ConfigRuleName": "encrypted", "Source": {"Owner": "AWS", "SourceIdentifier": "ENCRYPTED_VOLUMES"}, "Scope": {"ComplianceResourceTypes": ["AWS::EC2::Volume"]}}
    t.do(lambda: c.put_config_rule(ConfigRule=rule))
    t.eq("a rule is active", ["ACTIVE"], lambda: [r["ConfigRuleState"] for r in c.describe_config_rules(ConfigRuleNames=["encrypted"])["ConfigRules"]])
    t.error("an unknown rule", "NoSuchConfigRuleException", lambda: c.describe_config_rules(ConfigRuleNames=["none"]))
    t.error("a managed rule that is none", "InvalidParameterValueException", lambda: c.put_config_rule(ConfigRule={"ConfigRuleName": "x", "Source": {"Owner": "AWS", "SourceIdentifier": "NO_SUCH_RULE"}}))
    t.wait(900)
    t.eq("a resource is discovered", True, lambda: v in [r["resourceId"] for r in c.list_discovered_resources(resourceType="AWS::EC2::Volume")["resourceIdentifiers"]])
    item = lambda: c.batch_get_resource_config(resourceKeys=[{"resourceType": "AWS::EC2::Volume", "resourceId": v}])["baseConfigurationItems"][0]
    t.eq("and recorded", (False, 1), lambda: (lambda x: (x["encrypted"], x["size"]))(json.loads(item()["configuration"])))
    t.eq("and found by a query", True, lambda: v in json.dumps(c.select_resource_config(Expression="SELECT resourceId WHERE resourceType = 'AWS::EC2::Volume'")["Results"]))
    t.error("an evaluation that nobody asked for", "InvalidResultTokenException", lambda: c.put_evaluations(ResultToken="none", Evaluations=[]))
    t.error("an unknown rule's compliance", "NoSuchConfigRuleException", lambda: c.get_compliance_details_by_config_rule(ConfigRuleName="none"))
    t.eq("no remediation at first", [], lambda: c.describe_remediation_configurations(ConfigRuleNames=["encrypted"])["RemediationConfigurations"])


FLOWS = [ssm, backup, cloudwatch, config]
