-- title: Calls of STS that gave the credentials of a session
-- row: successful AssumeRole, AssumeRoleWithSAML, AssumeRoleWithWebIdentity, AssumeRoot or GetFederationToken
-- description: Who asked stands in the columns of `events`, what was given in these. GetSessionToken is none of them: its credentials are of the user that asked, and calls with them name the user.
-- column: given_id : the id of the session, as its calls have it in `principal_id`
-- column: given_arn : the ARN of the session; where the answer does not tell it, from the role and the session's name in the request
-- column: given_access_key : the id of the access key that was given
-- column: given_identity : the source identity that the session was given
SELECT *,
       coalesce(json_get_str(response_elements, 'assumedRoleUser', 'assumedRoleId'),
                json_get_str(response_elements, 'federatedUser', 'federatedUserId'),
                -- A session of AssumeRoot is of the root user of the account that it asks for by id or ARN.
                CASE WHEN event_name = 'AssumeRoot' AND starts_with(json_get_str(request_parameters, 'targetPrincipal'), 'arn:')
                         THEN split_part(json_get_str(request_parameters, 'targetPrincipal'), ':', 5)
                     WHEN event_name = 'AssumeRoot' THEN json_get_str(request_parameters, 'targetPrincipal') END) AS given_id,
       coalesce(json_get_str(response_elements, 'assumedRoleUser', 'arn'),
                json_get_str(response_elements, 'federatedUser', 'arn'),
                CASE WHEN json_get_str(request_parameters, 'roleArn') LIKE 'arn:%:iam::%:role/%'
                     THEN 'arn:' || split_part(json_get_str(request_parameters, 'roleArn'), ':', 2)
                         || ':sts::' || split_part(json_get_str(request_parameters, 'roleArn'), ':', 5)
                         -- The ARN of a session has no path.
                         || ':assumed-role/' || split_part(json_get_str(request_parameters, 'roleArn'), '/', -1)
                         || '/' || json_get_str(request_parameters, 'roleSessionName') END) AS given_arn,
       json_get_str(response_elements, 'credentials', 'accessKeyId') AS given_access_key,
       coalesce(json_get_str(response_elements, 'sourceIdentity'),
                json_get_str(request_parameters, 'sourceIdentity')) AS given_identity
FROM calls
WHERE event_source = 'sts.amazonaws.com' AND outcome = 'success'
  AND event_name IN ('AssumeRole', 'AssumeRoleWithSAML', 'AssumeRoleWithWebIdentity', 'AssumeRoot', 'GetFederationToken')
