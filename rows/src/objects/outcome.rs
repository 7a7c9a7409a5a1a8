//! The outcome of one object, with its reason: the columns `status` and `error` of `objects` in one value.
//! In: words. Out: the status, and the text of the error, which is composed and read back here alone.

use std::borrow::Cow;

use super::words::{FaultReason, ObjectChange, ObjectFlag, ObjectKind, ObjectStatus, SkipReason, UnknownWord};

/// Stands after the fault of a damaged object whose whole records were taken.
const SALVAGED: &str = " (salvaged)";

/// The outcome of an object: its status and the reason for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectOutcome {
    Read,
    /// In the order in which they were noticed.
    Flagged(Box<[ObjectFlag]>),
    Skipped(SkipReason),
    Quarantined(FaultReason),
    /// Quarantined too, but its whole records were taken.
    Salvaged(FaultReason),
    Refused(FaultReason),
    Missing,
    Changed(ObjectChange),
}

impl ObjectOutcome {
    /// Its status, the first of the two stored columns.
    pub fn status(&self) -> ObjectStatus {
        match self {
            ObjectOutcome::Read => ObjectStatus::Read,
            ObjectOutcome::Flagged(_) => ObjectStatus::Flagged,
            ObjectOutcome::Skipped(_) => ObjectStatus::Skipped,
            ObjectOutcome::Quarantined(_) | ObjectOutcome::Salvaged(_) => ObjectStatus::Quarantined,
            ObjectOutcome::Refused(_) => ObjectStatus::Refused,
            ObjectOutcome::Missing => ObjectStatus::Missing,
            ObjectOutcome::Changed(_) => ObjectStatus::Changed,
        }
    }

