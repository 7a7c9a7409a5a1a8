//! THE table behind `operation_class`: the effect of each KMS event name on a key.
//! In: the event name of a KMS record. Out: its class.
//! `readOnly` plays no part: AWS calls `Decrypt` read-only.

/// Event names by class, each list sorted.
pub const OPERATIONS: &[(&str, &[&str])] = &[
    (
        "crypto",
        &[
            "Decrypt",
            "DeriveSharedSecret",
            "Encrypt",
            "GenerateDataKey",
            "GenerateDataKeyPair",
            "GenerateDataKeyPairWithoutPlaintext",
            "GenerateDataKeyWithoutPlaintext",
            "GenerateMac",
            "GenerateRandom",
            "ReEncrypt",
            "Sign",
            "Verify",
            "VerifyMac",
        ],
    ),
    (
        "read",
        &[
            "DescribeCustomKeyStores",
            "DescribeKey",
            "GetKeyLastUsage",
            "GetKeyPolicy",
            "GetKeyRotationStatus",
            "GetParametersForImport",
            "GetPublicKey",
            "ListAliases",
            "ListGrants",
            "ListKeyPolicies",
            "ListKeyRotations",
            "ListKeys",
            "ListResourceTags",
            "ListRetirableGrants",
        ],
    ),
    ("grant", &["CreateGrant", "RetireGrant", "RevokeGrant"]),
    ("policy", &["PutKeyPolicy", "TagResource", "UntagResource"]),
    (
        "lifecycle",
        &[
            "CancelKeyDeletion",
            "ConnectCustomKeyStore",
            "CreateAlias",
            "CreateCustomKeyStore",
            "CreateKey",
            "DeleteAlias",
            "DeleteCustomKeyStore",
            "DeleteExpiredKeyMaterial",
            "DeleteImportedKeyMaterial",
            "DeleteKey",
            "DisableKey",
            "DisableKeyRotation",
            "DisconnectCustomKeyStore",
            "EnableKey",
            "EnableKeyRotation",
            "ImportKeyMaterial",
            "ReplicateKey",
            "RotateKey",
            "RotateKeyOnDemand",
            "ScheduleKeyDeletion",
            "SynchronizeMultiRegionKey",
            "UpdateAlias",
            "UpdateCustomKeyStore",
            "UpdateKeyDescription",
            "UpdatePrimaryRegion",
        ],
    ),
];

/// The class of a KMS event; `other` for names that KMS did not have when this was written.
pub fn class(event_name: &str) -> &'static str {
    OPERATIONS.iter().find(|(_, names)| names.binary_search(&event_name).is_ok()).map_or("other", |(class, _)| class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_stand_once() {
        let mut all: Vec<&str> = OPERATIONS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        assert!(OPERATIONS.iter().all(|(_, names)| names.is_sorted()));
        all.sort_unstable();
        all.dedup();
        // 54 API operations and 4 events without a caller's call.
        assert_eq!(all.len(), 58);
        assert_eq!(class("Decrypt"), "crypto");
        assert_eq!(class("decrypt"), "other");
    }
}
