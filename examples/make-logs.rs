//! Writes a large, believable tree of CloudTrail logs, for benchmarks and load tests.
//! In: a number of events and a seed. Out: files under OUT/AWSLogs in AWS's own layout; the same bytes on every run.
//! About a fifth of the records bear on keys (KMS, DynamoDB, STS, IAM changes), the rest is what fills real trails.
//! Never reads a clock and never writes into a tree that is already there.
//!
//! ```text
//! cargo run --release --example make-logs -- --events 800000 --out logs
//! ```

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use clap::Parser;
use libdeflater::{CompressionLvl, Compressor};

#[derive(Parser)]
#[command(about = "Write a seeded tree of CloudTrail logs")]
struct Options {
    /// How many records to write, copies of the same event included
    #[arg(long)]
    events: usize,
    /// Folder that will hold AWSLogs
    #[arg(long, default_value = "logs")]
    out: PathBuf,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    accounts: u64,
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=6))]
    regions: u64,
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=365))]
    days: u64,
    /// Days after 2 March 2026 on which the tree begins, so that several trees make one long history
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=36_500))]
    from_day: u64,
    /// Files an hour of each account and region; without it, as many as make 700 records a file
    #[arg(long)]
    objects_per_hour: Option<usize>,
    /// One record per file
    #[arg(long, conflicts_with = "objects_per_hour")]
    tiny: bool,
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let options = Options::parse();
    let top = options.out.join("AWSLogs");
    if top.exists() {
        return Err(format!("`{}` exists already", top.display()).into());
    }
    let plan = Plan::new(&options);
    let written = write_all(&plan, &options.out)?;
    eprintln!(
        "{} records in {} files: {} bytes of JSON, {} bytes of gzip",
        options.events,
        plan.objects(),
        written.plain.into_inner(),
        written.packed.into_inner()
    );
    Ok(())
}

// ---------------------------------------------------------------- chance

/// SplitMix64: every record has a generator of its own, so that any record can be made alone.
struct Chance(u64);

