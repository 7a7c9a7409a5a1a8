//! A bucket as an object store: the promises of the trait, and conditional writes whose answers get lost.

use std::path::Path as FilePath;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::TryStreamExt;
use keytrail::source::{AwsOptions, connect_store};
use object_store::path::Path;
use object_store::{
    Error, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, PutResult, UpdateVersion,
};

use crate::cloud::{Fault, Proxy, Request, serve_anyone};

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test);
}

fn top() -> tempfile::TempDir {
    let top = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(top.path().join("store")).unwrap();
    top
}

async fn at(url: &str, endpoint: &str) -> Arc<dyn ObjectStore> {
    let aws = AwsOptions { endpoint_url: Some(endpoint.to_owned()), no_sign_request: true, ..AwsOptions::default() };
    connect_store(url, &aws).await.unwrap()
}

async fn put(store: &dyn ObjectStore, path: &str, text: &str, mode: PutMode) -> object_store::Result<PutResult> {
    let options = PutOptions { mode, ..PutOptions::default() };
    store.put_opts(&Path::from(path), PutPayload::from(text.to_owned()), options).await
}

async fn text(store: &dyn ObjectStore, path: &str) -> String {
    let bytes = store.get(&Path::from(path)).await.unwrap().bytes().await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn names(store: &dyn ObjectStore, prefix: Option<&str>) -> Vec<String> {
    let prefix = prefix.map(Path::from);
    let all: Vec<_> = store.list(prefix.as_ref()).try_collect().await.unwrap();
    all.into_iter().map(|meta| meta.location.to_string()).collect()
}

/// The promises of a store in a bucket, and equally of a store on disk.
async fn keeps_its_promises(store: &dyn ObjectStore) {
    put(store, "a/one", "0123456789", PutMode::Overwrite).await.unwrap();
    put(store, "a/b/two", "two", PutMode::Create).await.unwrap();
    let again = put(store, "a/b/two", "other", PutMode::Create).await;
    assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
    put(store, "ab", "three", PutMode::Overwrite).await.unwrap();
    assert_eq!(text(store, "a/b/two").await, "two");
    assert_eq!(store.get_range(&Path::from("a/one"), 3..6).await.unwrap(), Bytes::from("345"));
    let meta = store.head(&Path::from("a/one")).await.unwrap();
    assert!(meta.size == 10 && meta.e_tag.is_some() && meta.last_modified.timestamp() > 1_700_000_000, "{meta:?}");
    let missing = store.get(&Path::from("a/none")).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
    assert!(matches!(store.head(&Path::from("a/none")).await, Err(Error::NotFound { .. })));
    let mut found = names(store, Some("a")).await;
    found.sort();
    assert_eq!(found, ["a/b/two", "a/one"]);
    let level = store.list_with_delimiter(Some(&Path::from("a"))).await.unwrap();
    assert_eq!(level.common_prefixes, [Path::from("a/b")]);
    assert_eq!(level.objects.iter().map(|meta| meta.location.as_ref()).collect::<Vec<_>>(), ["a/one"]);
    let after: Vec<_> = store.list_with_offset(None, &Path::from("a/b/two")).try_collect().await.unwrap();
    assert_eq!(after.len(), 2);
    store.copy_if_not_exists(&Path::from("a/one"), &Path::from("copy")).await.unwrap();
    let taken = store.copy_if_not_exists(&Path::from("ab"), &Path::from("copy")).await;
    assert!(matches!(taken, Err(Error::AlreadyExists { .. })), "{taken:?}");
    store.rename_if_not_exists(&Path::from("copy"), &Path::from("moved")).await.unwrap();
    assert_eq!(text(store, "moved").await, "0123456789");
    let mut upload = store.put_multipart(&Path::from("large")).await.unwrap();
    let parts = ["x".repeat(5 << 20), "y".repeat(10)];
    let sent = parts.iter().map(|part| upload.put_part(PutPayload::from(part.clone()))).collect::<Vec<_>>();
    futures::future::try_join_all(sent).await.unwrap();
    upload.complete().await.unwrap();
    assert_eq!(text(store, "large").await, parts.concat());
    let all = names(store, None).await;
    assert_eq!(all.len(), 5, "{all:?}");
    for name in all {
        store.delete(&Path::from(name)).await.unwrap();
    }
    assert_eq!(names(store, None).await, Vec::<String>::new());
}

#[test]
fn a_store_keeps_its_promises_in_a_bucket_and_on_disk() {
    run(async {
        let (top, local) = (top(), tempfile::tempdir().unwrap());
        let endpoint = format!("http://{}", serve_anyone(top.path()));
        for url in ["s3://store", "s3://store/deep/prefix/", local.path().to_str().unwrap()] {
            keeps_its_promises(&*at(url, &endpoint).await).await;
        }
        let nowhere = connect_store("/nowhere/at/all", &AwsOptions::default()).await;
        assert!(nowhere.is_err());
    });
}

#[test]
fn of_many_writers_one_wins() {
    run(async {
        let top = top();
        let store = at("s3://store", &format!("http://{}", serve_anyone(top.path()))).await;
        for round in 0..10 {
            let path = format!("log/{round}");
            let writers = (0..4).map(|writer| {
                let (store, path) = (Arc::clone(&store), path.clone());
                async move { put(&*store, &path, &format!("by {writer}"), PutMode::Create).await }
            });
            let ended = futures::future::join_all(writers).await;
            let won: Vec<usize> = (0..4).filter(|writer| ended[*writer].is_ok()).collect();
            assert_eq!(won.len(), 1, "{ended:?}");
            assert_eq!(text(&*store, &path).await, format!("by {}", won[0]));
        }
    });
}

#[test]
fn a_version_is_replaced_once() {
    run(async {
        let top = top();
        let store = at("s3://store/t", &format!("http://{}", serve_anyone(top.path()))).await;
        let first = put(&*store, "x", "first", PutMode::Create).await.unwrap();
        let update = || PutMode::Update(UpdateVersion::from(first.clone()));
        put(&*store, "x", "second", update()).await.unwrap();
        let late = put(&*store, "x", "third", update()).await;
        assert!(matches!(late, Err(Error::Precondition { .. })), "{late:?}");
        assert_eq!(text(&*store, "x").await, "second");
        let gone = put(&*store, "y", "third", update()).await;
        assert!(matches!(gone, Err(Error::Precondition { .. })), "{gone:?}");
    });
}

fn is_put(request: &Request) -> bool {
    request.method == "PUT"
}

#[test]
fn a_write_whose_answer_is_lost_is_recognized() {
    run(async {
        for (what, fault) in [
            ("an answer lost after the write", Fault::Swallow),
            ("a request lost before the write", Fault::Hangup),
            ("an error after the write", Fault::SwallowAs(500)),
            ("an error before the write", Fault::error(503, "SlowDown")),
            ("a conflict of the moment", Fault::error(409, "ConditionalRequestConflict")),
        ] {
            let top = top();
            let (lost, told) = (AtomicBool::new(false), fault.clone());
            let proxy = Proxy::start(serve_anyone(top.path()), move |request, _| {
                if is_put(request) && !lost.swap(true, Ordering::Relaxed) { told.clone() } else { Fault::Pass }
            });
            let store = at("s3://store", &proxy.url).await;
            put(&*store, "log/1", "mine", PutMode::Create).await.unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(text(&*store, "log/1").await, "mine", "{what}");
            let other = put(&*store, "log/1", "theirs", PutMode::Create).await;
            assert!(matches!(other, Err(Error::AlreadyExists { .. })), "{what}: {other:?}");
        }
    });
}

#[test]
fn a_write_that_lost_to_another_is_not_taken_for_mine() {
    run(async {
        let top = top();
        let file = top.path().join("store/log/1");
        let lost = AtomicBool::new(false);
        let proxy = Proxy::start(serve_anyone(top.path()), move |request, _| {
            if !is_put(request) || lost.swap(true, Ordering::Relaxed) {
                return Fault::Pass;
            }
            write(&file, "theirs");
            Fault::Hangup
        });
        let store = at("s3://store", &proxy.url).await;
        let mine = put(&*store, "log/1", "mine", PutMode::Create).await;
        assert!(matches!(mine, Err(Error::AlreadyExists { .. })), "{mine:?}");
        assert_eq!(text(&*store, "log/1").await, "theirs");
    });
}

fn write(path: &FilePath, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn a_broken_body_is_resumed() {
    run(async {
        let top = top();
        let content = "0123456789".repeat(100_000);
        write(&top.path().join("store/large"), &content);
        let proxy = Proxy::start(serve_anyone(top.path()), |request, before| {
            if request.is_get_of("large") && before < 3 { Fault::CutAt(300_000) } else { Fault::Pass }
        });
        let store = at("s3://store", &proxy.url).await;
        assert_eq!(text(&*store, "large").await, content);
    });
}
