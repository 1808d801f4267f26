"""RDS and DynamoDB."""


def rds(t):
    # Sources: Amazon RDS API Reference; Amazon RDS User Guide ("Encrypting Amazon RDS resources", "Modifying an Amazon RDS DB instance",
    # "Restoring a DB instance to a specified time", "Deleting a DB instance").
    c = t.client("rds")
    create = lambda name, **more: c.create_db_instance(**{**dict(DBInstanceIdentifier=name, Engine="postgres", DBInstanceClass="db.t3.medium", AllocatedStorage=20,
        MasterUsername="owner", MasterUserPassword="correct-horse-1", BackupRetentionPeriod=7), **more})["DBInstance"]
    get = lambda name="orders": c.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
    i = t.do(lambda: create("orders"))
    t.eq("a new instance is creating", "creating", lambda: i["DBInstanceStatus"])
    t.eq("not encrypted unless told so", False, lambda: i["StorageEncrypted"])
    t.eq("its password is a secret", True, lambda: "MasterUserPassword" not in i)
    t.error("its name is unique", "DBInstanceAlreadyExists", lambda: create("orders"))
    t.wait(1800)
    t.eq("an instance becomes available", "available", lambda: get()["DBInstanceStatus"])
    t.eq("at PostgreSQL's port", 5432, lambda: get()["Endpoint"]["Port"])
    t.error("an unknown instance", "DBInstanceNotFound", lambda: get("none"), 404)
    later = t.do(lambda: c.modify_db_instance(DBInstanceIdentifier="orders", DBInstanceClass="db.m5.large")["DBInstance"])
    t.eq("a change waits for its window", ("db.t3.medium", {"DBInstanceClass": "db.m5.large"}), lambda: (later["DBInstanceClass"], later["PendingModifiedValues"]))
    t.do(lambda: c.modify_db_instance(DBInstanceIdentifier="orders", DBInstanceClass="db.m5.large", ApplyImmediately=True))
    t.wait(3600)
    t.eq("or is made at once", ("db.m5.large", {}), lambda: (get()["DBInstanceClass"], get()["PendingModifiedValues"]))
    t.do(lambda: c.modify_db_instance(DBInstanceIdentifier="orders", PubliclyAccessible=False, DeletionProtection=True))
    t.wait(600)
    t.eq("what needs no window is made at once", (False, True), lambda: (get()["PubliclyAccessible"], get()["DeletionProtection"]))
    t.error("storage does not shrink", "InvalidParameterCombination", lambda: c.modify_db_instance(DBInstanceIdentifier="orders", AllocatedStorage=10, ApplyImmediately=True))
    t.error("a protected instance", "InvalidParameterCombination", lambda: c.delete_db_instance(DBInstanceIdentifier="orders", SkipFinalSnapshot=True))

    s = t.do(lambda: c.create_db_snapshot(DBInstanceIdentifier="orders", DBSnapshotIdentifier="before")["DBSnapshot"])
    t.eq("a new snapshot is creating", ("creating", "manual", False), lambda: (s["Status"], s["SnapshotType"], s["Encrypted"]))
    t.wait(3600)
    snapshot = lambda name: c.describe_db_snapshots(DBSnapshotIdentifier=name)["DBSnapshots"][0]
    t.eq("a snapshot becomes available", ("available", 100), lambda: (snapshot("before")["Status"], snapshot("before")["PercentProgress"]))
    t.error("the name of a snapshot is unique", "DBSnapshotAlreadyExists", lambda: c.create_db_snapshot(DBInstanceIdentifier="orders", DBSnapshotIdentifier="before"))
    t.error("an unknown snapshot", "DBSnapshotNotFound", lambda: snapshot("none"), 404)
    key = t.do(lambda: t.client("kms").create_key()["KeyMetadata"]["Arn"])
    t.do(lambda: c.copy_db_snapshot(SourceDBSnapshotIdentifier="before", TargetDBSnapshotIdentifier="encrypted", KmsKeyId=key))
    t.wait(3600)
    t.eq("a copy with a key is encrypted", (True, True), lambda: (snapshot("encrypted")["Encrypted"], snapshot("encrypted")["KmsKeyId"] == key))
    t.do(lambda: c.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="orders-2", DBSnapshotIdentifier="encrypted"))
    t.wait(3600)
    t.eq("so is what is restored of it", ("available", True, True), lambda: (get("orders-2")["DBInstanceStatus"], get("orders-2")["StorageEncrypted"], get("orders-2")["KmsKeyId"] == key))
    t.eq("with the storage that the original had", 20, lambda: get("orders-2")["AllocatedStorage"])
    t.error("a restore over an instance", "DBInstanceAlreadyExists", lambda: c.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="orders", DBSnapshotIdentifier="encrypted"))
    t.eq("a snapshot is private", [], lambda: c.describe_db_snapshot_attributes(DBSnapshotIdentifier="before")["DBSnapshotAttributesResult"]["DBSnapshotAttributes"][0]["AttributeValues"])
    t.do(lambda: c.modify_db_snapshot_attribute(DBSnapshotIdentifier="before", AttributeName="restore", ValuesToAdd=["all"]))
    t.eq("until all may restore it", ["all"], lambda: c.describe_db_snapshot_attributes(DBSnapshotIdentifier="before")["DBSnapshotAttributesResult"]["DBSnapshotAttributes"][0]["AttributeValues"])
    t.true("an instance tells to when it can be restored", lambda: get()["LatestRestorableTime"])
    t.do(lambda: c.restore_db_instance_to_point_in_time(SourceDBInstanceIdentifier="orders", TargetDBInstanceIdentifier="orders-3", UseLatestRestorableTime=True))
    t.wait(3600)
    t.eq("a restore to a point in time is a new instance", ("available", "db.m5.large"), lambda: (get("orders-3")["DBInstanceStatus"], get("orders-3")["DBInstanceClass"]))
    arn = t.do(lambda: get()["DBInstanceArn"])
    t.do(lambda: c.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "Owner", "Value": "me"}]))
    t.eq("tags are kept", [{"Key": "Owner", "Value": "me"}], lambda: c.list_tags_for_resource(ResourceName=arn)["TagList"])
    t.error("a deletion says what becomes of the data", "InvalidParameterCombination", lambda: c.delete_db_instance(DBInstanceIdentifier="orders-3"))
    t.eq("deleting takes time", "deleting", lambda: c.delete_db_instance(DBInstanceIdentifier="orders-3", SkipFinalSnapshot=False, FinalDBSnapshotIdentifier="last")["DBInstance"]["DBInstanceStatus"])
    t.wait(3600)
    t.error("then it is gone", "DBInstanceNotFound", lambda: get("orders-3"), 404)
    t.eq("but for its last snapshot", "available", lambda: snapshot("last")["Status"])


