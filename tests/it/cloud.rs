//! AWS on this machine: an S3 service over a folder, a proxy before it that fails as it is told, and the built binary
//! with credentials that only they know.
//! In: a folder whose own folders are buckets. Out: URLs, and the requests that came to them.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;

use crate::service::{Folder, KeysOfBucket};

pub const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
pub const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// Serves the folder as S3 until the test process ends, to anyone with the test's credentials.
pub fn serve(root: &Path) -> SocketAddr {
    serve_under(root, KeysOfBucket::OfS3)
}

/// Serves the folder as one whose objects are encrypted under these keys.
pub fn serve_under(root: &Path, keys: KeysOfBucket) -> SocketAddr {
    serve_to(Folder::new(root, keys), Some(SimpleAuth::from_single(KEY_ID, SECRET)))
}

/// Serves the folder to anyone.
pub fn serve_anyone(root: &Path) -> SocketAddr {
    serve_to(Folder::new(root, KeysOfBucket::OfS3), None)
}

fn serve_to(folder: Folder, known: Option<SimpleAuth>) -> SocketAddr {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let mut service = S3ServiceBuilder::new(folder);
            if let Some(known) = known {
                service.set_auth(known);
            }
            let service = service.build();
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            send.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let service = service.clone();
                tokio::spawn(async move {
                    // A client may go away; that is not a failure of the service.
                    Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await.ok();
                });
            }
        });
    });
    receive.recv().unwrap()
}

/// A request as it came: method, target, head.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub head: String,
    pub body: Vec<u8>,
}

impl Request {
    pub fn is_list(&self) -> bool {
        self.target.contains("list-type=2")
    }

    pub fn is_get_of(&self, name: &str) -> bool {
        self.method == "GET" && !self.is_list() && self.target.contains(name)
    }
}

/// The action of the proxy on one request.
#[derive(Clone, Debug)]
pub enum Fault {
    Pass,
    /// An answer of its own: status, further headers, body.
    Answer(u16, String, String),
    /// The connection ends without an answer, and the request is not carried out.
    Hangup,
    /// The request is carried out, and the connection ends without an answer.
    Swallow,
    /// The request is carried out, and the answer is this status.
    SwallowAs(u16),
    /// The head promises the whole body, and only this many bytes of it come.
    CutAt(usize),
    /// The body is this much longer than it should be, or shorter if negative, and the head says so.
    Resize(isize),
    /// One byte of the body is wrong.
    Corrupt,
    /// The body comes a byte now and then.
    Trickle,
}

impl Fault {
    /// An error as S3 writes it.
    pub fn error(status: u16, code: &str) -> Fault {
        let body = format!(
            "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{code} said the proxy</Message></Error>"
        );
        Fault::Answer(status, String::new(), body)
    }
}

type Judge = dyn Fn(&Request, usize) -> Fault + Send + Sync;

/// A proxy whose `judge` gets each request and the number of earlier requests with the same target.
pub struct Proxy {
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Proxy {
    pub fn start(upstream: SocketAddr, judge: impl Fn(&Request, usize) -> Fault + Send + Sync + 'static) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (seen, judge): (_, Arc<Judge>) = (Arc::clone(&requests), Arc::new(judge));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (seen, judge) = (Arc::clone(&seen), Arc::clone(&judge));
                thread::spawn(move || {
                    // Some faults make the client go away.
                    client.and_then(|client| serve_one(client, upstream, &seen, &*judge)).ok();
                });
            }
        });
        Proxy { url, requests }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub fn count(&self, is_right: impl Fn(&Request) -> bool) -> usize {
        self.requests().iter().filter(|request| is_right(request)).count()
    }
}

