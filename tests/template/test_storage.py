"""What holds of every bucket, queue and table, now and of those that come later."""

import pytest

from infra.template import ALL, APPLICATION, FUNCTIONS, GLOBALS, as_list, statements

BUCKETS = {name: p for template in ALL for name, p in template.of_type("AWS::S3::Bucket").items()}
QUEUES = {name: p for template in ALL for name, p in template.of_type("AWS::SQS::Queue").items()}
TABLES = {name: p for template in ALL for name, p in template.of_type("AWS::DynamoDB::Table").items()}
WORK_QUEUES = sorted(name for name in QUEUES if not name.endswith("DeadLetterQueue"))

TLS_ONLY = {"Bool": {"aws:SecureTransport": "false"}}


def _policy_statements(kind: str) -> list[dict]:
    found = []
    for template in ALL:
        for properties in template.of_type(kind).values():
            for statement in statements(properties["PolicyDocument"]):
                condition, kept, _ = statement.get("Fn::If", (None, statement, None))
                found.append({"If": condition, **kept})
    return found


@pytest.mark.parametrize("bucket", sorted(BUCKETS))
def test_a_bucket_is_closed_to_the_public_in_all_four_ways(bucket):
    assert set(BUCKETS[bucket]["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(BUCKETS[bucket]["PublicAccessBlockConfiguration"]) == 4
    assert BUCKETS[bucket]["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]


@pytest.mark.parametrize("bucket", sorted(BUCKETS))
def test_a_bucket_encrypts_what_it_stores(bucket):
    (rule,) = BUCKETS[bucket]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] in {"AES256", "aws:kms"}


@pytest.mark.parametrize("bucket", sorted(BUCKETS))
def test_a_bucket_keeps_deleted_versions_for_the_days_of_purge_restore_and_no_longer(bucket):
    assert BUCKETS[bucket]["VersioningConfiguration"] == {"Status": "Enabled"}
    kept = noncurrent(bucket)
    assert [rule for rule in kept if "NewerNoncurrentVersions" not in rule] == [
        {"NoncurrentDays": {"Ref": "PurgeRestoreDays"}}
    ]


def noncurrent(bucket):
    return [
        rule["NoncurrentVersionExpiration"]
        for rule in BUCKETS[bucket]["LifecycleConfiguration"]["Rules"]
        if "NoncurrentVersionExpiration" in rule and "Prefix" not in rule
    ]


def test_an_original_that_is_sent_over_and_over_is_stored_a_few_times_after_a_day():
    few = [rule for rule in noncurrent("OriginalsBucket") if "NewerNoncurrentVersions" in rule]
    assert few == [{"NoncurrentDays": 1, "NewerNoncurrentVersions": 2}]


@pytest.mark.parametrize("bucket", sorted(BUCKETS))
def test_a_bucket_abandons_unfinished_multipart_uploads(bucket):
    rules = BUCKETS[bucket]["LifecycleConfiguration"]["Rules"]
    assert [r for r in rules if "AbortIncompleteMultipartUpload" in r and r["Status"] == "Enabled"]


@pytest.mark.parametrize("bucket", sorted(BUCKETS))
def test_a_bucket_refuses_plain_http_to_itself_and_its_objects(bucket):
    resources = [{"Fn::GetAtt": f"{bucket}.Arn"}, {"Fn::Sub": f"${{{bucket}.Arn}}/*"}]
    denials = [s for s in _policy_statements("AWS::S3::BucketPolicy") if s["Effect"] == "Deny"]
    assert [
        s
        for s in denials
        if s["Condition"] == TLS_ONLY and s["Resource"] == resources and s["Action"] == "s3:*"
    ]


def test_plain_http_is_allowed_by_no_default():
    assert APPLICATION.default("RequireTls") == "true"


@pytest.mark.parametrize("bucket", sorted(BUCKETS))
def test_a_bucket_outlives_its_stack(bucket):
    resource = APPLICATION.document["Resources"][bucket]
    assert resource["DeletionPolicy"] == "RetainExceptOnCreate"
    assert resource["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize(
    ("header", "unless"),
    [
        ("s3:x-amz-storage-class", "STANDARD"),
        ("s3:RequestObjectTagKeys", None),
        ("s3:x-amz-website-redirect-location", None),
        ("s3:x-amz-acl", None),
        ("s3:x-amz-server-side-encryption", "AES256"),
        ("s3:x-amz-server-side-encryption-customer-algorithm", None),
    ],
)
def test_what_a_presigned_put_does_not_sign_cannot_be_added_to_it(header, unless):
    """The whole statement: refused where the header is there, and for nothing else."""
    condition = {"Null": {header: "false"}} | ({"StringNotEquals": {header: unless}} if unless else {})
    (statement,) = [
        statement
        for statement in APPLICATION.of_type("AWS::S3::BucketPolicy")["OriginalsBucketPolicy"][
            "PolicyDocument"
        ]["Statement"]
        if statement.get("Condition") == condition
    ]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert statement["Action"] == "s3:PutObject"
    assert statement["Resource"] == {"Fn::Sub": "${OriginalsBucket.Arn}/*"}
    assert "Condition" not in APPLICATION.document["Resources"]["OriginalsBucketPolicy"]


def test_a_rejected_original_is_deleted_after_seven_days():
    rules = BUCKETS["OriginalsBucket"]["LifecycleConfiguration"]["Rules"]
    (rule,) = [r for r in rules if r.get("TagFilters") == [{"Key": "status", "Value": "rejected"}]]
    assert (rule["ExpirationInDays"], rule["Status"]) == (7, "Enabled")


def test_a_browser_may_put_an_original_with_its_checksum_from_the_allowed_origin_only():
    (rule,) = BUCKETS["OriginalsBucket"]["CorsConfiguration"]["CorsRules"]
    assert rule["AllowedMethods"] == ["PUT"]
    assert rule["AllowedOrigins"] == [{"Ref": "AllowedOrigin"}]
    assert {"content-type", "x-amz-*"} <= set(rule["AllowedHeaders"])


def test_a_page_of_the_shop_may_fetch_renditions_from_the_bucket_and_from_the_cdn():
    (rule,) = BUCKETS["RenditionsBucket"]["CorsConfiguration"]["CorsRules"]
    assert rule["AllowedMethods"] == ["GET", "HEAD"]
    assert rule["AllowedOrigins"] == [{"Ref": "AllowedOrigin"}]

    resources = APPLICATION.document["Resources"]
    config = resources["Distribution"]["Properties"]["DistributionConfig"]
    for behaviour in [config["DefaultCacheBehavior"], *config["CacheBehaviors"]]:
        policy = resources[behaviour["ResponseHeadersPolicyId"]["Ref"]]
        cors = policy["Properties"]["ResponseHeadersPolicyConfig"]["CorsConfig"]
        assert policy["Condition"] == "Cdn"
        assert cors["AccessControlAllowOrigins"]["Items"] == [{"Ref": "AllowedOrigin"}]
        assert cors["OriginOverride"] is True


@pytest.mark.parametrize("queue", WORK_QUEUES)
def test_a_queue_hands_its_dead_letters_to_a_queue_that_keeps_them_14_days(queue):
    target = QUEUES[queue]["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"].removesuffix(".Arn")
    assert QUEUES[target]["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert QUEUES[queue]["RedrivePolicy"]["maxReceiveCount"] >= 5


@pytest.mark.parametrize("queue", WORK_QUEUES)
def test_a_message_that_nobody_took_waits_10_days_and_4_more_as_a_dead_letter(queue):
    """A dead letter's age counts from its message's first send; SQS keeps 4 days where nothing is said."""
    target = QUEUES[queue]["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"].removesuffix(".Arn")
    assert QUEUES[queue]["MessageRetentionPeriod"] == 10 * 24 * 3600
    assert QUEUES[target]["MessageRetentionPeriod"] - QUEUES[queue]["MessageRetentionPeriod"] >= 4 * 24 * 3600


@pytest.mark.parametrize("queue", sorted(QUEUES))
def test_a_queue_says_how_long_it_keeps_a_message(queue):
    assert QUEUES[queue]["MessageRetentionPeriod"] >= 10 * 24 * 3600


@pytest.mark.parametrize("queue", WORK_QUEUES)
def test_a_message_stays_hidden_for_at_least_six_timeouts_of_the_function_that_reads_it(queue):
    timeouts = [
        function.get("Timeout", GLOBALS["Timeout"])
        for function in FUNCTIONS.values()
        for event in function.get("Events", {}).values()
        if event["Type"] == "SQS" and event["Properties"]["Queue"]["Fn::GetAtt"] == f"{queue}.Arn"
    ]
    assert timeouts, f"nothing reads {queue}"
    assert QUEUES[queue]["VisibilityTimeout"] >= 6 * max(timeouts)


@pytest.mark.parametrize("queue", sorted(QUEUES))
def test_a_queue_is_encrypted_and_refuses_plain_http(queue):
    assert QUEUES[queue]["SqsManagedSseEnabled"] is True
    denied = [
        resource
        for statement in _policy_statements("AWS::SQS::QueuePolicy")
        if statement["Effect"] == "Deny" and statement["Condition"] == TLS_ONLY
        for resource in as_list(statement["Resource"])
    ]
    assert {"Fn::GetAtt": f"{queue}.Arn"} in denied


def test_only_the_originals_bucket_of_this_account_may_send_to_the_uploads_queue():
    allowing = [s for s in _policy_statements("AWS::SQS::QueuePolicy") if s["Effect"] == "Allow"]
    allowed, of_events = allowing
    assert allowed["Resource"] == {"Fn::GetAtt": "UploadsQueue.Arn"}
    assert of_events["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": "EventsToWebhooks.Arn"}}}
    assert {resource["Fn::GetAtt"] for resource in of_events["Resource"]} == {
        "WebhooksQueue.Arn",
        "WebhooksDeadLetterQueue.Arn",
    }
    assert allowed["Principal"] == {"Service": "s3.amazonaws.com"}
    assert allowed["Action"] == "sqs:SendMessage"
    assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    bucket_name = BUCKETS["OriginalsBucket"]["BucketName"]["Fn::Sub"]
    assert allowed["Condition"]["ArnEquals"]["aws:SourceArn"]["Fn::Sub"].endswith(f":s3:::{bucket_name}")


@pytest.mark.parametrize("table", sorted(TABLES))
def test_a_table_is_on_demand_restorable_and_outlives_its_stack(table):
    """All but the index of near-duplicates, which a job writes anew: a restored one would lack entries."""
    assert TABLES[table]["BillingMode"] == "PAY_PER_REQUEST"
    restorable = TABLES[table]["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    assert restorable is (table != "HashBandsTable")
    resource = APPLICATION.document["Resources"][table]
    assert resource["DeletionPolicy"] == "RetainExceptOnCreate"
    assert resource["UpdateReplacePolicy"] == "Retain"


def test_the_assets_table_streams_both_images_and_forgets_by_expires_at():
    assets = TABLES["AssetsTable"]
    assert assets["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert assets["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert [key["AttributeName"] for key in assets["KeySchema"]] == ["tenant", "id"]
    assert {index["IndexName"] for index in assets["GlobalSecondaryIndexes"]} == {
        "by_created_at",
        "by_unused_since",
        "by_filename",
    }


def test_a_copy_of_an_import_sends_nothing_to_the_live_queue():
    """Copies are what it makes, and ingests itself; a client sends its bytes in either of these ways."""
    notified = BUCKETS["OriginalsBucket"]["NotificationConfiguration"]["QueueConfigurations"]
    events = {"s3:ObjectCreated:Put", "s3:ObjectCreated:CompleteMultipartUpload"}
    assert {one["Event"] for one in notified} == events
    assert {str(one["Queue"]) for one in notified} == {str({"Fn::GetAtt": "UploadsQueue.Arn"})}
    rules = [{"Name": "prefix", "Value": "originals/"}]
    assert all(one["Filter"] == {"S3Key": {"Rules": rules}} for one in notified)
