//! stub-named
pub struct Param { pub name: String, pub ty: String, pub default: Option<String>, pub about: String }
pub struct NamedQuery { pub name: &'static str, pub title: String, pub description: String, pub params: Vec<Param>, pub severity: Option<String>, pub sql: &'static str }
impl NamedQuery { pub fn values(&self, _p: &[(String, String)]) -> Result<std::collections::HashMap<String, datafusion::common::ScalarValue>, String> { Ok(Default::default()) } }
pub fn all() -> &'static [NamedQuery] { &[] }
pub fn find(name: &str) -> Option<&'static NamedQuery> { all().iter().find(|q| q.name == name) }
pub fn suggest(_name: &str) -> Option<&'static str> { None }
pub fn audit_section(_name: &str) -> &'static str { "SELECT 1 AS stub" }
