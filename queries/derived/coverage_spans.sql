-- title: What the logs can prove, as spans of equal hours
-- row: account × Region × span of hours that are alike
-- description: The hours of `coverage` in a row that have the same state, basis, kms_logged and verdict, from the first object on. What no account, Region or hour has is counted in one row of its own.
-- column: account_id : the account
-- column: region : the Region
-- column: from_hour : the begin of the first hour
-- column: until_hour : the end of the last
-- column: hours : the number of hours
-- column: objects : as in `coverage`, together; an object counts in each of its hours
-- column: records : the kept records; NULL where an hour is among them of which only a part is asked for
-- column: faults : objects that could not be used, objects with records that could not be read, digests that say nothing
-- column: state : as in `coverage`
-- column: basis : as in `coverage`
-- column: kms_logged : as in `coverage`
-- column: verdict : `bad` where a log is missing, KMS was left out, logging was off, or something could not be read; else `good` where the hour is `covered` or `quiet` and KMS was logged; NULL where nothing is proved
SELECT kind, account_id, region, from_time, until_time, name, log, request, response, objects, records, key_reads, faults
FROM coverage_facts
