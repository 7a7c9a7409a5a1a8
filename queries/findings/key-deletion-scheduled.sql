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
       concat('deletion scheduled after ', coalesce(json_get_int(response_elements, 'pendingWindowInDays'),
                                                    json_get_int(request_parameters, 'pendingWindowInDays'), 30), ' days',
              circumstances) AS detail,
       CASE WHEN undone_at IS NOT NULL THEN 'medium'
            WHEN used_before >= event_time - INTERVAL '30 days' THEN 'critical' END AS severity
FROM key_removals
WHERE event_name = 'ScheduleKeyDeletion'
