//! Holds the features of crates that keytrail and its tests share, so that both are compiled with the same ones.
//! In: nothing. Out: nothing; the package is its manifest, which says why.
//! Never holds code.