fn serve_one(
    mut client: TcpStream,
    upstream: SocketAddr,
    seen: &Mutex<Vec<Request>>,
    judge: &Judge,
) -> std::io::Result<()> {
    let Some(request) = read_request(&mut client)? else { return Ok(()) };
    let before = {
        let mut seen = seen.lock().unwrap();
        seen.push(request.clone());
        seen.iter().filter(|other| other.target == request.target).count() - 1
    };
    let fault = judge(&request, before);
    if let Fault::Answer(status, headers, body) = &fault {
        let length = body.len();
        write!(
            client,
            "HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
        )?;
        return client.flush();
    }
    if matches!(fault, Fault::Hangup) {
        return Ok(());
    }
    let answer = forward(&request, upstream)?;
    match fault {
        Fault::Swallow => return Ok(()),
        Fault::SwallowAs(status) => {
            return write!(client, "HTTP/1.1 {status} Said\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
        _ => {}
    }
    let split = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let (head, body) = (String::from_utf8_lossy(&answer[..split]).into_owned(), answer[split..].to_vec());
    match fault {
        Fault::CutAt(bytes) => {
            client.write_all(head.as_bytes())?;
            client.write_all(&body[..bytes.min(body.len())])
        }
        Fault::Resize(by) => {
            let mut body = body;
            body.resize(body.len().saturating_add_signed(by), b'x');
            client.write_all(with_length(&head, body.len()).as_bytes())?;
            client.write_all(&body)
        }
        Fault::Corrupt => {
            let mut body = body;
            let middle = body.len() / 2;
            body[middle] ^= 0xff;
            client.write_all(head.as_bytes())?;
            client.write_all(&body)
        }
        Fault::Trickle => {
            client.write_all(head.as_bytes())?;
            for byte in body {
                client.write_all(&[byte])?;
                client.flush()?;
                thread::sleep(Duration::from_millis(200));
            }
            Ok(())
        }
        _ => client.write_all(&answer),
    }
}

/// One request with its body; none if the client has gone.
pub fn read_request(client: &mut TcpStream) -> std::io::Result<Option<Request>> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 8192];
    let split = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        match client.read(&mut chunk)? {
            0 => return Ok(None),
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    };
    let head = String::from_utf8_lossy(&bytes[..split]).into_owned();
    let length = header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    while bytes.len() < split + length {
        match client.read(&mut chunk)? {
            0 => return Ok(None),
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    }
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    Ok(Some(Request { method, target, body: bytes[split..].to_vec(), head }))
}

pub fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn forward(request: &Request, upstream: SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut server = TcpStream::connect(upstream)?;
    let (first, rest) = request.head.split_once("\r\n").unwrap();
    write!(server, "{first}\r\nConnection: close\r\n{rest}")?;
    server.write_all(&request.body)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    Ok(answer)
}

fn with_length(head: &str, length: usize) -> String {
    let is_length = |line: &&str| line.to_ascii_lowercase().starts_with("content-length:");
    let lines: Vec<&str> = head.trim_end().lines().filter(|line| !is_length(line)).collect();
    format!("{}\r\nContent-Length: {length}\r\n\r\n", lines.join("\r\n"))
}

/// The binary with the test's credentials, without the caller's AWS configuration.
pub fn keytrail(args: &[&str], url: &str) -> Command {
    let mut command = Command::new(crate::child::BINARY);
    command.args(args).args(["--endpoint-url", url]).current_dir(crate::child::root()).stdin(Stdio::null());
    command.env_clear().env("NO_COLOR", "1").env("COLUMNS", "100").env("PATH", std::env::var_os("PATH").unwrap());
    command.env("AWS_ACCESS_KEY_ID", KEY_ID).env("AWS_SECRET_ACCESS_KEY", SECRET).env("AWS_REGION", "us-east-1");
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_CONFIG_FILE", "/dev/null");
    command.env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null").env("HOME", "/nonexistent");
    command
}

pub fn run(args: &[&str], url: &str) -> Output {
    keytrail(args, url).output().unwrap()
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Copies a folder with its content, for example into a folder that stands for a bucket.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
