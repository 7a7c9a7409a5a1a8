-- title: A key was scheduled for deletion
-- severity: high
-- why: When the waiting period ends, whatever is encrypted under the key is lost for good. Critical if the key was in use in the 30 days before, medium if the deletion was cancelled since.
-- controls: PCI DSS 3.7.5
-- controls: NIST SC-12
-- controls: CIS AWS 4.7
-- controls: FSBP KMS.3
-- attack: T1485 Data Destruction
-- false-positives: A team that retires an application deletes its keys in the end, and test accounts delete them with every stack.
-- next: `keytrail query who-needs-a-key -p key=KEY` tells who would notice. `aws kms cancel-key-deletion` works until the date, `aws kms enable-key` after it.
-- next: Ask the principal, or the person behind its session, for the change that this belongs to.
-- set: default
-- needs: kms_writes
SELECT event_time, key_account_id AS account_id, key_region AS region, principal,
       array_compact(make_array(session_arn)) AS sessions, array_compact(make_array(source_ip_address)) AS source_ips,
       key_arn, arrow_cast(NULL, 'Utf8') AS table_name, outcome, make_array(event_id) AS event_ids,
       concat(CASE WHEN undone_at IS NULL THEN 'deletion scheduled'
                   ELSE concat('deletion scheduled, and cancelled on ', to_char(undone_at, '%Y-%m-%d %H:%M'), ' by ', undone_by) END,
              ', waiting period ', coalesce(json_get_int(response_elements, 'pendingWindowInDays'),
                                            json_get_int(request_parameters, 'pendingWindowInDays'), 30), ' days',
              CASE WHEN used_before IS NULL THEN ', no use seen'
                   ELSE concat(', last used ', to_char(used_before, '%Y-%m-%d %H:%M')) END,
              CASE WHEN tables IS NOT NULL THEN concat(', protects ', cardinality(tables), ' table(s): ',
                                                       array_to_string(array_slice(tables, 1, 3), ', ')) END) AS detail,
       CASE WHEN undone_at IS NOT NULL THEN 'medium'
            WHEN used_before >= event_time - INTERVAL '30 days' THEN 'critical' END AS severity
FROM key_removals
WHERE event_name = 'ScheduleKeyDeletion'
