#!/usr/bin/env python3
"""Writes the sample logs: five days of two accounts, in the key layout and record shapes of AWS CloudTrail.

    make.py             write AWSLogs/ anew and the numbers in STORY.md
    make.py --check     fail if AWSLogs/ or the numbers differ from what this script makes
    make.py --numbers   print the numbers, counted from the files by plain JSON reading

The story stands in the functions `day_10` to `day_14`; STORY.md tells it. Everything is invented: the accounts, ids and
addresses are those that documentation uses. Nothing here reads a clock or draws a random number, so every run makes
the same records. The numbers never look at the story, only at the files.
"""

import collections
import gzip
import hashlib
import json
import pathlib
import re
import shutil
import struct
import sys
import zlib
from datetime import datetime, timedelta, timezone

HERE = pathlib.Path(__file__).resolve().parent
LOGS = "AWSLogs"
BUCKET = "amzn-s3-demo-trail-logs"
NUMBERS_START, NUMBERS_END = "<!-- numbers: written by make.py -->", "<!-- end of numbers -->"

OWNER, PARTNER = "111122223333", "444455556666"
EAST, WEST = "us-east-1", "eu-west-1"

# ------------------------------------------------------------------ ids, times


def digits(seed, alphabet, length):
    """Text that looks random and depends on the seed alone."""
    number = int.from_bytes(hashlib.sha512(seed.encode()).digest(), "big")
    out = ""
    for _ in range(length):
        number, digit = divmod(number, len(alphabet))
        out += alphabet[digit]
    return out


def uuid(seed):
    h = hashlib.sha256(seed.encode()).hexdigest()
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{'89ab'[int(h[16], 16) % 4]}{h[17:20]}-{h[20:32]}"


BASE32, UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
ALPHANUMERIC = UPPER + "abcdefghijklmnopqrstuvwxyz"


def unique_id(prefix, seed):
    """An id of IAM that nobody can hold: AROA…, AIDA… (21 characters)."""
    return prefix + digits(prefix + seed, BASE32, 10) + "EXAMPLE"


def access_key(prefix, seed):
    """AKIA… or ASIA… (20 characters)."""
    return prefix + digits(prefix + seed, BASE32, 9) + "EXAMPLE"


def at(text):
    """`11 14:02:40` is that second of 11 March 2026, UTC."""
    return datetime.strptime("2026-03-" + text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)


def iso(time):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def in_words(time):
    """The form of dates inside parameters: `Mar 10, 2026, 2:02:31 PM`."""
    return f"{time:%b} {time.day}, {time.year}, {time.hour % 12 or 12}:{time:%M:%S} {time:%p}"


# ------------------------------------------------------------------ who calls


CLI = "aws-cli/2.31.0 md/awscrt#0.27.6 ua/2.1 os/linux#6.1.0 md/arch#x86_64 lang/python#3.13.7 cfg/retry-mode#standard"
JAVA = "aws-sdk-java/2.33.0 md/io#sync md/http#Apache ua/2.1 os/Linux#6.1.0 lang/java#21.0.8"
CONSOLE = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


class Caller:
    """Someone or something that signs requests. `identity(time, via)` is its `userIdentity`."""

    kind, address, agent, account = "", "192.0.2.10", CLI, OWNER
    is_console = False


class Role(Caller):
    kind = "AssumedRole"

    def __init__(self, name, session, created, account=OWNER, path="", **more):
        self.name, self.session, self.created, self.account, self.path = name, session, created, account, path
        self.arn = f"arn:aws:sts::{account}:assumed-role/{name}/{session}"
        self.role_arn = f"arn:aws:iam::{account}:role/{path}{name}"
        self.role_id = unique_id("AROA", account + name)
        self.mfa, self.delivery = "false", None
        self.__dict__.update(more)

    def identity(self, time, via=None):
        # A service that calls on a session's behalf has credentials of its own for that session.
        session = {
            "sessionIssuer": {
                "type": "Role",
                "principalId": self.role_id,
                "arn": self.role_arn,
                "accountId": self.account,
                "userName": self.name,
            },
            "attributes": {"creationDate": iso(at(self.created)), "mfaAuthenticated": self.mfa},
        }
        if self.delivery:
            session["ec2RoleDelivery"] = self.delivery
        out = {
            "type": "AssumedRole",
            "principalId": f"{self.role_id}:{self.session}",
            "arn": self.arn,
            "accountId": self.account,
            "accessKeyId": access_key("ASIA", self.arn + self.created + (via or "")),
            "sessionContext": session,
        }
        return out | ({"invokedBy": via} if via else {})

    def as_foreigner(self):
        """What the account sees whose key this role of another account uses."""
        return {"type": "AWSAccount", "principalId": f"{self.role_id}:{self.session}", "accountId": self.account}


class User(Caller):
    kind = "IAMUser"

    def __init__(self, name, **more):
        self.name = name
        self.arn = f"arn:aws:iam::{OWNER}:user/{name}"
        self.__dict__.update(more)

    def identity(self, time, via=None):
        out = {
            "type": "IAMUser",
            "principalId": unique_id("AIDA", self.name),
            "arn": self.arn,
            "accountId": OWNER,
            "accessKeyId": access_key("ASIA" if via else "AKIA", self.name + (via or "")),
            "userName": self.name,
        }
        if via:
            attributes = {"creationDate": iso(time), "mfaAuthenticated": "false"}
            out["sessionContext"] = {"sessionIssuer": {}, "webIdFederationData": {}, "attributes": attributes}
            out["invokedBy"] = via
        return out


class Root(Caller):
    kind, is_console, address, agent = "Root", True, "198.51.100.20", CONSOLE
    arn = f"arn:aws:iam::{OWNER}:root"

    def identity(self, time, via=None):
        attributes = {"creationDate": "2026-03-13T07:51:40Z", "mfaAuthenticated": "true"}
        return {
            "type": "Root",
            "principalId": OWNER,
            "arn": self.arn,
            "accountId": OWNER,
            "accessKeyId": access_key("ASIA", "root"),
            "sessionContext": {"attributes": attributes},
        }


class Service(Caller):
    """A service on its own behalf, by a grant or by its own right."""

    kind = "AWSService"

    def __init__(self, name):
        self.name = self.address = self.agent = name

    def identity(self, time, via=None):
        return {"type": "AWSService", "invokedBy": self.name}


DYNAMODB, EC2 = Service("dynamodb.amazonaws.com"), Service("ec2.amazonaws.com")
CUSTODIAN = User("key-custodian", address="198.51.100.31")
ANALYST = User("test-analyst", address="198.51.100.44")
ROOT = Root()


def key_admin(created):
    return Role("KeyAdmin", "admin-session", created, mfa="true", address="198.51.100.31")


def deploy(created):
    return Role("deploy", "deploy-session", created, address="192.0.2.80")


def orders_app(instance, created):
    address = {"i-1234567890abcdef0": "192.0.2.10", "i-0fedcba0987654321": "192.0.2.11"}[instance]
    return Role("orders-app", instance, created, delivery="2.0", address=address, agent=JAVA)


def workload(name, created, **more):
    return Role(name, f"{name}-session", created, **{"address": "192.0.2.33", "agent": JAVA} | more)


PARTNER_READER = Role("partner-reader", "partner-session", "11 10:10:00", PARTNER, address="203.0.113.15")
PARTNER_APP = Role("partner-app", "app-session", "10 08:00:00", PARTNER, address="203.0.113.16", agent=JAVA)
CONFIG = Role(
    "AWSServiceRoleForConfig", "LambdaDescribeHandlerSession", "11 10:30:02", path="aws-service-role/config.amazonaws.com/"
)

# ------------------------------------------------------------------ keys, tables, things