def dynamodb(t):
    # Sources: Amazon DynamoDB API Reference; Developer Guide ("Point-in-time backups for DynamoDB").
    c = t.client("dynamodb")
    create = lambda name: c.create_table(TableName=name, AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}], KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST")["TableDescription"]
    table = lambda name="orders": c.describe_table(TableName=name)["Table"]
    d = t.do(lambda: create("orders"))
    t.eq("a new table is creating", "CREATING", lambda: d["TableStatus"])
    t.error("its name is unique", "ResourceInUseException", lambda: create("orders"))
    t.wait(60)
    t.eq("a table becomes active", "ACTIVE", lambda: table()["TableStatus"])
    t.error("an unknown table", "ResourceNotFoundException", lambda: table("none"))
    t.do(lambda: c.put_item(TableName="orders", Item={"id": {"S": "1"}, "n": {"N": "5"}}))
    get = lambda name="orders": c.get_item(TableName=name, Key={"id": {"S": "1"}}).get("Item")
    t.eq("an item is kept", {"id": {"S": "1"}, "n": {"N": "5"}}, get)
    t.error("a condition that fails", "ConditionalCheckFailedException", lambda: c.put_item(TableName="orders", Item={"id": {"S": "1"}}, ConditionExpression="attribute_not_exists(id)"))
    t.error("an item without its key", "ValidationException", lambda: c.put_item(TableName="orders", Item={"x": {"S": "1"}}))
    t.eq("an update gives what it made", {"n": {"N": "7"}}, lambda: c.update_item(TableName="orders", Key={"id": {"S": "1"}}, UpdateExpression="SET n = n + :two", ExpressionAttributeValues={":two": {"N": "2"}}, ReturnValues="UPDATED_NEW")["Attributes"])
    t.eq("a query finds by key", 1, lambda: c.query(TableName="orders", KeyConditionExpression="id = :i", ExpressionAttributeValues={":i": {"S": "1"}})["Count"])
    backups = lambda: c.describe_continuous_backups(TableName="orders")["ContinuousBackupsDescription"]
    t.eq("continuous backups are there, PITR is not", ("ENABLED", "DISABLED"), lambda: (backups()["ContinuousBackupsStatus"], backups()["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]))
    t.error("without PITR there is no restore", "PointInTimeRecoveryUnavailableException", lambda: c.restore_table_to_point_in_time(SourceTableName="orders", TargetTableName="orders-2", UseLatestRestorableTime=True))
    t.eq("PITR can be turned on", "ENABLED", lambda: c.update_continuous_backups(TableName="orders", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"])
    t.wait(3600)
    point, before = t.now(), t.do(get)
    t.true("a window opens", lambda: backups()["PointInTimeRecoveryDescription"]["EarliestRestorableDateTime"])
    t.wait(3600)
    t.do(lambda: c.put_item(TableName="orders", Item={"id": {"S": "1"}, "n": {"N": "0"}}))
    t.wait(3600)
    r = t.do(lambda: c.restore_table_to_point_in_time(SourceTableName="orders", TargetTableName="orders-2", RestoreDateTime=point)["TableDescription"])
    t.eq("a restore makes a new table", ("CREATING", True), lambda: (r["TableStatus"], r["RestoreSummary"]["RestoreInProgress"]))
    t.wait(7200)
    t.eq("with what was there then", True, lambda: before is not None and get("orders-2") == before)
    t.eq("whose PITR is off", "DISABLED", lambda: c.describe_continuous_backups(TableName="orders-2")["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"])
    t.error("a restore over a table", "TableAlreadyExistsException", lambda: c.restore_table_to_point_in_time(SourceTableName="orders", TargetTableName="orders-2", UseLatestRestorableTime=True))
    t.error("a time outside the window", "InvalidRestoreTimeException", lambda: c.restore_table_to_point_in_time(SourceTableName="orders", TargetTableName="orders-3", RestoreDateTime="2020-01-01T00:00:00Z"))
    t.do(lambda: c.update_table(TableName="orders", DeletionProtectionEnabled=True))
    t.wait(60)
    t.eq("a table can be protected", True, lambda: table()["DeletionProtectionEnabled"])
    t.error("then it can't be deleted", "ValidationException", lambda: c.delete_table(TableName="orders"))
    t.eq("tables are listed", True, lambda: {"orders", "orders-2"} <= set(c.list_tables()["TableNames"]))
    t.do(lambda: c.tag_resource(ResourceArn=table()["TableArn"], Tags=[{"Key": "Owner", "Value": "me"}]))
    t.eq("tags are kept", [{"Key": "Owner", "Value": "me"}], lambda: c.list_tags_of_resource(ResourceArn=table()["TableArn"])["Tags"])
    t.eq("an unprotected table is deleted", "DELETING", lambda: c.delete_table(TableName="orders-2")["TableDescription"]["TableStatus"])


FLOWS = [rds, dynamodb]
