-- title: Calls that change who may use keys
-- row: call of IAM, Organizations, KMS or EC2 that changes who may do what, with every outcome
-- description: A plain filter; `access_changes` has what each changes. Of IAM and Organizations every change of a policy, its attachments, memberships, boundaries, roles, users and groups, and every move or removal of an account, is here, whatever its policy is about, since a new text may take away what an old one allowed. Of EC2 only policies of VPC endpoints that name actions of KMS.
SELECT *
FROM call_persons
WHERE event_name IN (
    'AddUserToGroup', 'AttachGroupPolicy', 'AttachPolicy', 'AttachRolePolicy', 'AttachUserPolicy', 'CreateGrant',
    'CreateGroup', 'CreateKey', 'CreatePolicy', 'CreatePolicyVersion', 'CreateRole', 'CreateServiceLinkedRole',
    'CreateUser', 'CreateVpcEndpoint', 'DeleteGroup', 'DeleteGroupPolicy', 'DeletePolicy', 'DeletePolicyVersion',
    'DeleteRole', 'DeleteRolePermissionsBoundary', 'DeleteRolePolicy', 'DeleteServiceLinkedRole', 'DeleteUser',
    'DeleteUserPermissionsBoundary', 'DeleteUserPolicy', 'DetachGroupPolicy', 'DetachPolicy', 'DetachRolePolicy',
    'DetachUserPolicy', 'DisablePolicyType', 'EnablePolicyType', 'ModifyVpcEndpoint', 'MoveAccount', 'PutGroupPolicy',
    'PutKeyPolicy', 'PutRolePermissionsBoundary', 'PutRolePolicy', 'PutUserPermissionsBoundary', 'PutUserPolicy',
    'RemoveAccountFromOrganization', 'RemoveUserFromGroup', 'ReplicateKey', 'RetireGrant', 'RevokeGrant',
    'SetDefaultPolicyVersion', 'UpdateAssumeRolePolicy', 'UpdatePolicy')
  AND (event_source IN ('iam.amazonaws.com', 'organizations.amazonaws.com')
       OR operation_class IN ('grant', 'policy', 'lifecycle')
       OR (event_source = 'ec2.amazonaws.com' AND request_parameters ILIKE '%kms:%'))
