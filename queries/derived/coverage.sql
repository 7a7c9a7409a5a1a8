-- title: What the logs of each hour can prove
-- row: account × Region × hour
-- description: Every hour of the interval that is asked for, or else from the first object to the last, of each account and Region that has an object or is expected. An object counts in the hours of its kept records, unless these lie more than 31 days before its delivery or a day after; where records of it were screened out, or none was kept, in the hour of its name as well. An hour with an object is not yet a complete hour: `covered` by `objects` means that some logs are here. Digests are read for what they name, whether or not they are proved; they name logs by delivery, so an hour is theirs if the times of those of one trail reach over all of it and the 15 minutes after it. Backfill digests name logs that others have missed, and no hour is theirs. More than a million rows are refused; `coverage_spans` has no such bound.
-- column: account_id : the account
-- column: region : the Region
-- column: hour : the begin of the hour
-- column: objects : the objects with a record in the hour
-- column: records : their kept records; NULL of an hour of which only a part is asked for
-- column: state : `covered`, `quiet` where digests alone tell of it, `missing` where a digest names a log that is not here, `unknown`
-- column: basis : what the state rests on: `digest`, `objects` or `none`; of a `covered` hour never `digest` if KMS was logged, where a trail says that this may not have been so all the time, or where no trail whose digests these are is known to log KMS
-- column: kms_logged : `yes` in an hour with a read-only record of KMS; else the worst that event selectors and switches seen before say: `excluded` where a selector leaves KMS out, `stopped` where logging was off; else `yes` if there was such a record before and no account or Region is left out, in which a trail may have been changed; `unknown`, as also in a `quiet` hour of digests of a trail that is not known to log KMS. Records of the event history, which has KMS whatever a selector says, show nothing of a trail
SELECT kind, account_id, region, from_time, until_time, name, log, request, response, objects, records, key_reads, faults
FROM coverage_facts
