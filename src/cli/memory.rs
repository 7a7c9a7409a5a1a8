//! The memory of this machine, or of the container that the process runs in.
//! In: files of the system. Out: the bytes that a run may take, unless the user says otherwise.

use std::fs;
use std::path::Path;

/// Three quarters of the memory; none where the system does not say how much it has.
pub fn most_of_machine() -> Option<usize> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let bytes: usize = machine.into_iter().chain(least_of_groups(&groups, Path::new("/sys/fs/cgroup"))).min()?;
    Some(bytes / 4 * 3)
}

/// The least bound of the control groups that the process is in, and of those above them, in either version of groups.
/// A container may see its group as the root of all.
fn least_of_groups(own: &str, mounted: &Path) -> Option<usize> {
    let bounds = own.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, group) = (fields.next()?, fields.next()?.trim_start_matches('/'));
        let (top, file) = match controllers {
            "" => (mounted.to_owned(), "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                (mounted.join(controllers), "memory.limit_in_bytes")
            }
            _ => return None,
        };
        let above = top.join(group);
        let groups = above.ancestors().take_while(|group| group.starts_with(&top)).map(|group| group.join(file));
        groups.chain([top.join(file)]).filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok()).min()
    });
    bounds.min()
}

fn total(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix(" kB")?.parse::<usize>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_linux_writes_it() {
        assert_eq!(total("MemTotal:       16384 kB\nMemFree: 1 kB\n"), Some(16 << 20));
        assert_eq!(total("MemFree: 1 kB\n"), None);
    }

    #[test]
    fn the_least_bound_of_a_group_or_one_above_counts() {
        let top = tempfile::tempdir().unwrap();
        let put = |file: &str, text: &str| {
            let file = top.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        let least = |own: &str| least_of_groups(own, top.path());
        assert_eq!(least("0::/\n"), None);
        put("memory.max", "max\n");
        put("a/memory.max", "3000\n");
        put("a/b/memory.max", "5000\n");
        for (own, bound) in [("0::/\n", None), ("0::/a\n", Some(3000)), ("0::/a/b\n", Some(3000)), ("0::/x/y\n", None)]
        {
            assert_eq!(least(own), bound, "{own}");
        }
        put("memory/memory.limit_in_bytes", "9223372036854771712\n");
        put("memory/a/memory.limit_in_bytes", "2000\n");
        let first = "12:memory:/a\n3:cpu,cpuacct:/a\n1:name=systemd:/a\n0::/\n";
        assert_eq!(least(first), Some(2000));
        assert_eq!(least("12:memory:/outside/of/the/container\n"), Some(9_223_372_036_854_771_712));
        put("memory/memory.limit_in_bytes", "1000\n");
        assert_eq!(least(first), Some(1000));
    }
}
