//! Secrets that come to a run in any way: none of them is repeated on a screen, in an output, in a store or beside it.
//! In: canaries in the environment, in profiles, in what programs give as credentials, in URLs, and in answers that send
//! back what was sent. Out: every text and file in which one is found.
//! Never trusts its own eyes: a canary in a statement is repeated, and must be found.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::child::{BINARY, on_every_core, root};
use crate::cloud::{Fault, KEY_ID, Proxy, Request, SECRET, copy_folder, serve};
use crate::history::nowhere;
use crate::store::files;

/// Is in every secret but those of the service, and nowhere else.
const CANARY: &str = "CANARY";
/// `u:CANARY-proxy`, as a proxy is told it.
const TOLD_TO_PROXY: &str = "dTpDQU5BUlktcHJveHk=";
const PRESIGNED: &str = "https://bucket.example/key?X-Amz-Credential=CANARY%2F20260301&X-Amz-Signature=CANARY";

/// The secrets that are in these bytes.
fn secrets_in(bytes: &[u8]) -> Vec<&'static str> {
    let has = |secret: &str| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
    [CANARY, KEY_ID, SECRET, TOLD_TO_PROXY].into_iter().filter(|secret| has(secret)).collect()
}

/// Answers with what was sent, as some services do to explain a refusal.
fn echo(request: &Request, status: u16, code: &str) -> Fault {
    // In one line, since messages show no more.
    let head = request.head.trim().replace("\r\n", " ");
    match request.method.as_str() {
        "POST" if request.head.contains("LookupEvents") => {
            let body = serde_json::json!({ "__type": code, "message": head }).to_string();
            Fault::Answer(status, "Content-Type: application/x-amz-json-1.1\r\n".into(), body)
        }
        _ => {
            let body = format!(
                "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{}</Message></Error>",
                head.replace('&', "&amp;")
            );
            Fault::Answer(status, String::new(), body)
        }
    }
}

/// The folder of all runs, and what they talk to.
struct Scene {
    folder: TempDir,
    s3: Proxy,
    /// Refuses each request.
    refuses: Proxy,
    /// Denies each object and each write.
    denies: Proxy,
    /// Answers each request with what it was sent, and no service does so.
    babbles: Proxy,
}

