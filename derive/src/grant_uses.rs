//! The calls that grants may have allowed, held compactly.
//! In: successful calls of those who hold grants, in any order; then the grants with their lives. Out: the last call
//! that each grant may have allowed. Never says that a grant did allow a call: AWS does not log which one it was. A
//! call is three numbers and its time; contexts and callers are held once. No grant is compared with every call.

use std::collections::{BTreeMap, HashMap, HashSet};

use xxhash_rust::xxh3::xxh3_128;

/// The operations that a grant can allow, but for RetireGrant, which ends the grant itself. A ReEncrypt uses two.
const OPERATIONS: &[&str] = &[
    "Decrypt",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "ReEncryptFrom",
    "ReEncryptTo",
    "CreateGrant",
    "Sign",
    "Verify",
    "GenerateMac",
    "VerifyMac",
    "DeriveSharedSecret",
    "DescribeKey",
    "GetPublicKey",
];

/// Operations without an encryption context: a constraint does not bind them.
const WITHOUT_CONTEXT: &[&str] = &["DescribeKey", "GetPublicKey"];

/// Rough size of a caller or a context, with its place.
const ENTRY_BYTES: usize = 128;

/// Pairs of an encryption context, by their hashes, sorted.
type ContextPairs = Vec<u128>;

/// One pair of a context.
pub(crate) fn pair_hash(key: &str, value: &str) -> u128 {
    let mut pair = Vec::with_capacity(key.len() + value.len() + 8);
    pair.extend_from_slice(&(key.len() as u64).to_le_bytes());
    pair.extend_from_slice(key.as_bytes());
    pair.extend_from_slice(value.as_bytes());
    xxh3_128(&pair)
}

/// The pairs of a context.
pub(crate) fn pair_hashes(pairs: &[(String, String)]) -> ContextPairs {
    let mut pairs: ContextPairs = pairs.iter().map(|(key, value)| pair_hash(key, value)).collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// The context that a grant is bound to.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GrantConstraint {
    /// Pairs that must be in the context.
    pub subset: ContextPairs,
    /// The whole context.
    pub equals: Option<ContextPairs>,
}

impl GrantConstraint {
    fn fits(&self, context: &[u128]) -> bool {
        self.equals.as_ref().is_none_or(|equals| equals == context)
            && self.subset.iter().all(|pair| context.binary_search(pair).is_ok())
    }
}

/// A grant, as far as it says which calls it may have allowed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GrantScope {
    pub key_arn: String,
    /// Under the name by which calls are noted.
    pub grantee: String,
    pub constraint: GrantConstraint,
    pub operations: Vec<String>,
    /// Its life, both ends included: a call of the same second may have been allowed.
    pub from: Option<i64>,
    pub to: Option<i64>,
}

/// A call that succeeded. The order of the fields is that of the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct NotedCall {
    caller: u32,
    context: u32,
    operation: u8,
    at: i64,
}

/// The calls so far.
#[derive(Debug, Default)]
pub(crate) struct GrantUses {
    /// By key and name.
    callers: HashMap<(String, String), u32>,
    contexts: HashMap<ContextPairs, u32>,
    calls: Vec<NotedCall>,
    bytes: usize,
}

impl GrantUses {
    /// Notes a call to a key under one of the names of its caller. Operations that no grant allows are passed over.
    pub fn note(&mut self, key_and_caller: (&str, &str), operation: &str, context: ContextPairs, at: i64) {
        let Some(operation) = OPERATIONS.iter().position(|known| *known == operation) else { return };
        let (key, caller) = key_and_caller;
        let next = self.callers.len() as u32;
        let caller = *self.callers.entry((key.to_owned(), caller.to_owned())).or_insert_with(|| {
            self.bytes += ENTRY_BYTES + key.len() + caller.len();
            next
        });
        let next = self.contexts.len() as u32;
        let pairs = context.len();
        let context = *self.contexts.entry(context).or_insert_with(|| {
            self.bytes += ENTRY_BYTES + pairs * size_of::<u128>();
            next
        });
        self.calls.push(NotedCall { caller, context, operation: operation as u8, at });
    }

    /// Roughly the bytes that it holds.
    pub fn bytes_held(&self) -> usize {
        self.bytes + self.calls.capacity() * size_of::<NotedCall>()
    }