class Key:
    def __init__(self, key_id, region=EAST, account=OWNER):
        self.id, self.region, self.account = key_id, region, account
        self.arn = f"arn:aws:kms:{region}:{account}:key/{key_id}"
        self.resource = {"accountId": account, "type": "AWS::KMS::Key", "ARN": self.arn}
        self.material = hashlib.sha256(self.arn.encode()).hexdigest()

    def alias(self, name):
        return self.resource | {"ARN": f"arn:aws:kms:{self.region}:{self.account}:{name}"}


ORDERS_KEY = Key("1234abcd-12ab-34cd-56ef-1234567890ab")
DOCUMENTS_KEY = Key("0987dcba-09fe-87dc-65ba-ab0987654321")
CONFIG_KEY = Key("2345bcde-23bc-45de-87fa-2345678901bc")
ARCHIVE_KEY = Key("3456cdef-34cd-46ef-98ab-3456789012cd")
LEGACY_KEY = Key("4567defa-45de-47fa-a9bc-4567890123de")
REPORTS_KEY = Key("5678efab-56ef-48ab-bacd-5678901234ef", WEST)
PARTNER_KEY = Key("6789fabc-67fa-49bc-8bde-6789012345fa", account=PARTNER)
LEDGER_KEY = Key("789abcde-78ab-4cde-9f01-7890123456ab")
MISTYPED_KEY = Key("1234abcd-12ab-34cd-56ef-1234567890ba")

FUNCTION = f"arn:aws:lambda:{EAST}:{OWNER}:function:orders-notify"


def table_resource(table, region):
    return {"accountId": OWNER, "type": "AWS::DynamoDB::Table", "ARN": f"arn:aws:dynamodb:{region}:{OWNER}:table/{table}"}


def table_context(table):
    return {"aws:dynamodb:tableName": table, "aws:dynamodb:subscriberId": OWNER}


def object_context(bucket, key):
    return {"aws:s3:arn": f"arn:aws:s3:::{bucket}/{key}"}