impl Scene {
    fn new() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        for name in ["buckets/logs", "buckets/store", "buckets/fresh", "out", "tmp", "home", "state"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        copy_folder(&root().join("tests/bad/envelopes"), &folder.path().join("buckets/logs"));
        let service = serve(&folder.path().join("buckets"));
        let denies = Proxy::start(service, |request, _| match request.is_list() {
            true => Fault::Pass,
            false => echo(request, 403, "AccessDenied"),
        });
        Scene {
            s3: Proxy::start(service, |_, _| Fault::Pass),
            refuses: Proxy::start(nowhere(), |request, _| echo(request, 403, "SignatureDoesNotMatch")),
            denies,
            babbles: Proxy::start(nowhere(), |request, _| Fault::Answer(407, String::new(), request.head.clone())),
            folder,
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of secrets, and gives its path.
    fn written(&self, name: &str, text: &str) -> String {
        let path = self.at(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Runs a line of words, in which `_` is a space, with these variables beside those that all runs have.
    fn run(&self, run: &SecretRun) -> Repeated {
        let mut command = Command::new(BINARY);
        command.args(run.line.split(' ').map(|word| word.replace('_', " "))).current_dir(self.folder.path());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("NO_COLOR", "1");
        command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "0").env("HOME", self.at("home"));
        command.env("TMPDIR", self.at("tmp")).env("XDG_STATE_HOME", self.at("state"));
        command.env("AWS_REGION", "us-east-1").env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        command.env("AWS_MAX_ATTEMPTS", "1");
        if run.keys == Keys::OfEnvironment {
            command.env("AWS_ACCESS_KEY_ID", KEY_ID).env("AWS_SECRET_ACCESS_KEY", SECRET);
            command.env("AWS_SESSION_TOKEN", "CANARY/token+of/the+session==");
        }
        command.envs(&run.variables);
        let ended = command.stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
        Repeated { code: ended.status.code(), secrets: secrets_in(text.as_bytes()), text }
    }

    /// All files that the runs have left, and that hold a secret which nobody put there.
    fn left(&self) -> Vec<PathBuf> {
        let folders = ["buckets", "out", "tmp", "home", "state"].map(|name| files(&self.at(name))).concat();
        folders.into_iter().filter(|file| !secrets_in(&fs::read(file).unwrap()).is_empty()).collect()
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Keys {
    OfEnvironment,
    Elsewhere,
}

#[derive(Debug)]
struct SecretRun {
    line: String,
    keys: Keys,
    variables: BTreeMap<&'static str, String>,
    /// Words that the run must say, so that its secrets had every chance.
    says: &'static str,
}

/// What a run said.
struct Repeated {
    code: Option<i32>,
    secrets: Vec<&'static str>,
    text: String,
}

fn run(line: &str, says: &'static str) -> SecretRun {
    SecretRun { line: line.to_owned(), keys: Keys::OfEnvironment, variables: BTreeMap::new(), says }
}

impl SecretRun {
    fn with(mut self, name: &'static str, value: &str) -> SecretRun {
        self.variables.insert(name, value.to_owned());
        self
    }

    /// Without the keys of the environment, which win over most others.
    fn alone(mut self) -> SecretRun {
        self.keys = Keys::Elsewhere;
        self
    }
}

/// Runs that make what others read, in their order.
fn runs_in_order(scene: &Scene) -> Vec<SecretRun> {
    let s3 = &scene.s3.url;
    vec![
        run(
            &format!(
                "ingest s3://logs --store out/store --events all -v --summary-json out/run.json --endpoint-url {s3}"
            ),
            "records",
        ),
        run(&format!("ingest s3://logs --store s3://store --events all -v --endpoint-url {s3}"), "records"),
        run(&format!("store compact s3://store -v --endpoint-url {s3}"), ""),
        run(&format!("store gc s3://store --older-than 0d -v --endpoint-url {s3}"), ""),
    ]
}

/// Runs of every verb that are given secrets as the AWS CLI takes them.
fn runs_of_verbs(scene: &Scene) -> Vec<SecretRun> {
    let s3 = &scene.s3.url;
    let mut runs = vec![
        run("queries", ""),
        run("queries key-users", "SELECT"),
        run("completions bash", "keytrail"),
        run("man", "keytrail"),
        run("store info out/store -f json", "logical_hash"),
        run("store check out/store --deep -v", "head"),
        run("trace ada --from out/store -v", ""),
        run("ingest s3://logs --store s3://store --print-policy", "s3:GetObject"),
        run("audit buckets/logs --events all -v", "records"),
        run("audit buckets/logs --events all -f json -o out/audit.json", ""),
        run("query SELECT_*_FROM_events --from buckets/logs --events all -f parquet -o out/rows.parquet", ""),
    ];
    for line in [
        "audit s3://logs --events all -v",
        "audit s3://logs --dry-run",
        "query SELECT_*_FROM_objects --from s3://logs --events all -f jsonl -v",
        "ingest s3://logs --store s3://store --dry-run",
        "store info s3://store -f json",
        "store check s3://store -v",
        "audit s3://store -f markdown -v",
        "query SELECT_*_FROM_objects --from s3://store -f jsonl -v",
    ] {
        runs.push(run(&format!("{line} --endpoint-url {s3}"), ""));
    }
    runs
}

/// Runs whose keys come from files and programs, and are wrong or cannot be read.
fn runs_of_profiles(scene: &Scene) -> Vec<SecretRun> {
    let keys = "[canary]\naws_access_key_id = AKIACANARYCANARY\naws_secret_access_key = CANARY-secret\n\
                aws_session_token = CANARY-token\n";
    let answer = r#"{"Version":1,"AccessKeyId":"AKIACANARYCANARY","SecretAccessKey":"CANARY","SessionToken":"CANARY"}"#;
    let keys_of = |name: &str, text: &str| scene.written(name, text);
    let program = |name: &str, script: &str| {
        let script = scene.written(&format!("{name}.sh"), script);
        scene.written(name, &format!("[profile canary]\ncredential_process = sh {script} --token CANARY\n"))
    };
    let mut runs = Vec::new();
    for (variable, file) in [
        ("AWS_SHARED_CREDENTIALS_FILE", keys_of("keys", keys)),
        ("AWS_SHARED_CREDENTIALS_FILE", keys_of("no-sign", "[canary]\naws_secret_access_key CANARY-secret\n")),
        ("AWS_SHARED_CREDENTIALS_FILE", keys_of("no-key", "[canary]\naws_secret_access_key = CANARY-secret\n")),
        ("AWS_CONFIG_FILE", program("gives", &format!("echo '{answer}'"))),
        ("AWS_CONFIG_FILE", program("gives-half", &format!("echo '{}'", &answer[..answer.len() - 9]))),
        ("AWS_CONFIG_FILE", program("gives-words", "echo CANARY CANARY")),
        ("AWS_CONFIG_FILE", program("fails", &format!("echo '{answer}'; exit 3"))),
    ] {
        for line in ["audit s3://logs -v --profile canary", "query SELECT_1 --from s3://logs -v"] {
            let line = format!("{line} --endpoint-url {}", scene.s3.url);
            runs.push(run(&line, "error").alone().with(variable, &file).with("AWS_PROFILE", "canary"));
        }
    }
    runs
}

/// Runs that are told secrets where none belong.
fn runs_of_urls(scene: &Scene) -> Vec<SecretRun> {
    let store = "out/store";
    let mut runs = Vec::new();
    for url in ["https://u:CANARY@host/x", "s3://K:CANARY@bucket/x", PRESIGNED] {
        for line in [
            format!("audit {url} -v"),
            format!("query SELECT_1 --from {url}"),
            format!("trace ada --from {url}"),
            format!("ingest {url} --store {store}"),
            format!("ingest buckets/logs --store {url}"),
            format!("query SELECT_1 --from buckets/logs -o {url}"),
            format!("ingest {url} --store s3://store --print-policy"),
            format!("store check {url}"),
            format!("audit buckets/logs --bogus={url}"),
            format!("audit --color {url}"),
        ] {
            runs.push(run(&line, "error"));
        }
        runs.push(run("audit", "error").with("KEYTRAIL_FROM", url));
    }
    for url in ["https://u:CANARY@host", "https://host/?X-Amz-Security-Token=CANARY", "ftp://u:CANARY@host"] {
        runs.push(run(&format!("audit s3://logs --endpoint-url {url}"), "error"));
    }
    let told = scene.babbles.url.replace("http://", "http://u:CANARY-proxy@");
    runs.push(run("audit s3://logs --endpoint-url https://host", "error").with("HTTPS_PROXY", &told));
    runs.push(run("audit s3://logs -v", "error").with("AWS_ENDPOINT_URL", &told));
    runs.push(run("audit s3://logs -v", "error").with("AWS_ENDPOINT_URL_S3", &told));
    runs.push(run("audit s3://logs", "error").with("AWS_ENDPOINT_URL", "http://u:CANARY@["));
    runs.push(run("audit s3://logs", "error").with("HTTPS_PROXY", "http://u:CANARY-proxy@["));
    runs
}

/// Runs whose service sends back what it was sent, keys and all.
fn runs_of_echoes(scene: &Scene) -> Vec<SecretRun> {
    let mut runs = Vec::new();
    for line in [
        "audit s3://logs -v",
        "query SELECT_1 --from s3://logs",
        "ingest s3://logs --store out/other -v",
        "store info s3://store",
        "ingest buckets/logs --store s3://store",
        "audit cloudtrail://eu-west-1 -v",
    ] {
        runs.push(run(&format!("{line} --endpoint-url {}", scene.refuses.url), "Credential=…"));
        runs.push(run(&format!("{line} --endpoint-url {}", scene.babbles.url), "error"));
    }
    for (line, says) in [
        ("audit s3://logs -v --events all", "denied"),
        ("ingest s3://logs --store out/another -v --summary-json out/denied.json", "denied"),
        ("ingest buckets/logs --store s3://fresh", "Credential=…"),
    ] {
        runs.push(run(&format!("{line} --endpoint-url {}", scene.denies.url), says));
    }
    runs
}

#[test]
fn no_secret_is_repeated() {
    let scene = Scene::new();
    let first = runs_in_order(&scene);
    let then = [runs_of_verbs(&scene), runs_of_profiles(&scene), runs_of_urls(&scene), runs_of_echoes(&scene)];
    let then: Vec<SecretRun> = then.into_iter().flatten().collect();
    let made: Vec<Repeated> = first.iter().map(|run| scene.run(run)).collect();
    let said: Vec<Repeated> = made.into_iter().chain(on_every_core(&then, |run| scene.run(run))).collect();
    let mut wrong = Vec::new();
    for (run, said) in first.iter().chain(&then).zip(&said) {
        if !said.secrets.is_empty() || !said.text.contains(run.says) || said.code.is_none() {
            wrong.push(format!("{:?} in {run:?}: {:?}\n{}", said.secrets, said.code, said.text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert_eq!(scene.left(), Vec::<PathBuf>::new());
    // Some of the logs are damaged, so that a run over all of them ends with 3.
    let done = said.iter().filter(|said| matches!(said.code, Some(0 | 3))).count();
    eprintln!("{done} of {} runs did their work", said.len());
    assert!(done > 15, "only {done} of {} runs did their work", said.len());
}

/// What a user writes as SQL is no secret, and an error quotes it: the test above would see one.
#[test]
fn a_secret_that_is_repeated_is_seen() {
    let scene = Scene::new();
    let said = scene.run(&run("query SELECT_\"CANARY\"_FROM_events --from buckets/logs", "error"));
    assert_eq!((said.code, said.secrets), (Some(2), vec![CANARY]), "{}", said.text);
    let said = scene.run(&run(&format!("query SELECT_'{KEY_ID}_{SECRET}'_AS_a --from buckets/logs -o out/a.csv"), ""));
    assert_eq!(said.secrets, Vec::<&str>::new());
    assert_eq!(scene.left(), [scene.at("out/a.csv")], "{}", said.text);
}
