-- title: Records that a later one corrects
-- row: record that is left out of the views over calls
-- description: AWS may deliver a record again with corrected fields, under an id of its own. Of several corrections the last one stands, by time and then by id; the others are left out like the record that they correct.
-- column: event_id : the record that is left out
-- column: corrected_by : the id of the record that stands instead; the same where a correction has the id of its original
WITH corrected AS (
    SELECT revises_event_id AS original, event_id AS correction,
           first_value(event_id) OVER (PARTITION BY revises_event_id ORDER BY event_time DESC NULLS LAST, event_id DESC)
               AS corrected_by
    FROM event_companions
    WHERE revises_event_id IS NOT NULL)
SELECT original AS event_id, corrected_by FROM corrected
UNION
SELECT correction, corrected_by FROM corrected WHERE correction <> corrected_by
