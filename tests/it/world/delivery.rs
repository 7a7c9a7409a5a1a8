//! Delivers the records of a world as a trail does: in files of no order, some of them twice, some late, with digests
//! by the hour where the account has them.
//! In: a world and a plan. Out: files under `AWSLogs`, and how many records they hold. Two plans of one world deliver
//! the same events. Digests have true hashes and links, and signatures that nobody made.
//! Never judges a record: `model` has written down if the filter keeps it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use libdeflater::{CompressionLvl, Compressor};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::actors::{MAIN, PLAIN, SWITCHED, iso};
use super::dice::{UPPER, WorldDice};
use super::model::{FIRST_SECOND, HOURS, LaneHour, PlantedWorld, hour_of};

const BUCKET: &str = "amzn-s3-demo-trail-logs";

pub struct DeliveryPlan {
    pub seed: u64,
    pub records_a_file: i64,
    /// An hour: the files with a record of it were deleted after the digests were written.
    pub without: Option<LaneHour>,
}

#[derive(Default, Debug, PartialEq)]
pub struct DeliveryCounts {
    pub records: u64,
    pub kept: u64,
    pub duplicate: u64,
    pub filtered: u64,
}

struct LogFile {
    lane: (&'static str, &'static str),
    delivered: i64,
    path: String,
    content: Vec<u8>,
    oldest: i64,
    newest: i64,
    is_here: bool,
}

struct WorldDelivery<'w> {
    world: &'w PlantedWorld,
    plan: &'w DeliveryPlan,
    dice: WorldDice,
    files: Vec<LogFile>,
    paths: BTreeSet<String>,
    counts: DeliveryCounts,
    seen: BTreeSet<usize>,
}

/// Writes the world into a folder and counts what it holds.
pub fn deliver(world: &PlantedWorld, plan: &DeliveryPlan, into: &Path) -> DeliveryCounts {
    let (files, paths, seen) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    let mut delivery = WorldDelivery {
        world,
        plan,
        dice: WorldDice::new(plan.seed),
        files,
        paths,
        counts: DeliveryCounts::default(),
        seen,
    };
    delivery.cut();
    delivery.lose();
    for file in delivery.files.iter().filter(|file| file.is_here) {
        write(&into.join(&file.path), &file.content);
    }
    for lane in PlantedWorld::lanes().filter(|(account, _)| *account != PLAIN) {
        delivery.digests(lane, into);
    }
    delivery.counts
}