    /// The last call that each grant may have allowed, in the order of the grants.
    pub fn last_uses(mut self, grants: &[GrantScope]) -> Vec<Option<i64>> {
        self.calls.sort_unstable();
        self.calls.dedup();
        let contexts = ContextIndex::of(&self.contexts);
        // Grants of one grantee with one constraint look at the calls together.
        let mut groups: BTreeMap<(u32, &GrantConstraint), Vec<usize>> = BTreeMap::new();
        for (place, grant) in grants.iter().enumerate() {
            let caller = self.callers.get(&(grant.key_arn.clone(), grant.grantee.clone()));
            if let Some(caller) = caller {
                groups.entry((*caller, &grant.constraint)).or_default().push(place);
            }
        }
        let mut last = vec![None; grants.len()];
        let mut known: Option<(u32, CallerCalls)> = None;
        let bound: HashSet<u128> = groups.keys().flat_map(|(_, constraint)| &constraint.subset).copied().collect();
        for ((caller, constraint), places) in groups {
            if known.as_ref().is_none_or(|(of, _)| *of != caller) {
                let from = self.calls.partition_point(|call| call.caller < caller);
                let to = self.calls.partition_point(|call| call.caller <= caller);
                known = Some((caller, CallerCalls::of(&self.calls[from..to], &contexts, &bound)));
            }
            let (_, calls) = known.as_ref().expect("it was just put there");
            let times = calls.fitting(constraint, &contexts);
            for place in places {
                last[place] = times.last_of(&grants[place]).max(calls.free.last_of(&grants[place]));
            }
        }
        last
    }
}

/// The contexts by their places, and their places.
struct ContextIndex<'u> {
    pairs: Vec<&'u [u128]>,
    places: &'u HashMap<ContextPairs, u32>,
}

impl ContextIndex<'_> {
    fn of(places: &HashMap<ContextPairs, u32>) -> ContextIndex<'_> {
        let mut pairs: Vec<&[u128]> = vec![&[]; places.len()];
        places.iter().for_each(|(context, place)| pairs[*place as usize] = context);
        ContextIndex { pairs, places }
    }

    fn pairs(&self, context: u32) -> &[u128] {
        self.pairs[context as usize]
    }
}

/// The times of calls, by operation; each list sorted.
#[derive(Debug, Default)]
struct CallTimes(Vec<Vec<i64>>);

impl CallTimes {
    fn of<'c>(calls: impl Iterator<Item = &'c NotedCall>) -> CallTimes {
        let mut times = vec![Vec::new(); OPERATIONS.len()];
        calls.for_each(|call| times[call.operation as usize].push(call.at));
        times.iter_mut().for_each(|times| times.sort_unstable());
        CallTimes(times)
    }

    /// The last time within the life of a grant, of the operations that it allows.
    fn last_of(&self, grant: &GrantScope) -> Option<i64> {
        let operations =
            OPERATIONS.iter().zip(&self.0).filter(|(name, _)| grant.operations.iter().any(|of| of == *name));
        let last = operations.filter_map(|(_, times)| {
            let until = grant.to.map_or(times.len(), |to| times.partition_point(|at| *at <= to));
            times[..until].last().copied().filter(|at| grant.from.is_none_or(|from| *at >= from))
        });
        last.max()
    }
}

/// The calls to one key under one name.
struct CallerCalls<'c> {
    /// Sorted by context.
    calls: &'c [NotedCall],
    /// Calls without a context, which no constraint binds.
    free: CallTimes,
    /// The contexts with a pair to which some grant is bound.
    with_pair: HashMap<u128, Vec<u32>>,
}