    /// The text of `objects.error`; `None` for an object that was read and is not odd.
    pub fn error(&self) -> Option<Cow<'static, str>> {
        Some(match self {
            ObjectOutcome::Read => return None,
            ObjectOutcome::Flagged(flags) => {
                let names: Vec<&str> = flags.iter().map(|flag| flag.name()).collect();
                Cow::Owned(names.join(","))
            }
            ObjectOutcome::Skipped(reason) => Cow::Borrowed(reason.name()),
            ObjectOutcome::Quarantined(reason) | ObjectOutcome::Refused(reason) => Cow::Borrowed(reason.name()),
            ObjectOutcome::Salvaged(reason) => Cow::Owned(format!("{}{SALVAGED}", reason.name())),
            ObjectOutcome::Missing => Cow::Borrowed(ObjectStatus::Missing.name()),
            ObjectOutcome::Changed(change) => Cow::Borrowed(change.name()),
        })
    }

    /// Reads the two columns back.
    pub fn parse(status: ObjectStatus, error: Option<&str>) -> Result<ObjectOutcome, UnknownWord> {
        let text = error.unwrap_or_default();
        let unknown = || UnknownWord::new("error of such an object", text);
        Ok(match status {
            ObjectStatus::Read if error.is_none() => ObjectOutcome::Read,
            ObjectStatus::Read => return Err(unknown()),
            ObjectStatus::Flagged => {
                ObjectOutcome::Flagged(text.split(',').map(ObjectFlag::parse).collect::<Result<_, _>>()?)
            }
            ObjectStatus::Skipped => ObjectOutcome::Skipped(SkipReason::parse(text)?),
            ObjectStatus::Quarantined => match text.strip_suffix(SALVAGED) {
                Some(reason) => ObjectOutcome::Salvaged(FaultReason::parse(reason)?),
                None => ObjectOutcome::Quarantined(FaultReason::parse(text)?),
            },
            ObjectStatus::Refused => ObjectOutcome::Refused(FaultReason::parse(text)?),
            ObjectStatus::Missing if text == ObjectStatus::Missing.name() => ObjectOutcome::Missing,
            ObjectStatus::Missing => return Err(unknown()),
            ObjectStatus::Changed => ObjectOutcome::Changed(ObjectChange::parse(text)?),
        })
    }

    /// True of an object that was read whole and has this oddity.
    pub fn has_flag(&self, flag: ObjectFlag) -> bool {
        matches!(self, ObjectOutcome::Flagged(flags) if flags.contains(&flag))
    }

    /// The kind of a trail's object, which follows from its outcome.
    pub fn kind(&self) -> ObjectKind {
        match self {
            ObjectOutcome::Skipped(SkipReason::Digest) => ObjectKind::Digest,
            ObjectOutcome::Skipped(SkipReason::Insight) => ObjectKind::Insight,
            ObjectOutcome::Skipped(SkipReason::Aggregated) => ObjectKind::Aggregated,
            ObjectOutcome::Skipped(
                SkipReason::NotLogName
                | SkipReason::NotALog
                | SkipReason::OtherLog
                | SkipReason::RegionNotEnabled
                | SkipReason::EndOfHistory,
            ) => ObjectKind::Other,
            ObjectOutcome::Read
            | ObjectOutcome::Flagged(_)
            | ObjectOutcome::Quarantined(_)
            | ObjectOutcome::Salvaged(_)
            | ObjectOutcome::Refused(_)
            | ObjectOutcome::Missing
            | ObjectOutcome::Changed(_) => ObjectKind::Log,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_columns_are_read_back_as_they_were_composed() {
        let flags = Box::new([ObjectFlag::Wrapped, ObjectFlag::Ndjson, ObjectFlag::TrailingData]);
        for (outcome, status, error) in [
            (ObjectOutcome::Read, "read", None),
            (ObjectOutcome::Flagged(flags), "flagged", Some("wrapped,ndjson,trailing_data")),
            (ObjectOutcome::Skipped(SkipReason::Digest), "skipped", Some("is_digest")),
            (ObjectOutcome::Quarantined(FaultReason::GzipCrc), "quarantined", Some("gzip_crc")),
            (ObjectOutcome::Salvaged(FaultReason::GzipCrc), "quarantined", Some("gzip_crc (salvaged)")),
            (ObjectOutcome::Refused(FaultReason::AccessDenied), "refused", Some("access_denied")),
            (ObjectOutcome::Missing, "missing", Some("missing")),
            (ObjectOutcome::Changed(ObjectChange::WhileRead), "changed", Some("changed")),
            (ObjectOutcome::Changed(ObjectChange::SinceRead), "changed", Some("replaced")),
        ] {
            assert_eq!((outcome.status().name(), outcome.error().as_deref()), (status, error));
            assert_eq!(ObjectOutcome::parse(ObjectStatus::parse(status).unwrap(), error), Ok(outcome));
        }
    }

    #[test]
    fn an_unknown_error_does_not_parse() {
        for (status, error) in [
            (ObjectStatus::Read, Some("bom")),
            (ObjectStatus::Flagged, None),
            (ObjectStatus::Flagged, Some("bom,")),
            (ObjectStatus::Skipped, Some("gzip_crc")),
            (ObjectStatus::Quarantined, Some("gzip_crc(salvaged)")),
            (ObjectStatus::Refused, Some("gone")),
            (ObjectStatus::Missing, None),
            (ObjectStatus::Changed, Some("missing")),
        ] {
            assert!(ObjectOutcome::parse(status, error).is_err(), "{status:?} {error:?}");
        }
    }

    #[test]
    fn an_outcome_tells_the_kind_and_has_its_own_flags() {
        for (outcome, kind) in [
            (ObjectOutcome::Skipped(SkipReason::Digest), ObjectKind::Digest),
            (ObjectOutcome::Skipped(SkipReason::Insight), ObjectKind::Insight),
            (ObjectOutcome::Skipped(SkipReason::Aggregated), ObjectKind::Aggregated),
            (ObjectOutcome::Skipped(SkipReason::NotALog), ObjectKind::Other),
            (ObjectOutcome::Salvaged(FaultReason::GzipCrc), ObjectKind::Log),
            (ObjectOutcome::Missing, ObjectKind::Log),
            (ObjectOutcome::Read, ObjectKind::Log),
        ] {
            assert_eq!(outcome.kind(), kind, "{outcome:?}");
            assert!(!outcome.has_flag(ObjectFlag::Ndjson), "{outcome:?}");
        }
        let flagged = ObjectOutcome::Flagged([ObjectFlag::Ndjson].into());
        assert!(flagged.has_flag(ObjectFlag::Ndjson) && !flagged.has_flag(ObjectFlag::TrailingData));
    }
}