def orders_policy(reader=None):
    """The key policy of the orders key, with or without the statement that lets a user read."""
    iam = f"arn:aws:iam::{OWNER}"

    def statement(sid, who, actions):
        return {"Sid": sid, "Effect": "Allow", "Principal": {"AWS": who}, "Action": actions, "Resource": "*"}

    use = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
    administer = ["kms:Describe*", "kms:Put*", "kms:Enable*", "kms:Disable*", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion"]
    statements = [
        statement("Enable IAM User Permissions", f"{iam}:root", "kms:*"),
        statement("Allow administration", f"{iam}:role/KeyAdmin", administer),
        statement("Allow use by the application", [f"{iam}:role/orders-app", f"{iam}:role/batch-export"], use),
    ]
    if reader:
        statements.append(statement("Allow reading for tests", f"{iam}:user/{reader}", ["kms:Decrypt", "kms:GenerateDataKey"]))
    return json.dumps({"Version": "2012-10-17", "Id": "orders-key-policy", "Statement": statements}, indent=2)


def iam_document(actions, resource):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": resource}]})


# ------------------------------------------------------------------ records


KMS_WRITES = {
    "CancelKeyDeletion", "CreateAlias", "CreateGrant", "CreateKey", "DisableKey", "EnableKey", "EnableKeyRotation",
    "PutKeyPolicy", "RetireGrant", "ScheduleKeyDeletion",
}  # fmt: skip
MATERIAL_SHOWN = {"Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"}
VERSIONS = {"dynamodb": "1.11", "ec2": "1.10", "iam": "1.10", "kms": "1.11", "lambda": "1.11", "logs": "1.11", "s3": "1.11"}


class Delivery:
    """Collects records by account and Region and cuts them into files as CloudTrail does."""

    def __init__(self):
        self.records = collections.defaultdict(list)
        self.files = {}
        self.count = 0

    def add(self, record, region, recipient):
        self.records[recipient, region].append(record)
        return record

    def seed(self, *parts):
        self.count += 1
        return "/".join(map(str, (*parts, self.count)))

    def put(self, recipient, region, time, records, kind="CloudTrail"):
        """One file, with its records in no order of time."""
        stamp = f"{time:%Y%m%dT%H%MZ}"
        content = json.dumps({"Records": sorted(records, key=lambda r: r["eventID"][::-1])}, separators=(",", ":")).encode()
        unique = digits(f"{recipient}{region}{stamp}{len(self.files)}", ALPHANUMERIC, 16)
        folder = f"{LOGS}/{recipient}/{kind}/{region}/{time:%Y/%m/%d}"
        name = f"{folder}/{recipient}_{kind}_{region}_{stamp}_{unique}.json.gz"
        self.files[name] = content
        return name

    def flush(self):
        """A file about every seven minutes while something happens, a few minutes after its last event."""
        for (recipient, region), records in sorted(self.records.items()):
            records.sort(key=lambda r: (r["eventTime"], r["eventID"]))
            start, batch = None, []
            for record in [*records, None]:
                time = record and datetime.strptime(record["eventTime"], "%Y-%m-%dT%H:%M:%SZ")
                if batch and (record is None or time - start > timedelta(minutes=7)):
                    last = datetime.strptime(batch[-1]["eventTime"], "%Y-%m-%dT%H:%M:%SZ")
                    self.put(recipient, region, last + timedelta(seconds=180), batch)
                    batch = []
                start = start if batch else time
                batch.append(record)
        self.records.clear()


OUT = Delivery()


def agent_of(who, service, name):
    """The command line tool says which command it runs."""
    words = re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()
    return f"{who.agent} md/command#{service}.{words}" if who.agent == CLI else who.agent


def s3_extra(seed):
    return {
        "SignatureVersion": "SigV4",
        "CipherSuite": "TLS_AES_128_GCM_SHA256",
        "bytesTransferredIn": 0,
        "AuthenticationMethod": "AuthHeader",
        "x-amz-id-2": digits("id-2" + seed, ALPHANUMERIC, 75) + "=",
        "bytesTransferredOut": 412,
    }


def new_record(time, who, service, name, region, *, via=None, request=None, response=None, error=None, **more):
    """A record with its fields in AWS's order; `more` holds those that only some records have."""
    seed = OUT.seed(iso(time), service, name)
    is_made_by_service = bool(via) or who.kind == "AWSService"
    record = {
        "eventVersion": VERSIONS.get(service, "1.08"),
        "userIdentity": who.identity(time, via),
        "eventTime": iso(time),
        "eventSource": f"{service}.amazonaws.com",
        "eventName": name,
        "awsRegion": region,
        "sourceIPAddress": via or who.address,
        "userAgent": via or agent_of(who, service, name),
    }
    if error:
        record["errorCode"], record["errorMessage"] = error
    record["requestParameters"], record["responseElements"] = request, response
    extra = s3_extra(seed) if service == "s3" else more.get("extra")
    if extra:
        record["additionalEventData"] = extra
    record["requestID"] = more.get("request_id") or (digits(seed, UPPER, 16) if service == "s3" else uuid("request" + seed))
    record["eventID"] = uuid("event" + seed)
    record["readOnly"] = more["read_only"]
    if more.get("resources"):
        record["resources"] = more["resources"]
    record["eventType"] = more.get("event_type", "AwsApiCall")
    if service == "dynamodb":
        record["apiVersion"] = "2012-08-10"
    category = more.get("category", "Management")
    record["managementEvent"] = category == "Management"
    record["recipientAccountId"] = more.get("recipient", OWNER)
    if who.kind == "AWSService" or more.get("is_shared"):
        record["sharedEventID"] = uuid("shared" + seed)
    record["eventCategory"] = category
    if not is_made_by_service:
        record["tlsDetails"] = {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": f"{service}.{region}.amazonaws.com",
        }
    if who.is_console:
        record["sessionCredentialFromConsole"] = "true"
    return record


def kms(time, who, name, key=None, request=None, **more):
    """A KMS event that got as far as the key. `resources` beside the key's own can be given."""
    recipient = more.setdefault("recipient", who.account if who.kind != "AWSService" else key.account)
    region = more.pop("region", key.region if key else EAST)
    more.setdefault("resources", [key.resource] if key else None)
    if name in MATERIAL_SHOWN and "error" not in more:
        more["extra"] = {"keyMaterialId": key.material}
    record = new_record(time, who, "kms", name, region, request=request, read_only=name not in KMS_WRITES, **more)
    return OUT.add(record, region, recipient)


def refused(time, who, name, message, code="AccessDenied", **more):
    """A KMS event that never got to the key: no parameters, no resources."""
    return kms(time, who, name, error=(code, message), **more)


def not_authorized(who, action, where):
    return f"User: {who.arn} is not authorized to perform: {action} {where}"


def decrypt(time, who, key, context, **more):
    return kms(time, who, "Decrypt", key, {"encryptionContext": context, "encryptionAlgorithm": "SYMMETRIC_DEFAULT"}, **more)


def table_decrypt(time, who, key=ORDERS_KEY, table="orders", **more):
    """What DynamoDB asks of KMS when somebody reads or writes: the key is in `resources` alone."""
    via = None if who.kind == "AWSService" else "dynamodb.amazonaws.com"
    return decrypt(time, who, key, table_context(table), via=via, **more)


def data_key(time, who, key, context, **more):
    request = {"keySpec": "AES_256", "encryptionContext": context, "keyId": key.arn}
    return kms(time, who, "GenerateDataKey", key, request, **more)


def ddb_request_id(*parts):
    return digits("/".join(map(str, parts)), UPPER, 52)


def dynamodb(time, who, name, table="orders", region=EAST, request=None, **more):
    more.setdefault("read_only", name.startswith(("Describe", "Get")))
    more["request_id"] = ddb_request_id(iso(time), who.arn, name)
    resources = [table_resource(table, region)]
    record = new_record(
        time, who, "dynamodb", name, region, request=request or {"tableName": table}, resources=resources, **more
    )
    return OUT.add(record, region, OWNER)


def get_item(time, order, error=None):
    request = {"tableName": "orders", "key": {"orderId": order}}
    return dynamodb(time, ANALYST, "GetItem", request=request, category="Data", error=error)


def api(time, who, service, name, request=None, region=EAST, **more):
    """An event of another service."""
    more.setdefault("read_only", name.startswith(("Describe", "Get", "List")))
    more.setdefault("recipient", who.account)
    return OUT.add(new_record(time, who, service, name, region, request=request, **more), region, more["recipient"])


def noise(day, clock, who, region=EAST):
    """What every account is full of: nothing here names a key."""
    start = at(f"{day} {clock}")
    api(start, who, "ec2", "DescribeInstances", {"instancesSet": {}, "filterSet": {}}, region)
    api(start + timedelta(seconds=4), who, "s3", "ListBuckets", {"Host": f"s3.{region}.amazonaws.com"}, region)
    log_group = {"logGroupName": "/app/orders", "logStreamName": f"2026/03/{day}"}
    return api(start + timedelta(seconds=9), who, "logs", "CreateLogStream", log_group, region)


# ------------------------------------------------------------------ the story


def assume_key_admin(clock):
    """The custodian, with a second factor, becomes KeyAdmin."""
    admin, time = key_admin(clock), at(clock)
    request = {"roleArn": admin.role_arn, "roleSessionName": admin.session, "durationSeconds": 3600}
    request["serialNumber"] = f"arn:aws:iam::{OWNER}:mfa/key-custodian"
    credentials = {
        "accessKeyId": access_key("ASIA", admin.arn + admin.created),
        "sessionToken": "IQoJb3JpZ2luX2VjEXAMPLETOKEN",
        "expiration": in_words(time + timedelta(hours=1)),
    }
    response = {
        "credentials": credentials,
        "assumedRoleUser": {"assumedRoleId": f"{admin.role_id}:{admin.session}", "arn": admin.arn},
    }
    resources = [{"accountId": OWNER, "type": "AWS::IAM::Role", "ARN": admin.role_arn}]
    api(time, CUSTODIAN, "sts", "AssumeRole", request, response=response, resources=resources, read_only=True)
    return admin


def create_key(time, admin):
    policy, description = orders_policy(), "Table orders"
    common = {"customerMasterKeySpec": "SYMMETRIC_DEFAULT", "keySpec": "SYMMETRIC_DEFAULT", "keyUsage": "ENCRYPT_DECRYPT"}
    request = {"policy": policy, "description": description, "origin": "AWS_KMS", "multiRegion": False}
    request |= common | {"bypassPolicyLockoutSafetyCheck": False}
    metadata = {"aWSAccountId": OWNER, "keyId": ORDERS_KEY.id, "arn": ORDERS_KEY.arn, "creationDate": in_words(time)}
    metadata |= {"enabled": True, "description": description, "keyState": "Enabled", "origin": "AWS_KMS"}
    metadata |= {"keyManager": "CUSTOMER", "encryptionAlgorithms": ["SYMMETRIC_DEFAULT"], "multiRegion": False} | common
    kms(time, admin, "CreateKey", ORDERS_KEY, request, response={"keyMetadata": metadata})
    alias = {"aliasName": "alias/orders", "targetKeyId": ORDERS_KEY.id}
    resources = [ORDERS_KEY.resource, ORDERS_KEY.alias("alias/orders")]
    answer = {"keyId": ORDERS_KEY.arn}
    kms(time + timedelta(seconds=2), admin, "CreateAlias", ORDERS_KEY, alias, resources=resources, response=answer)
    rotation = {"keyId": ORDERS_KEY.id, "rotationPeriodInDays": 365}
    kms(time + timedelta(seconds=5), admin, "EnableKeyRotation", ORDERS_KEY, rotation, response=answer)


def create_table(time, who):
    attributes = [{"attributeName": "orderId", "attributeType": "S"}]
    schema = [{"attributeName": "orderId", "keyType": "HASH"}]
    request = {
        "attributeDefinitions": attributes,
        "tableName": "orders",
        "keySchema": schema,
        "billingMode": "PAY_PER_REQUEST",
        "sSESpecification": {"enabled": True, "sSEType": "KMS", "kMSMasterKeyId": ORDERS_KEY.arn},
    }
    description = {
        "attributeDefinitions": attributes,
        "tableName": "orders",
        "keySchema": schema,
        "tableStatus": "CREATING",
        "creationDateTime": in_words(time),
        "provisionedThroughput": {"numberOfDecreasesToday": 0, "readCapacityUnits": 0, "writeCapacityUnits": 0},
        "tableSizeBytes": 0,
        "itemCount": 0,
        "tableArn": table_resource("orders", EAST)["ARN"],
        "tableId": uuid("table orders"),
        "billingModeSummary": {"billingMode": "PAY_PER_REQUEST"},
        "sSEDescription": {"status": "ENABLING", "sSEType": "KMS", "kMSMasterKeyArn": ORDERS_KEY.arn},
        "deletionProtectionEnabled": False,
    }
    dynamodb(time, who, "CreateTable", request=request, response={"tableDescription": description})
    via = "dynamodb.amazonaws.com"
    kms(time, who, "DescribeKey", ORDERS_KEY, {"keyId": ORDERS_KEY.arn}, via=via)
    service = f"dynamodb.{EAST}.amazonaws.com"
    grant = {
        "keyId": ORDERS_KEY.arn,
        "retiringPrincipal": service,
        "constraints": {"encryptionContextSubset": table_context("orders")},
        "granteePrincipal": service,
        "operations": ["DescribeKey", "GenerateDataKey", "Decrypt", "Encrypt", "ReEncryptFrom", "ReEncryptTo", "RetireGrant"],
    }
    answer = {"grantId": hashlib.sha256(b"grant of the table orders").hexdigest(), "keyId": ORDERS_KEY.arn}
    kms(time + timedelta(seconds=1), who, "CreateGrant", ORDERS_KEY, grant, response=answer, via=via)
    data_key(time + timedelta(seconds=3), DYNAMODB, ORDERS_KEY, table_context("orders"))


def application_at_work(day, clock, windows):
    """Two instances of orders-app read and write all the time: DynamoDB asks KMS every five minutes for each."""
    made = []
    for instance, lag in (("i-1234567890abcdef0", 0), ("i-0fedcba0987654321", 47)):
        app = orders_app(instance, f"{day} {clock}")
        time = at(f"{day} {clock}") + timedelta(seconds=30 + lag)
        for turn in range(windows):
            made.append(table_decrypt(time, app))
            time += timedelta(seconds=301 + (turn * 7 + lag) % 5)
    return made


def analyst_is_denied(clock, order, where):
    """KMS refuses, and DynamoDB hands the refusal to the user with the id of the KMS request."""
    time = at(clock)
    message = not_authorized(ANALYST, "kms:Decrypt", where + " because no identity-based policy allows the kms:Decrypt action")
    refusal = refused(time, ANALYST, "Decrypt", message, via="dynamodb.amazonaws.com")
    wrapped = (
        f"KMS key access denied error: com.amazonaws.services.kms.model.AWSKMSException: {message} (Service: AWSKMS; "
        f"Status Code: 400; Error Code: AccessDeniedException; Request ID: {refusal['requestID']}; Proxy: null)"
    )
    get_item(time, order, ("AccessDeniedException", wrapped))


def documents_traffic(day, clock, objects):
    app = workload("documents-app", f"{day} {clock}")
    time = at(f"{day} {clock}")
    for number in range(objects):
        context = object_context("amzn-s3-demo-documents", f"2026/03/{day}/invoice-{number + 1}.pdf")
        data_key(time, app, DOCUMENTS_KEY, context, via="AWS Internal")
        decrypt(time + timedelta(seconds=95), app, DOCUMENTS_KEY, context, via="AWS Internal")
        time += timedelta(seconds=61)


def reports_traffic(day, clock):
    """The other Region: a table of its own, and S3 in the form of 2026."""
    job = workload("reports-job", f"{day} {clock}", address="192.0.2.60")
    time = at(f"{day} {clock}")
    table_decrypt(time, job, REPORTS_KEY, "customers")
    table_decrypt(time + timedelta(seconds=304), job, REPORTS_KEY, "customers")
    context = object_context("amzn-s3-demo-reports", f"2026/03/{day}/summary.csv")
    data_key(time + timedelta(seconds=340), job, REPORTS_KEY, context, via="fas.s3.amazonaws.com")
    return job


def application_starts(clock):
    """EC2 hands out the role; the application fetches a secret and a parameter, both under the configuration key."""
    time = at(clock)
    app = orders_app("i-1234567890abcdef0", "10 14:30:00")
    request = {"roleArn": app.role_arn, "roleSessionName": app.session}
    resources = [{"accountId": OWNER, "type": "AWS::IAM::Role", "ARN": app.role_arn}]
    api(time, EC2, "sts", "AssumeRole", request, resources=resources, read_only=True)
    secret = f"arn:aws:secretsmanager:{EAST}:{OWNER}:secret:orders/payment-a1b2c3"
    context = {"SecretARN": secret, "SecretVersionId": uuid("secret version")}
    api(time + timedelta(seconds=20), app, "secretsmanager", "GetSecretValue", {"secretId": "orders/payment"})
    decrypt(time + timedelta(seconds=20), app, CONFIG_KEY, context, via="secretsmanager.amazonaws.com")
    parameter = {"PARAMETER_ARN": f"arn:aws:ssm:{EAST}:{OWNER}:parameter/orders/endpoint"}
    request = {"name": "/orders/endpoint", "withDecryption": True}
    api(time + timedelta(seconds=22), app, "ssm", "GetParameter", request)
    decrypt(time + timedelta(seconds=22), app, CONFIG_KEY, parameter, via="AWS Internal")


def day_10():
    """The key, the table, the application starts."""
    admin = assume_key_admin("10 14:00:12")
    create_key(at("10 14:02:31"), admin)
    create_table(at("10 14:20:05"), deploy("10 14:08:00"))
    for clock in ("10 14:20:15", "10 14:20:25"):
        dynamodb(at(clock), deploy("10 14:08:00"), "DescribeTable")
    bucket = "amzn-s3-demo-documents"
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": DOCUMENTS_KEY.arn}
    rule = {"Rule": {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": False}}
    request = {"bucketName": bucket, "encryption": "", "ServerSideEncryptionConfiguration": rule}
    resources = [{"accountId": OWNER, "type": "AWS::S3::Bucket", "ARN": f"arn:aws:s3:::{bucket}"}]
    api(at("10 14:24:40"), deploy("10 14:08:00"), "s3", "PutBucketEncryption", request, resources=resources)
    application_starts("10 14:26:05")
    application_at_work("10", "14:30:00", 8)
    documents_traffic("10", "14:41:10", 3)
    noise("10", "14:10:02", deploy("10 14:08:00"))
    reports_traffic("10", "15:30:12")
    context = object_context("amzn-s3-demo-partner", "inbox/batch-1.json")
    data_key(at("10 15:02:07"), PARTNER_APP, PARTNER_KEY, context, via="AWS Internal")
    decrypt(at("10 15:04:31"), PARTNER_APP, PARTNER_KEY, context, via="AWS Internal")
    noise("10", "15:05:12", PARTNER_APP)


def day_11():
    """The analyst may describe the table and is denied its data; an old key is to go; a partner reads."""
    application_at_work("11", "09:00:00", 8)
    job = workload("archive-job", "11 09:20:00")
    move = {
        "sourceEncryptionContext": {"archive": "2019"},
        "destinationEncryptionContext": {"archive": "2019"},
        "sourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "destinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "destinationKeyId": ARCHIVE_KEY.arn,
    }
    both = [LEGACY_KEY.resource, ARCHIVE_KEY.resource]
    materials = {"sourceKeyMaterialId": LEGACY_KEY.material, "destinationKeyMaterialId": ARCHIVE_KEY.material}
    kms(at("11 09:31:50"), job, "ReEncrypt", ARCHIVE_KEY, move, resources=both, extra=materials)
    schedule_deletion(assume_key_admin("11 10:00:20"))
    reason = f"on resource: {CONFIG_KEY.arn} because no resource-based policy allows the kms:Decrypt action"
    refused(at("11 10:30:04"), CONFIG, "Decrypt", not_authorized(CONFIG, "kms:Decrypt", reason), via="config.amazonaws.com")
    agent = "aws-internal/3 aws-sdk-java/1.12.780"
    cold = Role("orders-notify", "orders-notify", "11 10:33:40", address="192.0.2.140", agent=agent)
    decrypt(at("11 10:33:41"), cold, CONFIG_KEY, {"aws:lambda:FunctionArn": FUNCTION})
    partner_reads()
    analyst_tries()
    context = object_context("amzn-s3-demo-archive", "2018/ledger.parquet")
    gone = ("KMSInvalidStateException", f"{LEGACY_KEY.arn} is pending deletion.")
    decrypt(at("11 14:16:09"), workload("archive-job", "11 14:15:00"), LEGACY_KEY, context, via="AWS Internal", error=gone)
    noise("11", "13:58:30", deploy("11 13:25:00"))
    west = workload("reports-job", "11 11:35:00", address="192.0.2.60")
    reason = f"on resource: {REPORTS_KEY.arn} with an explicit deny in a service control policy"
    message = not_authorized(west, "kms:GenerateDataKey", reason)
    refused(at("11 11:40:18"), west, "GenerateDataKey", message, region=WEST)
    noise("11", "11:41:00", west, WEST)


def schedule_deletion(admin):
    time, window = at("11 10:02:44"), 7
    answer = {"keyId": LEGACY_KEY.arn, "deletionDate": in_words(time + timedelta(days=window))}
    answer |= {"keyState": "PendingDeletion", "pendingWindowInDays": window}
    request = {"keyId": LEGACY_KEY.id, "pendingWindowInDays": window}
    kms(time, admin, "ScheduleKeyDeletion", LEGACY_KEY, request, response=answer)


def partner_reads():
    """A role of the other account uses the documents key: both accounts get a copy. It may not use the orders key:
    only its own account hears of it."""
    for clock in ("11 10:15:30", "11 10:16:05"):
        mine = decrypt(at(clock), PARTNER_READER, DOCUMENTS_KEY, {"exchange": "partner"}, is_shared=True)
        theirs = mine | {"userIdentity": PARTNER_READER.as_foreigner(), "recipientAccountId": OWNER}
        theirs["eventID"] = uuid("owner's copy" + clock)
        OUT.add(theirs, EAST, OWNER)
    causes = (
        "on this resource because the resource does not exist in this Region, no resource-based policies allow access, "
        "or a resource-based policy explicitly denies access"
    )
    refused(at("11 10:18:47"), PARTNER_READER, "Decrypt", not_authorized(PARTNER_READER, "kms:Decrypt", causes))
    noise("11", "10:19:30", PARTNER_APP)


def analyst_tries():
    document = json.dumps({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Action": ["dynamodb:DescribeTable", "dynamodb:GetItem"],
            "Resource": table_resource("orders", EAST)["ARN"],
        }],
    })
    request = {"userName": "test-analyst", "policyName": "read-orders", "policyDocument": document}
    api(at("11 13:55:12"), deploy("11 13:25:00"), "iam", "PutUserPolicy", request)
    dynamodb(at("11 14:00:41"), ANALYST, "DescribeTable")
    analyst_is_denied("11 14:01:10", "o-1001", f"on resource: {ORDERS_KEY.arn}")
    analyst_is_denied("11 14:02:40", "o-1001", "on the resource associated with this ciphertext")
    analyst_is_denied("11 14:06:22", "o-1002", f"on resource: {ORDERS_KEY.arn}")
    missing = f"Key '{MISTYPED_KEY.arn}' does not exist"
    refused(at("11 14:09:03"), ANALYST, "DescribeKey", missing, "NotFoundException")
    reason = f"on resource: {ORDERS_KEY.arn} because no identity-based policy allows the kms:PutKeyPolicy action"
    refused(at("11 14:12:55"), ANALYST, "PutKeyPolicy", not_authorized(ANALYST, "kms:PutKeyPolicy", reason))


def day_12():
    """The key policy changes and the analyst reads; a key is switched off and on; somebody holds a table's key."""
    analyst_is_denied("12 09:05:30", "o-1001", f"on resource: {ORDERS_KEY.arn}")
    change_policy(assume_key_admin("12 09:08:10"))
    reads = analyst_reads()
    application = application_at_work("12", "09:00:00", 8)
    admin = key_admin("12 09:08:10")
    answer = {"keyId": LEGACY_KEY.arn}
    kms(at("12 09:33:02"), admin, "CancelKeyDeletion", LEGACY_KEY, {"keyId": LEGACY_KEY.id}, response=answer)
    switch_archive_key()
    chatter = noise("12", "09:24:30", deploy("12 09:00:00"))
    app = workload("documents-app", "12 11:10:00")
    slow_down = "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls."
    refused(at("12 11:23:15"), app, "GenerateDataKey", slow_down, "ThrottlingException", via="AWS Internal")
    documents_traffic("12", "11:23:20", 2)
    export = Role("batch-export", "export-session", "12 22:40:11", address="203.0.113.77", agent="Boto3/1.40.0 Botocore/1.40.0")
    decrypt(at("12 22:47:03"), export, ORDERS_KEY, table_context("orders"))
    noise("12", "22:44:00", export)
    reports_traffic("12", "15:30:09")
    noise("12", "15:31:00", PARTNER_APP)
    return [*reads, *application[4:6], *application[12:14], chatter]


def change_policy(admin):
    def request(reader):
        named = {"keyId": ORDERS_KEY.id, "policyName": "default", "policy": orders_policy(reader)}
        return named | {"bypassPolicyLockoutSafetyCheck": False}

    malformed = ("MalformedPolicyDocumentException", "Policy contains a statement with one or more invalid principals.")
    kms(at("12 09:12:04"), admin, "PutKeyPolicy", ORDERS_KEY, request("test-analist"), error=malformed)
    kms(at("12 09:14:27"), admin, "PutKeyPolicy", ORDERS_KEY, request("test-analyst"))


def analyst_reads():
    """Five reads, two KMS calls: DynamoDB keeps the table's key for about five minutes."""
    windows = [table_decrypt(at(clock), ANALYST) for clock in ("12 09:20:15", "12 09:25:40")]
    for clock, order in (
        ("12 09:20:15", "o-1001"),
        ("12 09:21:02", "o-1002"),
        ("12 09:23:48", "o-1003"),
        ("12 09:25:40", "o-1004"),
        ("12 09:27:11", "o-1005"),
    ):
        get_item(at(clock), order)
    return windows


def switch_archive_key():
    admin = key_admin("12 09:08:10")
    request, answer = {"keyId": ARCHIVE_KEY.id}, {"keyId": ARCHIVE_KEY.arn}
    job = workload("archive-job", "12 11:15:00")
    context = object_context("amzn-s3-demo-archive", "2019/ledger.parquet")
    disabled = ("DisabledException", f"{ARCHIVE_KEY.arn} is disabled.")
    kms(at("12 09:36:30"), admin, "DisableKey", ARCHIVE_KEY, request, response=answer)
    decrypt(at("12 11:20:08"), job, ARCHIVE_KEY, context, via="AWS Internal", error=disabled)
    decrypt(at("12 11:21:09"), job, ARCHIVE_KEY, context, via="AWS Internal", error=disabled)
    admin = assume_key_admin("12 11:24:51")
    kms(at("12 11:25:33"), admin, "EnableKey", ARCHIVE_KEY, request, response=answer)
    decrypt(at("12 11:26:10"), job, ARCHIVE_KEY, context, via="AWS Internal")


def root_signs_in(clock):
    answer = {"ConsoleLogin": "Success"}
    extra = {"LoginTo": "https://console.aws.amazon.com/console/home", "MobileVersion": "No", "MFAUsed": "Yes"}
    kind = "AwsConsoleSignIn"
    record = api(at(clock), ROOT, "signin", "ConsoleLogin", response=answer, extra=extra, event_type=kind, read_only=False)
    # The session begins here: the record cannot know it.
    del record["requestID"], record["sessionCredentialFromConsole"]
    for later in ("accessKeyId", "sessionContext"):
        del record["userIdentity"][later]


def day_13():
    """Root looks at keys; the day goes on."""
    table_decrypt(at("13 03:00:21"), DYNAMODB)
    root_signs_in("13 07:51:40")
    kms(at("13 07:55:02"), ROOT, "ListKeys", request={"limit": 100})
    kms(at("13 07:55:20"), ROOT, "DescribeKey", ORDERS_KEY, {"keyId": ORDERS_KEY.id})
    application_at_work("13", "08:00:00", 6)
    builder = deploy("13 08:00:00")
    alias = {"keyId": "alias/app-config", "encryptionAlgorithm": "SYMMETRIC_DEFAULT"}
    kms(at("13 08:12:14"), builder, "Encrypt", CONFIG_KEY, alias)
    bare = {"keyId": CONFIG_KEY.arn, "keySpec": "AES_256"}
    kms(at("13 08:12:31"), builder, "GenerateDataKeyWithoutPlaintext", CONFIG_KEY, bare)
    noise("13", "08:20:00", builder)
    noise("13", "08:22:10", Role("auditor", "auditor-session", "13 08:21:00", PARTNER, address="203.0.113.20"), WEST)


def second_change():
    """Five minutes before the key policy, the analyst's own policy changed too: two changes, and the logs cannot tell which
    one was needed."""
    document = iam_document(["kms:Decrypt", "kms:GenerateDataKey"], ORDERS_KEY.arn)
    request = {"userName": "test-analyst", "policyName": "read-orders-key", "policyDocument": document}
    api(at("12 09:09:40"), deploy("12 09:00:00"), "iam", "PutUserPolicy", request)
    # The trail was new, and logged everything.
    select_events("10 13:58:40", [])


def assume(time, caller, role, **more):
    """`caller` takes on a role, whose session has the access key of the answer."""
    credentials = {"accessKeyId": access_key("ASIA", role.arn + role.created), "sessionToken": "IQoJb3JpZ2luX2VjEXAMPLETOKEN"}
    credentials["expiration"] = in_words(time + timedelta(hours=1))
    answer = {"credentials": credentials, "assumedRoleUser": {"assumedRoleId": f"{role.role_id}:{role.session}", "arn": role.arn}}
    request = {"roleArn": role.role_arn, "roleSessionName": role.session, "durationSeconds": 3600}
    resources = [{"accountId": OWNER, "type": "AWS::IAM::Role", "ARN": role.role_arn}]
    api(time, caller, "sts", "AssumeRole", request, response=answer, resources=resources, read_only=True, **more)


LEDGER_GRANTS = {
    key: hashlib.sha256(f"grant of the table ledger on {key}".encode()).hexdigest() for key in (ORDERS_KEY.arn, LEDGER_KEY.arn)
}


def encrypt_table(time, who, key, name, answer):
    """DynamoDB takes a key for the table `ledger`: it looks at the key and has itself granted it in the caller's name."""
    description = {"tableName": "ledger", "tableStatus": answer, "tableArn": table_resource("ledger", EAST)["ARN"]}
    description["sSEDescription"] = {"status": "ENABLED", "sSEType": "KMS", "kMSMasterKeyArn": key.arn}
    request = {"tableName": "ledger", "sSESpecification": {"enabled": True, "sSEType": "KMS", "kMSMasterKeyId": key.arn}}
    dynamodb(time, who, name, "ledger", request=request, response={"tableDescription": description})
    via, service = "dynamodb.amazonaws.com", f"dynamodb.{EAST}.amazonaws.com"
    kms(time, who, "DescribeKey", key, {"keyId": key.arn}, via=via)
    grant = {"keyId": key.arn, "retiringPrincipal": service, "granteePrincipal": service}
    grant["constraints"] = {"encryptionContextSubset": table_context("ledger")}
    grant["operations"] = ["DescribeKey", "GenerateDataKey", "Decrypt", "Encrypt", "ReEncryptFrom", "ReEncryptTo", "RetireGrant"]
    granted = {"grantId": LEDGER_GRANTS[key.arn], "keyId": key.arn}
    kms(time + timedelta(seconds=1), who, "CreateGrant", key, grant, response=granted, via=via)
    data_key(time + timedelta(seconds=3), DYNAMODB, key, table_context("ledger"))


OPERATOR_SSO = Role(
    "AWSReservedSSO_LedgerOperators_0123456789abcdef", "dana", "13 09:38:10", path="aws-reserved/sso.amazonaws.com/",
    address="198.51.100.52", agent=CONSOLE,
)  # fmt: skip


def ledger_operator():
    return Role("ledger-operator", "ledger-shift", "13 09:41:20", address="198.51.100.52")


def ledger_is_made():
    """A key and a table for the ledger; the table begins under the orders key, by mistake."""
    admin = assume_key_admin("13 09:00:10")
    policy = json.loads(orders_policy())
    policy["Id"], policy["Statement"] = "ledger-key-policy", policy["Statement"][:2]
    common = {"customerMasterKeySpec": "SYMMETRIC_DEFAULT", "keySpec": "SYMMETRIC_DEFAULT", "keyUsage": "ENCRYPT_DECRYPT"}
    request = {"policy": json.dumps(policy), "description": "Table ledger", "origin": "AWS_KMS", "multiRegion": False} | common
    time = at("13 09:02:05")
    metadata = {"aWSAccountId": OWNER, "keyId": LEDGER_KEY.id, "arn": LEDGER_KEY.arn, "creationDate": in_words(time)}
    metadata |= {"enabled": True, "keyState": "Enabled", "origin": "AWS_KMS", "keyManager": "CUSTOMER", "multiRegion": False}
    kms(time, admin, "CreateKey", LEDGER_KEY, request, response={"keyMetadata": metadata | common})
    alias = {"aliasName": "alias/ledger", "targetKeyId": LEDGER_KEY.id}
    resources = [LEDGER_KEY.resource, LEDGER_KEY.alias("alias/ledger")]
    kms(time + timedelta(seconds=2), admin, "CreateAlias", LEDGER_KEY, alias, resources=resources, response={"keyId": LEDGER_KEY.arn})
    encrypt_table(at("13 09:10:05"), deploy("13 09:00:00"), ORDERS_KEY, "CreateTable", "CREATING")


def operator_gets_in():
    """A person of Identity Center takes on `ledger-operator`, which KMS refuses until its own IAM policy allows the key."""
    operator = ledger_operator()
    assume(at("13 09:41:20"), OPERATOR_SSO, operator)
    where = f"on resource: {ORDERS_KEY.arn} because no identity-based policy allows the kms:Decrypt action"
    for clock in ("13 10:00:10", "13 10:02:20"):
        message = not_authorized(operator, "kms:Decrypt", where)
        refused(at(clock), operator, "Decrypt", message, via="dynamodb.amazonaws.com")
    document = iam_document("kms:Decrypt", ORDERS_KEY.arn)
    request = {"roleName": "ledger-operator", "policyName": "ledger-key", "policyDocument": document}
    api(at("13 10:20:00"), deploy("13 10:18:00"), "iam", "PutRolePolicy", request)
    for clock in ("13 10:31:00", "13 10:36:05"):
        table_decrypt(at(clock), operator, table="ledger")


def select_events(clock, excluded):
    """What the trail logs of management events, from now on."""
    selector = {"readWriteType": "All", "includeManagementEvents": True, "dataResources": []}
    selector["excludeManagementEventSources"] = excluded
    trail = f"arn:aws:cloudtrail:{EAST}:{OWNER}:trail/management-trail"
    request = {"trailName": "management-trail", "eventSelectors": [selector]}
    answer = {"trailARN": trail, "eventSelectors": [selector]}
    who = deploy(f"{clock[:2]} {'13:50:00' if clock.startswith('10') else '11:30:00'}")
    api(at(clock), who, "cloudtrail", "PutEventSelectors", request, response=answer)


def day_14():
    """The ledger moves to its own key; for an hour nobody logs KMS; a file that was delivered is gone."""
    deployer = deploy("14 09:50:00")
    encrypt_table(at("14 10:00:05"), deployer, LEDGER_KEY, "UpdateTable", "UPDATING")
    retired = {"grantId": LEDGER_GRANTS[ORDERS_KEY.arn]}
    kms(
        at("14 10:04:40"), DYNAMODB, "RetireGrant", ORDERS_KEY, None, response={"keyId": ORDERS_KEY.arn}, extra=retired
    )  # fmt: skip
    table_decrypt(at("14 10:12:00"), ledger_operator(), LEDGER_KEY, "ledger")
    select_events("14 11:59:30", ["kms.amazonaws.com"])
    noise("14", "12:20:00", deploy("14 11:30:00"))
    select_events("14 13:00:00", [])
    application_at_work("14", "13:05:00", 2)
    noise("14", "16:30:00", deploy("14 16:00:00"))


def late():
    """Two calls of the 11th that CloudTrail delivered on the 12th, eleven hours later."""
    app = orders_app("i-1234567890abcdef0", "11 16:00:00")
    records = [table_decrypt(at(clock), app) for clock in ("11 16:20:04", "11 16:25:09")]
    del OUT.records[OWNER, EAST][-len(records) :]
    OUT.put(OWNER, EAST, at("12 03:27:00"), records)


# ------------------------------------------------------------------ beside the logs


def insight():
    """CloudTrail Insights noticed that KMS refused more often than usual."""
    shared = uuid("insight")

    def event(clock, state, duration):
        statistics = {"baseline": {"average": 0.0002}, "insight": {"average": 1}}
        statistics |= {"insightDuration": duration, "baselineDuration": 10080}
        attributions = [
            {"attribute": name, "insight": [{"value": value, "average": 1}], "baseline": []}
            for name, value in (("userIdentityArn", ANALYST.arn), ("userAgent", "dynamodb.amazonaws.com"))
        ]
        details = {"state": state, "eventSource": "kms.amazonaws.com", "eventName": "Decrypt"}
        details |= {"insightType": "ApiErrorRateInsight", "errorCode": "AccessDenied"}
        details["insightContext"] = {"statistics": statistics, "attributions": attributions}
        return {
            "eventVersion": "1.09",
            "eventTime": iso(at(clock)),
            "awsRegion": EAST,
            "eventID": uuid("insight" + state),
            "eventType": "AwsCloudTrailInsight",
            "recipientAccountId": OWNER,
            "sharedEventID": shared,
            "insightDetails": details,
            "eventCategory": "Insight",
        }

    pair = [event("11 14:01:00", "Start", 1), event("11 14:07:00", "End", 6)]
    OUT.put(OWNER, EAST, at("11 14:40:00"), pair, "CloudTrail-Insight")


FIRST_DIGEST = at("10 13:58:11")
# Delivered on the 14th, named by the digest of its hour, and not here any more.
LOST_FILE = f"{LOGS}/{OWNER}/CloudTrail/{EAST}/2026/03/14/{OWNER}_CloudTrail_{EAST}_20260314T1527Z_9mKq2Lr7TzXw4Bce.json.gz"


def digests(trail, start, hours, is_of_trail):
    """A digest an hour, each with the hash of the one before. Hashes are those of the inflated files; signatures are of no
    key that anybody has."""
    previous = None
    for hour in range(hours):
        previous = digest(trail, start + timedelta(hours=hour), is_of_trail, previous)


def digest(trail, start, is_of_trail, previous):
    end = start + timedelta(hours=1)
    log_files, times = [], []
    for name, content in sorted(OUT.files.items()):
        stamp = re.search(r"_(\d{8}T\d{4})Z_", name)
        delivered = stamp and datetime.strptime(stamp[1], "%Y%m%dT%H%M").replace(tzinfo=timezone.utc)
        if not delivered or not is_of_trail(name) or not start <= delivered < end:
            continue
        seen = sorted(record["eventTime"] for record in json.loads(content)["Records"]) if content else [iso(delivered)]
        times += seen
        shown = hashlib.sha256(content or name.encode()).hexdigest()
        entry = {"s3Bucket": BUCKET, "s3Object": name, "hashValue": shown}
        entry |= {"hashAlgorithm": "SHA-256", "newestEventTime": seen[-1], "oldestEventTime": seen[0]}
        log_files.append(entry)
    folder = f"{LOGS}/{OWNER}/CloudTrail-Digest/{EAST}/{end:%Y/%m/%d}"
    name = f"{folder}/{OWNER}_CloudTrail-Digest_{EAST}_{trail}_{EAST}_{end:%Y%m%dT%H%M%SZ}.json.gz"
    content = {
        "awsAccountId": OWNER,
        "digestStartTime": iso(start),
        "digestEndTime": iso(end),
        "digestS3Bucket": BUCKET,
        "digestS3Object": name,
        "digestPublicKeyFingerprint": hashlib.sha256(b"public key").hexdigest()[:32],
        "digestSignatureAlgorithm": "SHA256withRSA",
        "newestEventTime": max(times, default=None),
        "oldestEventTime": min(times, default=None),
        "previousDigestS3Bucket": previous and BUCKET,
        "previousDigestS3Object": previous,
        "previousDigestHashValue": previous and hashlib.sha256(OUT.files[previous]).hexdigest(),
        "previousDigestHashAlgorithm": previous and "SHA-256",
        "previousDigestSignature": previous and hashlib.sha512(b"signature of " + previous.encode()).hexdigest() * 4,
        "logFiles": log_files,
    }
    OUT.files[name] = json.dumps(content, separators=(",", ":")).encode()
    return name


def make():
    day_10()
    day_11()
    delivered_twice = day_12()
    day_13()
    late()
    second_change()
    OUT.flush()
    # A second trail writes into the same bucket and has these records too.
    twice = OUT.put(OWNER, EAST, at("12 09:31:00"), delivered_twice)
    insight()
    ledger_is_made()
    operator_gets_in()
    day_14()
    OUT.flush()
    OUT.files[LOST_FILE] = None
    of_management = lambda name: name.startswith(f"{LOGS}/{OWNER}/CloudTrail/{EAST}/") and name != twice
    digests("management-trail", FIRST_DIGEST, 100, of_management)
    digests("security-trail", at("12 08:59:02"), 1, lambda name: name == twice)
    del OUT.files[LOST_FILE]
    return OUT.files


def gzipped(content):
    """A gzip member with nothing in its header that depends on when or where it was made."""
    body = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = body.compress(content) + body.flush()
    return b"\x1f\x8b\x08\x00" + bytes(4) + b"\x02\xff" + packed + struct.pack("<II", zlib.crc32(content), len(content))


# ------------------------------------------------------------------ the numbers, from the files alone


def read_files():
    """Every file under AWSLogs in order of its path, with what its folder says it is."""
    for path in sorted((HERE / LOGS).rglob("*.gz"), key=lambda p: p.as_posix().encode()):
        name = path.relative_to(HERE).as_posix()
        yield name, name.split("/")[2], json.loads(gzip.decompress(path.read_bytes()))


def is_key_use(r):
    """The rule of `--events key-use`, said again and more simply."""
    source, name = r["eventSource"], r["eventName"]
    if source in ("kms.amazonaws.com", "dynamodb.amazonaws.com"):
        return True
    if source.split(".")[0] in ("iam", "organizations", "sso", "cloudtrail") and not r["readOnly"]:
        return True
    if source == "sts.amazonaws.com" and re.match("AssumeRole|AssumeRoot|GetFederationToken|GetSessionToken", name):
        return True
    text = json.dumps([r.get("resources"), r.get("requestParameters"), r.get("errorCode"), r.get("errorMessage")])
    return bool(re.search(r"arn:aws:kms:[^\"]*:(key|alias)/|\bkms:[A-Z*]", text))


def principal_of(r):
    who = r["userIdentity"]
    issuer = who.get("sessionContext", {}).get("sessionIssuer", {}).get("arn")
    if who["type"] == "AWSService":
        return "service:" + who["invokedBy"]
    if who["type"] == "AWSAccount":
        return f"account:{who['accountId']}/{who['principalId'].split(':')[0]}"
    return issuer or who["arn"]


def reason_of(message):
    if "because the resource does not exist" in message:
        return "resource_policy_or_missing"
    kind = re.search(r"(?:no|in an?) (identity-based|resource-based|service control) policy", message)
    return {"identity-based": "identity_policy", "resource-based": "resource_policy", "service control": "scp"}[kind[1]]


def keys_of(r):
    return [x["ARN"] for x in r.get("resources", []) if ":key/" in x["ARN"]]


def table(title, header, rows):
    lines = [f"\n**{title}**\n", "| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def accounting(files):
    """Per filter: records = kept + duplicate + filtered."""
    rows, events, twice = [], {}, collections.Counter()
    for label, passes in (("key-use", is_key_use), ("all", lambda r: True)):
        counts, seen = collections.Counter(), {}
        for name, record in ((n, r) for n, kind, content in files if kind == "CloudTrail" for r in content["Records"]):
            identity = (record["eventID"], record["recipientAccountId"])
            what = "filtered" if not passes(record) else "duplicate" if identity in seen else "kept"
            counts[what] += 1
            if what == "kept":
                seen[identity] = record
            elif what == "duplicate":
                assert seen[identity] == record, "the same identity with other content"
                twice[name.rsplit("/", 1)[1], label] += 1
        rows.append((label, sum(counts.values()), counts["kept"], counts["duplicate"], counts["filtered"], 0, 0))
        events[label] = list(seen.values())
    return rows, events["key-use"], [(*place, n) for place, n in sorted(twice.items())]


def caller_of(r):
    """Caller class, and the service that called; `AWS Internal` shows itself only by what it decrypts."""
    via = r["userIdentity"].get("invokedBy")
    context = (r["requestParameters"] or {}).get("encryptionContext", {})
    if via == "AWS Internal":
        via = "s3" if "aws:s3:arn" in context else "ssm" if "PARAMETER_ARN" in context else ""
        return "forwarded", via
    service = via.removesuffix(".amazonaws.com").removeprefix("fas.") if via else ""
    return "service" if r["userIdentity"]["type"] == "AWSService" else "forwarded" if via else "direct", service


def dynamodb_use(kms_events):
    use, times = collections.Counter(), collections.defaultdict(list)
    for r in kms_events:
        context = (r["requestParameters"] or {}).get("encryptionContext", {})
        is_ddb = (r["userIdentity"].get("invokedBy") or "").endswith("dynamodb.amazonaws.com")
        if is_ddb and "errorCode" not in r and "aws:dynamodb:tableName" in context:
            row = (principal_of(r), context["aws:dynamodb:tableName"], keys_of(r)[0].split("/")[1])
            seconds = datetime.strptime(r["eventTime"] + "+0000", "%Y-%m-%dT%H:%M:%SZ%z").timestamp()
            use[row] += 1
            times[row].append(seconds)

    def windows(moments):
        # A window ends where nothing follows within six minutes.
        moments = sorted(moments)
        return 1 + sum(later - sooner > 360 for sooner, later in zip(moments, moments[1:]))

    return [(*row, calls, windows(times[row])) for row, calls in sorted(use.items())]


def call_of(r):
    return r.get("sharedEventID") or r["eventID"]


def numbers():
    files = list(read_files())
    rows, events, twice = accounting(files)
    kms_events = [r for r in events if r["eventSource"] == "kms.amazonaws.com"]
    count = collections.Counter
    by_folder = count(kind for _, kind, _ in files)
    outcomes = count((r["eventName"], r.get("errorCode", "")) for r in kms_events)
    sources = count(r["eventSource"] for r in events)
    denied = [r for r in kms_events if r.get("errorCode") == "AccessDenied"]
    refusals = count((principal_of(r), r["eventName"], reason_of(r["errorMessage"])) for r in denied)
    echoes = [r for r in events if r["eventSource"].startswith("dynamodb") and "errorCode" in r]
    requests = {r["requestID"] for r in denied}
    joined = sum(re.search("Request ID: ([^;]+)", r["errorMessage"])[1] in requests for r in echoes)
    crypto = re.compile("Decrypt$|Encrypt$|ReEncrypt$|GenerateDataKey")
    successes = [r for r in kms_events if crypto.match(r["eventName"]) and "errorCode" not in r]
    used = {(call_of(r), key.split("/")[1]) for r in successes for key in keys_of(r)}
    last_days = {n: max(r["eventTime"][8:10] for r in c["Records"]) for n, k, c in files if k == "CloudTrail"}
    late_names = [name for name, day in last_days.items() if day < name.split("/")[6]]
    return "\n".join([
        table("Objects by folder", ("folder", "objects"), sorted(by_folder.items())),
        "\nFiles delivered on a later day than all their events: "
        + ", ".join(f"`{n.rsplit('/', 1)[1]}`" for n in late_names) + ".",
        table(
            "Records", ("`--events`", "records", "kept", "duplicate", "filtered", "quarantined", "conflicts"), rows
        ),
        table("Objects that hold records of an earlier object", ("object", "`--events`", "duplicate"), twice),
        table("Events kept under key-use, by source", ("event_source", "events"), sorted(sources.items())),
        f"\nKMS: {len(kms_events)} events of {len({call_of(r) for r in kms_events})} calls.",
        table("KMS events", ("event_name", "error_code", "events"), ((*k, n) for k, n in sorted(outcomes.items()))),
        table(
            "KMS events by caller", ("caller_class", "via_service", "events"),
            ((*k, n) for k, n in sorted(count(map(caller_of, kms_events)).items())),
        ),
        table("KMS calls that used a key (a ReEncrypt uses two)", ("key_id", "calls"), sorted(count(k for _, k in used).items())),
        table("Key use through DynamoDB", ("principal", "table", "key_id", "calls", "windows"), dynamodb_use(kms_events)),
        table(
            "Refusals by KMS", ("principal", "event_name", "denial_reason", "events"),
            ((*k, n) for k, n in sorted(refusals.items())),
        ),
        f"\nDynamoDB's own records of a refusal: {len(echoes)}, of which {joined} name the request of a KMS event.\n",
    ])  # fmt: skip


# ------------------------------------------------------------------ command line


def with_numbers(story):
    before, rest = story.split(NUMBERS_START)
    return before + NUMBERS_START + "\n" + numbers() + "\n" + NUMBERS_END + rest.split(NUMBERS_END)[1]


def write():
    shutil.rmtree(HERE / LOGS, ignore_errors=True)
    for name, content in make().items():
        path = HERE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzipped(content))
    story = HERE / "STORY.md"
    story.write_text(with_numbers(story.read_text()))


def check():
    """Compares inflated bytes: another zlib may pack them differently."""
    found = {p.relative_to(HERE).as_posix(): gzip.decompress(p.read_bytes()) for p in (HERE / LOGS).rglob("*") if p.is_file()}
    expected = make()
    wrong = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
    story = (HERE / "STORY.md").read_text()
    if with_numbers(story) != story:
        wrong.append("STORY.md")
    if wrong:
        sys.exit("differs from what make.py writes: " + ", ".join(wrong))


def main(arguments):
    actions = {(): write, ("--check",): check, ("--numbers",): lambda: print(numbers())}
    action = actions.get(tuple(arguments))
    if action is None:
        sys.exit(__doc__.strip())
    action()


if __name__ == "__main__":
    main(sys.argv[1:])