impl<'c> CallerCalls<'c> {
    fn of(calls: &'c [NotedCall], contexts: &ContextIndex<'_>, bound: &HashSet<u128>) -> CallerCalls<'c> {
        let mut with_pair: HashMap<u128, Vec<u32>> = HashMap::new();
        for same in calls.chunk_by(|left, right| left.context == right.context) {
            let context = same[0].context;
            for pair in contexts.pairs(context).iter().filter(|pair| bound.contains(*pair)) {
                with_pair.entry(*pair).or_default().push(context);
            }
        }
        let is_free = |call: &&NotedCall| WITHOUT_CONTEXT.contains(&OPERATIONS[call.operation as usize]);
        CallerCalls { calls, free: CallTimes::of(calls.iter().filter(is_free)), with_pair }
    }

    /// The times of the calls whose context fits.
    fn fitting(&self, constraint: &GrantConstraint, contexts: &ContextIndex<'_>) -> CallTimes {
        // One whole context, or those with the rarest of the pairs.
        let candidates: &[u32] = match &constraint.equals {
            Some(equals) => contexts.places.get(equals).map_or(&[][..], std::slice::from_ref),
            None => {
                let lists =
                    constraint.subset.iter().map(|pair| self.with_pair.get(pair).map_or(&[][..], Vec::as_slice));
                match lists.min_by_key(|list| list.len()) {
                    Some(list) => list,
                    None => return CallTimes::of(self.calls.iter()),
                }
            }
        };
        let fit = candidates.iter().filter(|context| constraint.fits(contexts.pairs(**context)));
        CallTimes::of(fit.flat_map(|context| {
            let from = self.calls.partition_point(|call| call.context < *context);
            let to = self.calls.partition_point(|call| call.context <= *context);
            &self.calls[from..to]
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    /// Calls of `g` on `k`: `TIME OPERATION CONTEXT` each.
    fn uses(calls: &str) -> GrantUses {
        let mut uses = GrantUses::default();
        for call in calls.split("; ") {
            let words: Vec<&str> = call.split(' ').collect();
            let context = pair_hashes(&pairs(words.get(2).copied().unwrap_or_default()));
            uses.note(("k", "g"), words[1], context, words[0].parse().unwrap());
        }
        uses
    }

    fn scope(operations: &str, subset: &str, equals: Option<&str>) -> GrantScope {
        GrantScope {
            key_arn: "k".to_owned(),
            grantee: "g".to_owned(),
            constraint: GrantConstraint {
                subset: pair_hashes(&pairs(subset)),
                equals: equals.map(|equals| pair_hashes(&pairs(equals))),
            },
            operations: operations.split(' ').map(str::to_owned).collect(),
            from: Some(10),
            to: Some(20),
        }
    }

    #[test]
    fn a_call_fits_by_operation_context_and_life() {
        for (calls, grant, last) in [
            ("12 Decrypt", scope("Decrypt", "", None), Some(12)),
            ("12 Encrypt", scope("Decrypt", "", None), None),
            ("12 Encrypt; 11 Decrypt", scope("Decrypt Encrypt", "", None), Some(12)),
            // The ends of the life belong to it.
            ("10 Decrypt", scope("Decrypt", "", None), Some(10)),
            ("20 Decrypt; 21 Decrypt; 15 Decrypt", scope("Decrypt", "", None), Some(20)),
            ("9 Decrypt; 21 Decrypt", scope("Decrypt", "", None), None),
            // A subset, in whatever order.
            ("12 Decrypt b=2,a=1,c=3", scope("Decrypt", "a=1,b=2", None), Some(12)),
            ("12 Decrypt a=1; 13 Decrypt a=1,b=3; 14 Decrypt", scope("Decrypt", "a=1,b=2", None), None),
            // The same bytes, cut elsewhere, are another pair.
            ("12 Decrypt a1=1", scope("Decrypt", "a=11", None), None),
            // The whole context.
            ("12 Decrypt a=1", scope("Decrypt", "", Some("a=1")), Some(12)),
            ("12 Decrypt a=1,b=2; 13 Decrypt", scope("Decrypt", "", Some("a=1")), None),
            ("12 Decrypt; 13 Decrypt a=1", scope("Decrypt", "", Some("")), Some(12)),
            ("12 Decrypt a=1,b=2", scope("Decrypt", "b=2", Some("a=1,b=2")), Some(12)),
            // Operations that have no context.
            ("12 DescribeKey; 11 Decrypt a=1", scope("Decrypt DescribeKey", "a=1", None), Some(12)),
            ("12 DescribeKey; 11 Decrypt a=1", scope("Decrypt", "a=1", None), Some(11)),
            ("12 RetireGrant", scope("RetireGrant", "", None), None),
        ] {
            assert_eq!(uses(calls).last_uses(&[grant]), [last], "{calls}");
        }
    }

    #[test]
    fn many_grants_of_one_grantee_are_not_compared_with_every_call() {
        // A thousand grants, each for its table, and a hundred thousand calls: in pairs a hundred million.
        let mut uses = GrantUses::default();
        for call in 0..100_000_i64 {
            let context = pair_hashes(&pairs(&format!("account=1,table=t{}", call % 1000)));
            uses.note(("k", "g"), "Decrypt", context, call);
        }
        assert!(uses.bytes_held() < 8 << 20);
        let grants: Vec<GrantScope> = (0..1000)
            .map(|table| GrantScope {
                from: None,
                to: None,
                ..scope("Decrypt", &format!("account=1,table=t{table}"), None)
            })
            .collect();
        let last = uses.last_uses(&grants);
        assert!((0..1000).all(|table| last[table as usize] == Some(99_000 + table)));
    }

    #[test]
    fn other_keys_and_callers_do_not_count() {
        let grant = scope("Decrypt", "", None);
        let mut uses = uses("11 Decrypt");
        uses.note(("other", "g"), "Decrypt", Vec::new(), 12);
        uses.note(("k", "other"), "Decrypt", Vec::new(), 13);
        let nobody = GrantScope { grantee: "nobody".to_owned(), ..grant.clone() };
        assert_eq!(uses.last_uses(&[grant, nobody]), [Some(11), None]);
    }
}