impl Chance {
    fn of(parts: &[u64]) -> Chance {
        let fold = |state: u64, part: &u64| Chance(state ^ part.wrapping_mul(0x9E37_79B9_7F4A_7C15)).next();
        Chance(parts.iter().fold(0x1234_5678_9ABC_DEF0, fold))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// An index of a list whose first entries are met most.
    fn skewed(&mut self, bound: usize) -> usize {
        let unit = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        ((unit * unit * bound as f64) as usize).min(bound - 1)
    }

    fn text(&mut self, length: usize, alphabet: &[u8]) -> String {
        (0..length).map(|_| alphabet[self.below(alphabet.len())] as char).collect()
    }

    fn uuid(&mut self, out: &mut String) {
        let bits = u128::from(self.next()) << 64 | u128::from(self.next());
        let bits = bits & !(0xF << 76 | 0xC << 60) | 0x4 << 76 | 0x8 << 60;
        for (index, shift) in (0..32).rev().enumerate() {
            if [8, 12, 16, 20].contains(&index) {
                out.push('-');
            }
            out.push(HEX[(bits >> (shift * 4)) as usize & 15] as char);
        }
    }

    fn new_uuid(&mut self) -> String {
        let mut text = String::new();
        self.uuid(&mut text);
        text
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// ---------------------------------------------------------------- time

/// Monday, 2 March 2026, in seconds since 1970.
const FIRST_SECOND: u64 = 1_772_409_600;

struct Stamp {
    year: u64,
    month: u64,
    day: u64,
    second: u64,
}

impl Stamp {
    fn of(seconds: u64) -> Stamp {
        // Civil date from a day number, with years that begin in March.
        let days = seconds / 86_400 + 719_468;
        let (era, of_era) = (days / 146_097, days % 146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let shifted = (5 * of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        Stamp {
            year: era * 400 + year + u64::from(month <= 2),
            month,
            day: of_year - (153 * shifted + 2) / 5 + 1,
            second: seconds % 86_400,
        }
    }

    fn push_rfc3339(&self, out: &mut String) {
        let (hour, minute, second) = (self.second / 3_600, self.second / 60 % 60, self.second % 60);
        push_digits(out, self.year, 4);
        for (mark, value) in ['-', '-', 'T', ':', ':'].into_iter().zip([self.month, self.day, hour, minute, second]) {
            out.push(mark);
            push_digits(out, value, 2);
        }
        out.push('Z');
    }
}

fn push_digits(out: &mut String, value: u64, width: u32) {
    for power in (0..width).rev() {
        out.push((b'0' + (value / 10u64.pow(power) % 10) as u8) as char);
    }
}

// ---------------------------------------------------------------- the world

/// A role or a user.
struct Principal {
    is_user: bool,
    id: String,
    name: String,
    arn: String,
    session: String,
    /// The ARN by which error messages name the caller.
    caller_arn: String,
    agent: &'static str,
    address: String,
}

struct Account {
    id: String,
    /// Roles and users that read encrypted tables come first.
    principals: Vec<Principal>,
}

const TABLE_READERS: usize = 13;
const PRINCIPALS: usize = 28;

struct Key {
    arn: String,
    id: String,
    material: String,
}

/// One account in one region: where an object belongs.
struct Lane {
    account: usize,
    region: &'static str,
    keys: Vec<Key>,
    tables: Vec<(String, usize)>,
    buckets: Vec<String>,
    instances: Vec<String>,
    volumes: Vec<String>,
    secrets: Vec<String>,
}

const REGIONS: [&str; 6] = ["us-east-1", "eu-west-1", "us-west-2", "eu-central-1", "ap-southeast-2", "us-east-2"];
const TEAMS: [&str; 8] = ["orders", "billing", "catalog", "search", "payments", "ledger", "identity", "media"];
const JOBS: [&str; 7] = ["api", "worker", "stream", "export", "sync", "batch", "web"];
const AGENTS: [&str; 6] = [
    "aws-sdk-java/2.25.60 md/io#sync md/http#Apache ua/2.0 os/Linux#5.10.233-224.894.amzn2.x86_64 lang/java#17.0.14",
    "Boto3/1.35.99 md/Botocore#1.35.99 ua/2.0 os/linux#6.1.119-129.201.amzn2023.x86_64 lang/python#3.12.8",
    "aws-sdk-js/3.716.0 ua/2.1 os/linux#5.10.230-223.885.amzn2.aarch64 lang/js md/nodejs#20.18.1",
    "aws-sdk-go-v2/1.32.7 ua/2.1 os/linux lang/go#1.23.4 md/GOOS#linux md/GOARCH#amd64 api/kms#1.37.8 m/E",
    "APN/1.0 HashiCorp/1.0 Terraform/1.10.3 (+https://www.terraform.io) terraform-provider-aws/5.82.2",
    "aws-cli/2.22.26 md/awscrt#0.23.4 ua/2.0 os/linux#6.8.0-50-generic md/arch#x86_64 lang/python#3.12.6 md/installer#exe md/prompt#off",
];

impl Account {
    fn new(seed: u64, number: u64) -> Account {
        let mut chance = Chance::of(&[seed, 1, number]);
        let id = format!("{:012}", 100_000_000_000 + chance.below(899_999_999_999) as u64);
        let principals = (0..PRINCIPALS).map(|n| Principal::new(&mut chance, &id, n)).collect();
        Account { id, principals }
    }
}

impl Principal {
    fn new(chance: &mut Chance, account: &str, number: usize) -> Principal {
        let is_user = number % 13 == 12;
        let (team, job) = (TEAMS[number % TEAMS.len()], JOBS[number % JOBS.len()]);
        let name = if is_user { format!("{team}-operator") } else { format!("{team}-{job}-role") };
        let kind = if is_user { "user" } else { "role" };
        let path = if number.is_multiple_of(5) && !is_user { "service/" } else { "" };
        let arn = format!("arn:aws:iam::{account}:{kind}/{path}{name}");
        let session = match number % 3 {
            0 => format!("i-0{}", chance.text(16, HEX)),
            1 => format!("{team}-{job}-function"),
            _ => format!("botocore-session-{}", 1_772_000_000 + chance.below(400_000)),
        };
        let caller_arn = match is_user {
            true => arn.clone(),
            false => format!("arn:aws:sts::{account}:assumed-role/{name}/{session}"),
        };
        Principal {
            is_user,
            id: format!("{}{}", if is_user { "AIDA" } else { "AROA" }, chance.text(17, BASE32)),
            name,
            arn,
            session,
            caller_arn,
            agent: AGENTS[if is_user { 5 } else { number % 5 }],
            address: format!("10.{}.{}.{}", chance.below(4), chance.below(256), chance.below(256)),
        }
    }
}

impl Lane {
    fn new(seed: u64, number: u64, account: usize, account_id: &str, region: &'static str) -> Lane {
        let mut chance = Chance::of(&[seed, 2, number]);
        let key = |chance: &mut Chance| {
            let id = chance.new_uuid();
            Key { arn: format!("arn:aws:kms:{region}:{account_id}:key/{id}"), id, material: chance.text(64, HEX) }
        };
        let keys = (0..10).map(|_| key(&mut chance)).collect();
        let table = |n: usize| (format!("{}-{}", TEAMS[n % 8], ["events", "state", "index"][n % 3]), n % 5);
        let secret = |n: usize, chance: &mut Chance| {
            let name = format!("{}/{}", TEAMS[n % 8], ["database", "api-token"][n % 2]);
            format!("arn:aws:secretsmanager:{region}:{account_id}:secret:{name}-{}", chance.text(6, BASE64_LETTERS))
        };
        Lane {
            account,
            region,
            keys,
            tables: (0..16).map(table).collect(),
            buckets: (0..12).map(|n| format!("{}-data-{account_id}-{region}-{}", TEAMS[n % 8], n / 8)).collect(),
            instances: (0..60).map(|_| format!("i-0{}", chance.text(16, HEX))).collect(),
            volumes: (0..60).map(|_| format!("vol-0{}", chance.text(16, HEX))).collect(),
            secrets: (0..10).map(|n| secret(n, &mut chance)).collect(),
        }
    }
}

const BASE64_LETTERS: &[u8] = BASE64.split_at(52).0;

// ---------------------------------------------------------------- the events

/// Who makes a call, and how.
#[derive(Clone, Copy)]
enum Who {
    /// A principal, from its own machine.
    Direct,
    /// A principal that may read tables, through DynamoDB.
    TableReader,
    /// A principal, through a service.
    Through(&'static str),
    /// A service by itself.
    Service(&'static str),
}

/// One kind of event. Texts are templates: what stands in `<>` is filled in. An empty text is left out.
#[derive(Clone, Copy)]
struct Shape {
    weight: u32,
    service: &'static str,
    name: &'static str,
    who: Who,
    read_only: bool,
    data: bool,
    error: (&'static str, &'static str),
    request: &'static str,
    response: &'static str,
    additional: &'static str,
    resources: &'static str,
}

const fn reads(weight: u32, service: &'static str, name: &'static str, who: Who, request: &'static str) -> Shape {
    Shape {
        weight,
        service,
        name,
        who,
        read_only: true,
        data: false,
        error: ("", ""),
        request,
        response: "null",
        additional: "",
        resources: "",
    }
}

const fn changes(weight: u32, service: &'static str, name: &'static str, who: Who, request: &'static str) -> Shape {
    Shape { read_only: false, ..reads(weight, service, name, who, request) }
}

const fn of_key(weight: u32, name: &'static str, who: Who, request: &'static str) -> Shape {
    Shape {
        additional: r#"{"keyMaterialId":"<material>"}"#,
        resources: r#"[{"accountId":"<account>","type":"AWS::KMS::Key","ARN":"<key>"}]"#,
        ..reads(weight, "kms", name, who, request)
    }
}

const fn of_table_key(weight: u32, name: &'static str, request: &'static str) -> Shape {
    Shape {
        additional: r#"{"keyMaterialId":"<table-material>"}"#,
        resources: r#"[{"accountId":"<account>","type":"AWS::KMS::Key","ARN":"<table-key>"}]"#,
        ..reads(weight, "kms", name, Who::TableReader, request)
    }
}

/// A refused or failed call to KMS: it names neither its parameters nor its key, except in the message.
const fn fails(weight: u32, name: &'static str, who: Who, error: (&'static str, &'static str)) -> Shape {
    Shape { error, ..reads(weight, "kms", name, who, "null") }
}

const TABLE_CONTEXT: &str = r#"{"encryptionContext":{"aws:dynamodb:tableName":"<table>","aws:dynamodb:subscriberId":"<account>"},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}"#;
const S3_CONTEXT: &str = r#"{"encryptionContext":{"aws:s3:arn":"arn:aws:s3:::<bucket>/<object>"},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}"#;
const OWN_CONTEXT: &str = r#"{"keyId":"<key>","encryptionContext":{"tenant":"<team>","purpose":"field-encryption"},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}"#;

const RUNNING_OF_TEAM: &str = r#"{"maxResults":1000,"instancesSet":{},"filterSet":{"items":[{"name":"instance-state-name","valueSet":{"items":[{"value":"running"},{"value":"pending"}]}},{"name":"tag:team","valueSet":{"items":[{"value":"<team>"}]}}]}}"#;

/// Weights count against each other.
const SHAPES: &[Shape] = &[
    // KMS through DynamoDB, for a principal.
    of_table_key(460, "Decrypt", TABLE_CONTEXT),
    of_table_key(
        6,
        "GenerateDataKey",
        r#"{"keyId":"<table-key>","keySpec":"AES_256","encryptionContext":{"aws:dynamodb:tableName":"<table>","aws:dynamodb:subscriberId":"<account>"}}"#,
    ),
    fails(
        8,
        "Decrypt",
        Who::TableReader,
        (
            "AccessDenied",
            "User: <caller> is not authorized to perform: kms:Decrypt on resource: <table-key> because no identity-based policy allows the kms:Decrypt action",
        ),
    ),
    fails(
        5,
        "Decrypt",
        Who::TableReader,
        (
            "AccessDenied",
            "User: <caller> is not authorized to perform: kms:Decrypt on the resource associated with this ciphertext because no resource-based policy allows the kms:Decrypt action",
        ),
    ),
    fails(
        2,
        "Decrypt",
        Who::TableReader,
        (
            "AccessDenied",
            "User: <caller> is not authorized to perform: kms:Decrypt on resource: <table-key> with an explicit deny in a service control policy",
        ),
    ),
    Shape { error: ("DisabledException", "<table-key> is disabled."), ..of_table_key(2, "Decrypt", TABLE_CONTEXT) },
    // KMS through other services, and by them.
    of_key(240, "Decrypt", Who::Through("AWS Internal"), S3_CONTEXT),
    of_key(80, "Decrypt", Who::Through("fas.s3.amazonaws.com"), S3_CONTEXT),
    of_key(
        70,
        "GenerateDataKey",
        Who::Through("fas.s3.amazonaws.com"),
        r#"{"keySpec":"AES_256","encryptionContext":{"aws:s3:arn":"arn:aws:s3:::<bucket>/<object>"},"keyId":"<key>"}"#,
    ),
    of_key(
        80,
        "Decrypt",
        Who::Through("ssm.amazonaws.com"),
        r#"{"encryptionContext":{"PARAMETER_ARN":"arn:aws:ssm:<region>:<account>:parameter/<team>/<job>/password"},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}"#,
    ),
    of_key(
        90,
        "Decrypt",
        Who::Through("secretsmanager.amazonaws.com"),
        r#"{"encryptionContext":{"SecretARN":"<secret>","SecretVersionId":"<uuid>"},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}"#,
    ),
    of_key(
        20,
        "Decrypt",
        Who::Through("lambda.amazonaws.com"),
        r#"{"encryptionContext":{"aws:lambda:FunctionArn":"arn:aws:lambda:<region>:<account>:function:<team>-<job>-function"},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}"#,
    ),
    of_key(
        50,
        "Decrypt",
        Who::Direct,
        r#"{"encryptionContext":{"aws:lambda:FunctionArn":"arn:aws:lambda:<region>:<account>:function:<team>-<job>-function"},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}"#,
    ),
    of_key(
        110,
        "GenerateDataKey",
        Who::Service("cloudtrail.amazonaws.com"),
        r#"{"keySpec":"AES_256","encryptionContext":{"aws:cloudtrail:arn":"arn:aws:cloudtrail:<region>:<account>:trail/main","aws:s3:arn":"arn:aws:s3:::trail-<account>/AWSLogs/<account>/CloudTrail/<region>/<object>"},"keyId":"<key>"}"#,
    ),
    of_key(
        30,
        "GenerateDataKey",
        Who::Service("sqs.amazonaws.com"),
        r#"{"keySpec":"AES_256","encryptionContext":{"aws:sqs:arn":"arn:aws:sqs:<region>:<account>:<team>-<job>"},"keyId":"<key>"}"#,
    ),
    Shape {
        read_only: false,
        additional: "",
        response: r#"{"grantId":"<hex64>","keyId":"<key>"}"#,
        ..of_key(
            4,
            "CreateGrant",
            Who::Through("ec2.amazonaws.com"),
            r#"{"keyId":"<key>","granteePrincipal":"arn:aws:sts::<account>:assumed-role/aws:ec2-infrastructure/<instance>","operations":["Decrypt"],"constraints":{"encryptionContextSubset":{"aws:ebs:id":"<volume>"}}}"#,
        )
    },
    // KMS called by principals themselves.
    of_key(55, "Encrypt", Who::Direct, OWN_CONTEXT),
    of_key(90, "Decrypt", Who::Direct, OWN_CONTEXT),
    of_key(
        25,
        "GenerateDataKey",
        Who::Direct,
        r#"{"keyId":"alias/<team>","keySpec":"AES_256","encryptionContext":{"tenant":"<team>"}}"#,
    ),
    Shape { additional: "", ..of_key(25, "DescribeKey", Who::Direct, r#"{"keyId":"<key-id>"}"#) },
    reads(15, "kms", "ListAliases", Who::Direct, r#"{"limit":100}"#),
    fails(
        8,
        "Decrypt",
        Who::Direct,
        (
            "AccessDenied",
            "User: <caller> is not authorized to perform: kms:Decrypt on resource: <key> because no resource-based policy allows the kms:Decrypt action",
        ),
    ),
    fails(
        5,
        "GenerateDataKey",
        Who::Direct,
        (
            "AccessDenied",
            "User: <caller> is not authorized to perform: kms:GenerateDataKey on resource: <key> because no identity-based policy allows the kms:GenerateDataKey action",
        ),
    ),
    fails(
        3,
        "Encrypt",
        Who::Direct,
        (
            "AccessDenied",
            "User: <caller> is not authorized to perform: kms:Encrypt on resource: <key> with an explicit deny in a resource-based policy",
        ),
    ),
    fails(
        2,
        "Decrypt",
        Who::Through("lambda.amazonaws.com"),
        (
            "AccessDenied",
            "User: <caller> is not authorized to perform: kms:Decrypt on the resource associated with this ciphertext because no identity-based policy allows the kms:Decrypt action",
        ),
    ),
    fails(
        4,
        "DescribeKey",
        Who::Direct,
        ("NotFoundException", "Key 'arn:aws:kms:<region>:<account>:key/<uuid>' does not exist"),
    ),
    fails(
        2,
        "Decrypt",
        Who::Direct,
        (
            "ThrottlingException",
            "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.",
        ),
    ),
    Shape { error: ("DisabledException", "<key> is disabled."), ..of_key(3, "Encrypt", Who::Direct, OWN_CONTEXT) },
    // DynamoDB.
    Shape {
        data: true,
        resources: r#"[{"accountId":"<account>","type":"AWS::DynamoDB::Table","ARN":"arn:aws:dynamodb:<region>:<account>:table/<table>"}]"#,
        ..reads(
            120,
            "dynamodb",
            "GetItem",
            Who::Direct,
            r#"{"tableName":"<table>","key":{"pk":"<team>#<number>"},"consistentRead":false}"#,
        )
    },
    reads(90, "dynamodb", "DescribeTable", Who::Direct, r#"{"tableName":"<table>"}"#),
    reads(20, "dynamodb", "ListTables", Who::Direct, r#"{"limit":100}"#),
    Shape {
        response: r#"{"tableDescription":{"tableName":"<table>","tableStatus":"UPDATING","tableArn":"arn:aws:dynamodb:<region>:<account>:table/<table>","sSEDescription":{"status":"ENABLED","sSEType":"KMS","kMSMasterKeyArn":"<table-key>"}}}"#,
        ..changes(
            1,
            "dynamodb",
            "UpdateTable",
            Who::Direct,
            r#"{"tableName":"<table>","sSESpecification":{"enabled":true,"sSEType":"KMS","kMSMasterKeyId":"<table-key>"}}"#,
        )
    },
    // STS and IAM.
    Shape {
        response: r#"{"credentials":{"accessKeyId":"ASIA<base32>","sessionToken":"<token>","expiration":"Mar 2, 2026, 4:53:28 PM"},"assumedRoleUser":{"assumedRoleId":"<principal-id>:<session>","arn":"<caller>"}}"#,
        resources: r#"[{"accountId":"<account>","type":"AWS::IAM::Role","ARN":"<principal>"}]"#,
        ..reads(
            130,
            "sts",
            "AssumeRole",
            Who::Service("lambda.amazonaws.com"),
            r#"{"roleArn":"<principal>","roleSessionName":"<session>"}"#,
        )
    },
    Shape {
        response: r#"{"credentials":{"accessKeyId":"ASIA<base32>","sessionToken":"<token>","expiration":"Mar 2, 2026, 9:12:40 PM"}}"#,
        resources: r#"[{"accountId":"<account>","type":"AWS::IAM::Role","ARN":"<principal>"}]"#,
        ..reads(
            170,
            "sts",
            "AssumeRole",
            Who::Service("ec2.amazonaws.com"),
            r#"{"roleArn":"<principal>","roleSessionName":"<instance>","durationSeconds":21600}"#,
        )
    },
    reads(120, "sts", "GetCallerIdentity", Who::Direct, "null"),
    changes(
        8,
        "iam",
        "PutRolePolicy",
        Who::Direct,
        r#"{"roleName":"<team>-<job>-role","policyName":"inline","policyDocument":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"s3:GetObject\"],\"Resource\":\"arn:aws:s3:::<bucket>/*\"}]}"}"#,
    ),
    changes(
        7,
        "iam",
        "TagRole",
        Who::Direct,
        r#"{"roleName":"<team>-<job>-role","tags":[{"key":"owner","value":"<team>"}]}"#,
    ),
    reads(120, "iam", "GetRole", Who::Direct, r#"{"roleName":"<team>-<job>-role"}"#),
    reads(60, "iam", "ListAttachedRolePolicies", Who::Direct, r#"{"roleName":"<team>-<job>-role"}"#),
    // What fills a trail.
    reads(500, "ec2", "DescribeInstances", Who::Direct, RUNNING_OF_TEAM),
    reads(400, "ec2", "DescribeInstances", Who::Through("autoscaling.amazonaws.com"), RUNNING_OF_TEAM),
    reads(
        420,
        "ec2",
        "DescribeTags",
        Who::Through("eks.amazonaws.com"),
        r#"{"maxResults":500,"filterSet":{"items":[{"name":"resource-type","valueSet":{"items":[{"value":"instance"}]}},{"name":"resource-id","valueSet":{"items":[{"value":"<instance>"}]}}]}}"#,
    ),
    reads(
        380,
        "ec2",
        "DescribeVolumes",
        Who::Direct,
        r#"{"volumeSet":{"items":[{"volumeId":"<volume>"}]},"filterSet":{"items":[{"name":"attachment.instance-id","valueSet":{"items":[{"value":"<instance>"}]}}]}}"#,
    ),
    reads(
        360,
        "ec2",
        "DescribeNetworkInterfaces",
        Who::Through("elasticloadbalancing.amazonaws.com"),
        r#"{"networkInterfaceIdSet":{},"filterSet":{"items":[{"name":"description","valueSet":{"items":[{"value":"ELB app/<team>-<job>/*"}]}}]}}"#,
    ),
    reads(
        240,
        "ec2",
        "DescribeSecurityGroups",
        Who::Through("config.amazonaws.com"),
        r#"{"maxResults":200,"securityGroupSet":{},"securityGroupIdSet":{},"filterSet":{"items":[{"name":"group-name","valueSet":{"items":[{"value":"<team>-<job>"}]}}]}}"#,
    ),
    Shape {
        error: (
            "Client.UnauthorizedOperation",
            "You are not authorized to perform this operation. User: <caller> is not authorized to perform: ec2:DescribeSnapshots because no identity-based policy allows the ec2:DescribeSnapshots action",
        ),
        ..reads(20, "ec2", "DescribeSnapshots", Who::Direct, r#"{"maxResults":200,"snapshotSet":{}}"#)
    },
    Shape {
        data: true,
        additional: r#"{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":0,"SSEApplied":"SSE_KMS","AuthenticationMethod":"AuthHeader","bytesTransferredOut":<number>}"#,
        resources: r#"[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::<bucket>/<object>"},{"accountId":"<account>","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::<bucket>"}]"#,
        ..reads(
            850,
            "s3",
            "GetObject",
            Who::Direct,
            r#"{"bucketName":"<bucket>","Host":"<bucket>.s3.<region>.amazonaws.com","key":"<object>"}"#,
        )
    },
    Shape {
        additional: r#"{"SignatureVersion":"SigV4","CipherSuite":"ECDHE-RSA-AES128-GCM-SHA256","bytesTransferredIn":0,"AuthenticationMethod":"AuthHeader","bytesTransferredOut":480}"#,
        resources: r#"[{"accountId":"<account>","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::<bucket>"}]"#,
        ..reads(
            340,
            "s3",
            "GetBucketAcl",
            Who::Service("cloudtrail.amazonaws.com"),
            r#"{"bucketName":"<bucket>","Host":"<bucket>.s3.<region>.amazonaws.com","acl":""}"#,
        )
    },
    Shape {
        data: true,
        response: r#"{"x-amz-server-side-encryption":"AES256"}"#,
        additional: r#"{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":<number>,"AuthenticationMethod":"AuthHeader","bytesTransferredOut":0}"#,
        resources: r#"[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::<bucket>/<object>"},{"accountId":"<account>","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::<bucket>"}]"#,
        ..changes(
            280,
            "s3",
            "PutObject",
            Who::Direct,
            r#"{"bucketName":"<bucket>","Host":"<bucket>.s3.<region>.amazonaws.com","key":"<object>","x-amz-server-side-encryption":"AES256"}"#,
        )
    },
    changes(
        380,
        "logs",
        "CreateLogStream",
        Who::Direct,
        r#"{"logGroupName":"/aws/lambda/<team>-<job>-function","logStreamName":"2026/03/02/[$LATEST]<hex32>"}"#,
    ),
    reads(
        260,
        "logs",
        "DescribeLogGroups",
        Who::Through("config.amazonaws.com"),
        r#"{"logGroupNamePrefix":"/aws/lambda/<team>","limit":50}"#,
    ),
    reads(
        300,
        "lambda",
        "GetFunction20150331v2",
        Who::Through("config.amazonaws.com"),
        r#"{"functionName":"arn:aws:lambda:<region>:<account>:function:<team>-<job>-function"}"#,
    ),
    reads(170, "lambda", "ListFunctions20150331", Who::Direct, r#"{"maxItems":50,"functionVersion":"ALL"}"#),
    reads(
        300,
        "ssm",
        "GetParametersByPath",
        Who::Through("ecs.amazonaws.com"),
        r#"{"path":"/<team>/<job>/","recursive":true,"withDecryption":false,"maxResults":10}"#,
    ),
    changes(
        420,
        "ssm",
        "UpdateInstanceInformation",
        Who::Direct,
        r#"{"instanceId":"<instance>","agentVersion":"3.3.1611.0","agentStatus":"Active","platformType":"Linux","platformName":"Amazon Linux","platformVersion":"2023","iPAddress":"<address>","computerName":"ip-10-0-<octet>-<octet>.<region>.compute.internal","agentName":"amazon-ssm-agent"}"#,
    ),
    reads(
        280,
        "autoscaling",
        "DescribeAutoScalingGroups",
        Who::Direct,
        r#"{"autoScalingGroupNames":["<team>-<job>-asg"],"maxRecords":100}"#,
    ),
    reads(
        120,
        "autoscaling",
        "DescribeScalingActivities",
        Who::Direct,
        r#"{"autoScalingGroupName":"<team>-<job>-asg","maxRecords":100}"#,
    ),
    reads(
        380,
        "config",
        "DescribeConfigRuleEvaluationStatus",
        Who::Through("config.amazonaws.com"),
        r#"{"configRuleNames":["securityhub-<team>-encryption-<hex8>"]}"#,
    ),
    Shape {
        additional: r#"{"configRuleInputParameters":"{}","configRuleArn":"arn:aws:config:<region>:<account>:config-rule/aws-service-rule/securityhub.amazonaws.com/config-rule-<hex8>","notificationCreationTime":"<time>"}"#,
        ..changes(
            260,
            "config",
            "PutEvaluations",
            Who::Through("config.amazonaws.com"),
            r#"{"evaluations":[{"complianceResourceType":"AWS::EC2::Instance","complianceResourceId":"<instance>","complianceType":"COMPLIANT","orderingTimestamp":"<time>"}],"resultToken":"<hex32>","testMode":false}"#,
        )
    },
    reads(
        420,
        "monitoring",
        "DescribeAlarms",
        Who::Through("autoscaling.amazonaws.com"),
        r#"{"alarmNamePrefix":"<team>-<job>","maxRecords":100}"#,
    ),
    reads(
        300,
        "monitoring",
        "GetMetricData",
        Who::Direct,
        r#"{"startTime":"<time>","endTime":"<time>","scanBy":"TimestampDescending","metricDataQueries":[{"id":"m1","metricStat":{"metric":{"namespace":"AWS/EC2","metricName":"CPUUtilization","dimensions":[{"name":"InstanceId","value":"<instance>"}]},"period":300,"stat":"Average"},"returnData":true}]}"#,
    ),
    reads(
        380,
        "elasticloadbalancing",
        "DescribeTargetHealth",
        Who::Through("ecs.amazonaws.com"),
        r#"{"targetGroupArn":"arn:aws:elasticloadbalancing:<region>:<account>:targetgroup/<team>-<job>/<hex16>"}"#,
    ),
    reads(
        200,
        "ecr",
        "BatchGetImage",
        Who::Direct,
        r#"{"registryId":"<account>","repositoryName":"<team>/<job>","imageIds":[{"imageTag":"release-<octet>"}],"acceptedMediaTypes":["application/vnd.docker.distribution.manifest.v2+json","application/vnd.oci.image.manifest.v1+json"]}"#,
    ),
    reads(
        180,
        "ecs",
        "DescribeTasks",
        Who::Direct,
        r#"{"cluster":"<team>","tasks":["arn:aws:ecs:<region>:<account>:task/<team>/<hex32>"],"include":["TAGS"]}"#,
    ),
];

// ---------------------------------------------------------------- one record

#[derive(Clone, Copy)]
enum Piece {
    Text(&'static str),
    Slot(&'static str),
}

fn pieces(template: &'static str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (number, part) in template.split('<').enumerate() {
        let text = match part.split_once('>') {
            Some((slot, text)) if number > 0 => {
                pieces.push(Piece::Slot(slot));
                text
            }
            _ => part,
        };
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
    }
    pieces
}

/// A `Shape` with its templates taken apart.
struct Form {
    shape: Shape,
    message: Vec<Piece>,
    request: Vec<Piece>,
    response: Vec<Piece>,
    additional: Vec<Piece>,
    resources: Vec<Piece>,
}

/// What one record speaks of, chosen once so that all its fields agree.
struct Subject<'a> {
    account: &'a Account,
    lane: &'a Lane,
    principal: &'a Principal,
    key: &'a Key,
    table: &'a str,
    table_key: &'a Key,
    bucket: &'a str,
    instance: &'a str,
    volume: &'a str,
    secret: &'a str,
    team: &'static str,
    job: &'static str,
    object: String,
    seconds: u64,
    chance: Chance,
}

impl Subject<'_> {
    fn fill(&mut self, pieces: &[Piece], out: &mut String) {
        for piece in pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Slot(slot) => self.slot(slot, out),
            }
        }
    }

    fn slot(&mut self, slot: &str, out: &mut String) {
        let text: &str = match slot {
            "account" => &self.account.id,
            "region" => self.lane.region,
            "key" => &self.key.arn,
            "key-id" => &self.key.id,
            "material" => &self.key.material,
            "table" => self.table,
            "table-key" => &self.table_key.arn,
            "table-material" => &self.table_key.material,
            "bucket" => self.bucket,
            "object" => &self.object,
            "instance" => self.instance,
            "volume" => self.volume,
            "secret" => self.secret,
            "team" => self.team,
            "job" => self.job,
            "caller" => &self.principal.caller_arn,
            "principal" => &self.principal.arn,
            "principal-id" => &self.principal.id,
            "session" => &self.principal.session,
            "address" => &self.principal.address,
            _ => return self.random_slot(slot, out),
        };
        out.push_str(text);
    }

    fn random_slot(&mut self, slot: &str, out: &mut String) {
        let (length, alphabet): (usize, &[u8]) = match slot {
            "uuid" => return self.chance.uuid(out),
            "time" => return Stamp::of(self.seconds).push_rfc3339(out),
            "octet" => return out.push_str(&self.chance.below(256).to_string()),
            "number" => return out.push_str(&self.chance.skewed(1_000_000).to_string()),
            "hex8" => (8, HEX),
            "hex16" => (16, HEX),
            "hex32" => (32, HEX),
            "hex64" => (64, HEX),
            "base32" => (16, BASE32),
            "token" => (400, BASE64),
            _ => unreachable!("no template has a slot `{slot}`"),
        };
        out.push_str(&self.chance.text(length, alphabet));
    }

    /// Sessions last an hour; credentials that a service forwards are others than the principal's own.
    fn push_session(&self, through: &str, out: &mut String) {
        let who = self.principal;
        let offset = Chance::of(&[who.id.as_bytes()[8].into(), who.id.as_bytes()[12].into()]).next() % 3_600;
        let started = self.seconds - (self.seconds + offset) % 3_600;
        let id = who.id.bytes().fold(0u64, |hash, byte| hash.wrapping_mul(131).wrapping_add(byte.into()));
        let mut chance = Chance::of(&[id, started, through.len() as u64]);
        out.push_str(r#","accessKeyId":"ASIA"#);
        out.push_str(&chance.text(16, BASE32));
        if who.is_user {
            push_all(out, &["\",\"userName\":\"", &who.name]);
        }
        out.push_str(r#"","sessionContext":{"sessionIssuer":{"#);
        if !who.is_user {
            push_all(out, &[r#""type":"Role","principalId":""#, &who.id, r#"","arn":""#, &who.arn]);
            push_all(out, &[r#"","accountId":""#, &self.account.id, r#"","userName":""#, &who.name, "\""]);
        }
        out.push_str(r#"},"attributes":{"creationDate":""#);
        Stamp::of(started).push_rfc3339(out);
        out.push_str(r#"","mfaAuthenticated":"false"}"#);
        if who.session.starts_with("i-") && !who.is_user {
            out.push_str(r#","ec2RoleDelivery":"2.0""#);
        }
        out.push('}');
    }

    fn push_identity(&self, who: Who, out: &mut String) {
        let service = match who {
            Who::Service(service) => {
                return push_all(out, &[r#"{"type":"AWSService","invokedBy":""#, service, "\"}"]);
            }
            Who::TableReader => "dynamodb.amazonaws.com",
            Who::Through(service) => service,
            Who::Direct => "",
        };
        let principal = self.principal;
        if principal.is_user {
            push_all(out, &[r#"{"type":"IAMUser","principalId":""#, &principal.id]);
        } else {
            push_all(out, &[r#"{"type":"AssumedRole","principalId":""#, &principal.id, ":", &principal.session]);
        }
        push_all(out, &[r#"","arn":""#, &principal.caller_arn, r#"","accountId":""#, &self.account.id, "\""]);
        if principal.is_user && service.is_empty() {
            push_all(
                out,
                &[r#","accessKeyId":"AKIA"#, &principal.id[4..20], r#"","userName":""#, &principal.name, "\""],
            );
        } else {
            self.push_session(service, out);
        }
        if !service.is_empty() {
            push_all(out, &[r#","invokedBy":""#, service, "\""]);
        }
        out.push('}');
    }

    fn push_record(&mut self, form: &Form, out: &mut String) {
        let shape = &form.shape;
        push_all(out, &[r#"{"eventVersion":""#, version(shape.service), r#"","userIdentity":"#]);
        self.push_identity(shape.who, out);
        out.push_str(r#","eventTime":""#);
        Stamp::of(self.seconds).push_rfc3339(out);
        push_all(out, &[r#"","eventSource":""#, shape.service, r#".amazonaws.com","eventName":""#, shape.name]);
        let (address, agent) = match shape.who {
            Who::Service(service) | Who::Through(service) => (service, service),
            Who::TableReader => ("dynamodb.amazonaws.com", "dynamodb.amazonaws.com"),
            Who::Direct => (self.principal.address.as_str(), self.principal.agent),
        };
        push_all(out, &[r#"","awsRegion":""#, self.lane.region, r#"","sourceIPAddress":""#, address]);
        push_all(out, &[r#"","userAgent":""#, agent, "\""]);
        if !shape.error.0.is_empty() {
            push_all(out, &[r#","errorCode":""#, shape.error.0, r#"","errorMessage":""#]);
            self.fill(&form.message, out);
            out.push('"');
        }
        let parts = [
            ("requestParameters", &form.request),
            ("responseElements", &form.response),
            ("additionalEventData", &form.additional),
        ];
        for (name, pieces) in parts.into_iter().filter(|(_, pieces)| !pieces.is_empty()) {
            push_all(out, &[",\"", name, "\":"]);
            self.fill(pieces, out);
        }
        self.push_tail(form, out);
    }

    fn push_tail(&mut self, form: &Form, out: &mut String) {
        let shape = &form.shape;
        let flag = |value: bool| if value { "true" } else { "false" };
        out.push_str(r#","requestID":""#);
        self.chance.uuid(out);
        out.push_str(r#"","eventID":""#);
        self.chance.uuid(out);
        push_all(out, &[r#"","readOnly":"#, flag(shape.read_only)]);
        if !form.resources.is_empty() {
            out.push_str(r#","resources":"#);
            self.fill(&form.resources, out);
        }
        push_all(out, &[r#","eventType":"AwsApiCall","managementEvent":"#, flag(!shape.data)]);
        push_all(out, &[r#","recipientAccountId":""#, &self.account.id, "\""]);
        if matches!(shape.who, Who::Service(_)) {
            out.push_str(r#","sharedEventID":""#);
            self.chance.uuid(out);
            out.push('"');
        }
        push_all(out, &[r#","eventCategory":""#, if shape.data { "Data" } else { "Management" }, "\""]);
        if matches!(shape.who, Who::Direct) {
            out.push_str(r#","tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","#);
            push_all(out, &[r#""clientProvidedHostHeader":""#, shape.service, ".", self.lane.region]);
            out.push_str(r#".amazonaws.com"}"#);
        }
        out.push('}');
    }
}

fn push_all(out: &mut String, parts: &[&str]) {
    for part in parts {
        out.push_str(part);
    }
}

fn version(service: &str) -> &'static str {
    match service {
        "kms" | "lambda" | "dynamodb" => "1.11",
        "ec2" | "s3" | "config" => "1.10",
        "sts" | "iam" => "1.08",
        _ => "1.09",
    }
}

// ---------------------------------------------------------------- the objects

/// What to write, fully decided by the options: any object can be made without the others.
struct Plan {
    seed: u64,
    first_second: u64,
    seconds: u64,
    accounts: Vec<Account>,
    lanes: Vec<Lane>,
    forms: Vec<Form>,
    /// Each form as often as it weighs.
    lots: Vec<u16>,
    /// Object n holds the records from the nth to the next of these.
    starts: Vec<usize>,
}

/// One copy of 200 is a second delivery of an earlier record of the same account and region.
const COPY_ODDS: usize = 200;

impl Plan {
    fn new(options: &Options) -> Plan {
        let accounts: Vec<_> = (0..options.accounts).map(|n| Account::new(options.seed, n)).collect();
        let mut lanes = Vec::new();
        for (number, account) in accounts.iter().enumerate() {
            for region in &REGIONS[..options.regions as usize] {
                lanes.push(Lane::new(options.seed, lanes.len() as u64, number, &account.id, region));
            }
        }
        let form = |shape: &Shape| Form {
            shape: *shape,
            message: pieces(shape.error.1),
            request: pieces(shape.request),
            response: pieces(shape.response),
            additional: pieces(shape.additional),
            resources: pieces(shape.resources),
        };
        let lots = SHAPES.iter().enumerate();
        let objects = match options.objects_per_hour {
            Some(per_hour) => (lanes.len() * options.days as usize * 24 * per_hour).clamp(1, options.events.max(1)),
            None if options.tiny => options.events,
            None => options.events.div_ceil(700),
        };
        Plan {
            seed: options.seed,
            first_second: FIRST_SECOND + options.from_day * 86_400,
            seconds: options.days * 86_400,
            accounts,
            lanes,
            forms: SHAPES.iter().map(form).collect(),
            lots: lots.flat_map(|(n, shape)| vec![n as u16; shape.weight as usize]).collect(),
            starts: shares(options.seed, options.events, objects),
        }
    }

    fn objects(&self) -> usize {
        self.starts.len() - 1
    }

    /// First second and length of the time that an object tells of. CloudTrail delivers about every five minutes.
    fn window(&self, object: usize) -> (u64, u64) {
        let of_lane = self.objects().div_ceil(self.lanes.len()) as u64;
        let turn = (object / self.lanes.len()) as u64;
        (self.first_second + self.seconds * turn / of_lane, (self.seconds / of_lane).clamp(1, 300))
    }

    /// Which record stands in a place: mostly the place's own, sometimes one that another file has already delivered.
    fn source(&self, object: usize, index: usize) -> (usize, usize) {
        if !self.is_copy(object, index) {
            return (object, index);
        }
        let earlier = object - self.lanes.len();
        let records = self.starts[earlier + 1] - self.starts[earlier];
        let first = Chance::of(&[self.seed, 5, object as u64, index as u64]).below(records.max(1));
        let places = (0..records).map(|step| (earlier, (first + step) % records));
        places.into_iter().find(|(object, index)| !self.is_copy(*object, *index)).unwrap_or((object, index))
    }

    fn is_copy(&self, object: usize, index: usize) -> bool {
        object >= self.lanes.len() && Chance::of(&[self.seed, 4, object as u64, index as u64]).below(COPY_ODDS) == 0
    }

    fn push_record(&self, object: usize, index: usize, out: &mut String) {
        let mut chance = Chance::of(&[self.seed, 3, object as u64, index as u64]);
        let lane = &self.lanes[object % self.lanes.len()];
        let account = &self.accounts[lane.account];
        let form = &self.forms[self.lots[chance.below(self.lots.len())] as usize];
        let principals = match form.shape.who {
            Who::TableReader => &account.principals[..TABLE_READERS],
            // What a service assumes is a role, and the last of the table's readers is a user.
            Who::Service(_) => &account.principals[..TABLE_READERS - 1],
            _ => &account.principals[..],
        };
        let (start, length) = self.window(object);
        let team = chance.below(TEAMS.len());
        let (table, table_key) = &lane.tables[chance.skewed(lane.tables.len())];
        let day = Stamp::of(start).day;
        let mut subject = Subject {
            account,
            lane,
            principal: &principals[chance.skewed(principals.len())],
            key: &lane.keys[chance.skewed(lane.keys.len())],
            table,
            table_key: &lane.keys[*table_key],
            bucket: &lane.buckets[chance.skewed(lane.buckets.len())],
            instance: &lane.instances[chance.skewed(lane.instances.len())],
            volume: &lane.volumes[chance.skewed(lane.volumes.len())],
            secret: &lane.secrets[chance.skewed(lane.secrets.len())],
            team: TEAMS[team],
            job: JOBS[chance.below(JOBS.len())],
            object: format!("{}/2026/03/{day:02}/part-{:05}.parquet", TEAMS[team], chance.skewed(4_000)),
            seconds: start + chance.below(length as usize) as u64,
            chance,
        };
        subject.push_record(form, out);
    }

    fn document(&self, object: usize, out: &mut String) {
        out.clear();
        out.push_str(r#"{"Records":["#);
        for index in 0..self.starts[object + 1] - self.starts[object] {
            if index > 0 {
                out.push(',');
            }
            let (object, index) = self.source(object, index);
            self.push_record(object, index, out);
        }
        out.push_str("]}");
    }

    /// The folder and the name of an object, by the minute of its delivery.
    fn path(&self, object: usize) -> (PathBuf, String) {
        let lane = &self.lanes[object % self.lanes.len()];
        let account = &self.accounts[lane.account].id;
        let mut chance = Chance::of(&[self.seed, 6, object as u64]);
        let (start, length) = self.window(object);
        let Stamp { year, month, day, second } = Stamp::of(start + length + 60 + chance.below(300) as u64);
        let (hour, minute) = (second / 3_600, second / 60 % 60);
        let unique = chance.text(16, &BASE64[..62]);
        let region = lane.region;
        (
            PathBuf::from(format!("AWSLogs/{account}/CloudTrail/{region}/{year}/{month:02}/{day:02}")),
            format!("{account}_CloudTrail_{region}_{year}{month:02}{day:02}T{hour:02}{minute:02}Z_{unique}.json.gz"),
        )
    }
}

/// Splits the records among the objects unevenly: some files have a third of the mean, some nearly twice as much.
fn shares(seed: u64, events: usize, objects: usize) -> Vec<usize> {
    let mut chance = Chance::of(&[seed, 7]);
    let mut bounds = vec![0u64];
    for _ in 0..objects {
        let weight = if objects == events { 1 } else { 400 + chance.below(1_600) as u64 };
        bounds.push(bounds[bounds.len() - 1] + weight);
    }
    let total = u128::from(bounds[bounds.len() - 1].max(1));
    bounds.iter().map(|bound| (u128::from(*bound) * events as u128 / total) as usize).collect()
}

#[derive(Default)]
struct Written {
    plain: AtomicU64,
    packed: AtomicU64,
}

fn write_all(plan: &Plan, out: &Path) -> Result<Written, Box<dyn Error + Send + Sync>> {
    let (next, written) = (AtomicUsize::new(0), Written::default());
    let failure = Mutex::new(None);
    let work = || {
        let mut writer = Writer::new(out);
        loop {
            let object = next.fetch_add(1, Ordering::Relaxed);
            if object >= plan.objects() {
                return;
            }
            if let Err(error) = writer.write(plan, object, &written) {
                // The others stop at their next object.
                next.store(plan.objects(), Ordering::Relaxed);
                *failure.lock().expect("no thread panics while it holds the lock") = Some(error);
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    match failure.into_inner()? {
        Some(error) => Err(error),
        None => Ok(written),
    }
}

/// What a thread keeps between objects.
struct Writer<'a> {
    out: &'a Path,
    compressor: Compressor,
    text: String,
    packed: Vec<u8>,
    last_folder: PathBuf,
}

impl Writer<'_> {
    fn new(out: &Path) -> Writer<'_> {
        Writer {
            out,
            compressor: Compressor::new(CompressionLvl::default()),
            text: String::new(),
            packed: Vec::new(),
            last_folder: PathBuf::new(),
        }
    }

    fn write(&mut self, plan: &Plan, object: usize, written: &Written) -> Result<(), Box<dyn Error + Send + Sync>> {
        plan.document(object, &mut self.text);
        self.packed.resize(self.compressor.gzip_compress_bound(self.text.len()), 0);
        let packed = self.compressor.gzip_compress(self.text.as_bytes(), &mut self.packed)?;
        let (folder, name) = plan.path(object);
        let folder = self.out.join(folder);
        if folder != self.last_folder {
            fs::create_dir_all(&folder)?;
        }
        fs::write(folder.join(name), &self.packed[..packed])?;
        self.last_folder = folder;
        written.plain.fetch_add(self.text.len() as u64, Ordering::Relaxed);
        written.packed.fetch_add(packed as u64, Ordering::Relaxed);
        Ok(())
    }
}
