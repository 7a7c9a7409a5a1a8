//! stub-views
pub fn all() -> &'static [(&'static str, &'static str)] { &[("key_attempts", "SELECT * FROM events WHERE operation_class = 'crypto'")] }