fn write(path: &Path, content: &[u8]) {
    let mut compressor = Compressor::new(CompressionLvl::fastest());
    let mut packed = vec![0; compressor.gzip_compress_bound(content.len())];
    let size = compressor.gzip_compress(content, &mut packed).expect("the bound is enough");
    fs::create_dir_all(path.parent().expect("a file is in a folder")).unwrap();
    fs::write(path, &packed[..size]).unwrap();
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl WorldDelivery<'_> {
    /// Cuts the records of each lane and hour into files, and puts some into other files too, or late ones.
    fn cut(&mut self) {
        let mut hours: BTreeMap<LaneHour, Vec<usize>> = BTreeMap::new();
        for (place, record) in self.world.records.iter().enumerate() {
            hours.entry((record.account, record.region, hour_of(record.time))).or_default().push(place);
        }
        let mut late: BTreeMap<LaneHour, Vec<usize>> = BTreeMap::new();
        for (lane, mut places) in hours {
            places.sort_by_key(|place| (self.world.records[*place].time, *place));
            let (mut on_time, mut twice) = (Vec::new(), Vec::new());
            for place in places {
                match (self.dice.below(100), self.later_hour(lane)) {
                    (0, Some(later)) => late.entry(later).or_default().push(place),
                    (1, Some(later)) => {
                        on_time.push(place);
                        late.entry(later).or_default().push(place);
                    }
                    (2 | 3, _) => {
                        on_time.push(place);
                        twice.push(place);
                    }
                    _ => on_time.push(place),
                }
            }
            self.cut_hour(lane, (on_time, twice));
        }
        for ((account, region, hour), places) in late {
            let delivered = FIRST_SECOND + hour * 3600 + self.dice.between(60, 2900);
            self.file((account, region), delivered, &places);
        }
    }

    /// An hour in which a late file of this lane may come.
    fn later_hour(&mut self, (account, region, hour): LaneHour) -> Option<LaneHour> {
        let later = hour + self.dice.between(1, 20);
        (later < HOURS && !self.world.odd.is_odd(later)).then_some((account, region, later))
    }

    fn cut_hour(&mut self, (account, region, _): LaneHour, (mut on_time, twice): (Vec<usize>, Vec<usize>)) {
        // Neighbours in time stand in different files.
        for at in 1..on_time.len() {
            if self.dice.happens(20) {
                let other = self.dice.below(on_time.len().min(30)).min(at);
                on_time.swap(at, at - other);
            }
        }
        let mut rest = on_time.as_slice();
        let mut chunks: Vec<Vec<usize>> = Vec::new();
        while !rest.is_empty() {
            let most = self.plan.records_a_file;
            let (chunk, after) = rest.split_at((self.dice.between(most / 4 + 1, most) as usize).min(rest.len()));
            chunks.push(chunk.to_vec());
            rest = after;
        }
        for place in twice {
            let file = self.dice.below(chunks.len());
            chunks[file].push(place);
        }
        for mut chunk in chunks {
            self.dice.shuffle(&mut chunk);
            let last = chunk.iter().map(|place| self.world.records[*place].time).max().expect("a file has records");
            let delivered = last + self.dice.between(60, 300);
            self.file((account, region), delivered, &chunk);
        }
    }

    fn file(&mut self, lane: (&'static str, &'static str), delivered: i64, places: &[usize]) {
        let mut content = b"{\"Records\":[".to_vec();
        let mut times = Vec::new();
        for (at, place) in places.iter().enumerate() {
            let record = &self.world.records[*place];
            times.push(record.time);
            content.extend(if at == 0 { &b""[..] } else { &b","[..] });
            let is_copy = !self.seen.insert(*place);
            content.extend(if is_copy {
                reworded(&record.text).into_bytes()
            } else {
                record.text.clone().into_bytes()
            });
            self.counts.records += 1;
            match (record.is_kept, is_copy) {
                (false, _) => self.counts.filtered += 1,
                (true, true) => self.counts.duplicate += 1,
                (true, false) => self.counts.kept += 1,
            }
        }
        content.extend(b"]}");
        let (oldest, newest) = (times.iter().min().copied().unwrap(), times.iter().max().copied().unwrap());
        let path = self.path(lane, delivered);
        let is_lost = |time: &i64| self.plan.without == Some((lane.0, lane.1, hour_of(*time)));
        let is_here = !times.iter().any(is_lost);
        self.files.push(LogFile { lane, delivered, path, content, oldest, newest, is_here });
    }

    fn path(&mut self, (account, region): (&str, &str), delivered: i64) -> String {
        let stamp = iso(delivered);
        let (day, clock) =
            (stamp[..10].replace('-', "/"), format!("{}T{}{}Z", &stamp[..10], &stamp[11..13], &stamp[14..16]));
        loop {
            let unique = self.dice.text(UPPER, 16);
            let name = format!("{account}_CloudTrail_{region}_{}_{unique}.json.gz", clock.replace('-', ""));
            let path = format!("AWSLogs/{account}/CloudTrail/{region}/{day}/{name}");
            if self.paths.insert(path.clone()) {
                return path;
            }
        }
    }

    /// Files that the digests of the lost hour name, and that nobody has.
    fn lose(&mut self) {
        let start = FIRST_SECOND + self.world.odd.lost * 3600;
        for region in super::actors::REGIONS {
            for turn in 1..4 {
                let (oldest, newest) = (start + turn * 600, start + turn * 600 + 400);
                let path = self.path((MAIN, region), newest + 120);
                let content = format!("lost {path}").into_bytes();
                let delivered = newest + 120;
                self.files.push(LogFile {
                    lane: (MAIN, region),
                    delivered,
                    path,
                    content,
                    oldest,
                    newest,
                    is_here: false,
                });
            }
        }
    }

    fn digests(&mut self, lane: (&'static str, &'static str), into: &Path) {
        let (account, region) = lane;
        let mut before: Option<(String, Vec<u8>)> = None;
        for hour in 0..HOURS {
            if account == SWITCHED && hour == self.world.odd.stopped + 1 {
                before = None;
                continue;
            }
            let (start, end) = (FIRST_SECOND + hour * 3600, FIRST_SECOND + (hour + 1) * 3600);
            let files: Vec<&LogFile> =
                self.files.iter().filter(|file| file.lane == lane && hour_of(file.delivered) == hour).collect();
            let stamp = iso(end).replace(['-', ':'], "");
            let day = iso(end)[..10].replace('-', "/");
            let name = format!("{account}_CloudTrail-Digest_{region}_audit_us-east-1_{stamp}.json.gz");
            let path = format!("AWSLogs/{account}/CloudTrail-Digest/{region}/{day}/{name}");
            let digest = json!({
                "awsAccountId": account, "digestStartTime": iso(start), "digestEndTime": iso(end),
                "digestS3Bucket": BUCKET, "digestS3Object": path,
                "digestPublicKeyFingerprint": "f569a86d3c2c8d7dda26b5dbea20bd5c",
                "digestSignatureAlgorithm": "SHA256withRSA",
                "newestEventTime": files.iter().map(|file| file.newest).max().map(iso),
                "oldestEventTime": files.iter().map(|file| file.oldest).min().map(iso),
                "previousDigestS3Bucket": before.as_ref().map(|_| BUCKET),
                "previousDigestS3Object": before.as_ref().map(|(path, _)| path),
                "previousDigestHashValue": before.as_ref().map(|(_, content)| hex(&Sha256::digest(content))),
                "previousDigestHashAlgorithm": before.as_ref().map(|_| "SHA-256"),
                "previousDigestSignature": before.as_ref().map(|_| "0f".repeat(256)),
                "logFiles": files.iter().map(|file| entry(file)).collect::<Vec<_>>(),
            });
            let content = digest.to_string().into_bytes();
            write(&into.join(&path), &content);
            before = Some((path, content));
        }
    }
}

fn entry(file: &LogFile) -> Value {
    json!({
        "s3Bucket": BUCKET, "s3Object": file.path, "hashValue": hex(&Sha256::digest(&file.content)),
        "hashAlgorithm": "SHA-256", "newestEventTime": iso(file.newest), "oldestEventTime": iso(file.oldest),
    })
}

/// The same record with its members in another order.
fn reworded(text: &str) -> String {
    let record: serde_json::Map<String, Value> = serde_json::from_str(text).expect("a record is an object");
    let members: Vec<String> =
        record.iter().rev().map(|(name, value)| format!("{}: {value}", Value::from(name.as_str()))).collect();
    format!("{{{}}}", members.join(", "))
}
