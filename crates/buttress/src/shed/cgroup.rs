use super::Source;
use buttress_core::shed::Reading;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

/// How much of the processors and of memory the process's cgroup uses, of what it may use.
///
/// It reads the files of Linux, a dozen small ones each time, which the kernel makes up in memory.
/// Of a cgroup (version 2, or 1 where that is what is mounted) it takes the time on processors, the
/// memory without what can be given back at once (inactive file pages, as Kubernetes counts), and
/// the limits. Where a cgroup has no limit, or there is none, the process's own time is compared
/// with the processors of the machine, and its resident memory with the machine's. A limit of a
/// cgroup further up is not seen.
///
/// On other systems nothing is known, and nothing is refused.
#[derive(Debug)]
pub struct ProcessUse {
    root: PathBuf,
    processors: f64,
    before: Option<(Instant, Duration)>,
}

impl ProcessUse {
    /// Of this process.
    pub fn new() -> Self {
        Self::under(PathBuf::from("/"))
    }

    fn under(root: PathBuf) -> Self {
        Self {
            root,
            processors: available_parallelism().map_or(1.0, |processors| processors.get() as f64),
            before: None,
        }
    }

    fn read_file(&self, path: impl AsRef<Path>) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok()
    }

    /// The directory of the process's cgroup: version 2, or version 1 of `controller`.
    fn directory(&self, controller: Option<&str>) -> Option<PathBuf> {
        let groups = self.read_file("proc/self/cgroup")?;
        let path = groups.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?);
            let is_it = match controller {
                None => controllers.is_empty(),
                Some(controller) => controllers.split(',').any(|name| name == controller),
            };
            is_it.then_some(path)
        })?;
        let mount = Path::new("sys/fs/cgroup").join(controller.unwrap_or_default());
        let own = mount.join(path.trim_start_matches('/'));
        // In a container the path may be the host's, while what is mounted is the container's.
        let is_there = self.root.join(&own).is_dir();
        Some(if is_there { own } else { mount })
    }

    fn cpu(&mut self, now: Instant) -> Option<f64> {
        let (used, processors) = self
            .cpu_of_version_2()
            .or_else(|| self.cpu_of_version_1())
            .or_else(|| self.cpu_of_the_process())?;
        let (then, used_then) = self.before.replace((now, used))?;
        let elapsed = now.saturating_duration_since(then).as_secs_f64();
        let used = used.saturating_sub(used_then).as_secs_f64();
        (elapsed > 0.0 && processors > 0.0).then(|| used / elapsed / processors)
    }

    fn cpu_of_version_2(&self) -> Option<(Duration, f64)> {
        let directory = self.directory(None)?;
        let limit = self.read_file(directory.join("cpu.max"))?;
        let mut limit = limit.split_whitespace();
        let processors = quota(limit.next()?, limit.next()?)?;
        let statistics = self.read_file(directory.join("cpu.stat"))?;
        let used = Duration::from_micros(named(&statistics, "usage_usec")?);
        Some((used, processors))
    }

    fn cpu_of_version_1(&self) -> Option<(Duration, f64)> {
        let directory = self.directory(Some("cpu"))?;
        let quota_and_period = (
            self.read_file(directory.join("cpu.cfs_quota_us"))?,
            self.read_file(directory.join("cpu.cfs_period_us"))?,
        );
        let processors = quota(quota_and_period.0.trim(), quota_and_period.1.trim())?;
        let directory = self.directory(Some("cpuacct"))?;
        let used = self.read_file(directory.join("cpuacct.usage"))?;
        Some((Duration::from_nanos(used.trim().parse().ok()?), processors))
    }

    fn cpu_of_the_process(&self) -> Option<(Duration, f64)> {
        let statistics = self.read_file("proc/self/stat")?;
        // The name of the program may hold anything, and ends at the last parenthesis.
        let (_, fields) = statistics.rsplit_once(')')?;
        let mut fields = fields.split_whitespace().skip(11);
        let (user, system): (u64, u64) =
            (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let ticks = user.saturating_add(system);
        Some((
            Duration::from_millis(ticks.saturating_mul(TICK)),
            self.processors,
        ))
    }

    fn memory(&self) -> Option<f64> {
        let (used, limit) = self
            .memory_of_version_2()
            .or_else(|| self.memory_of_version_1())
            .or_else(|| self.memory_of_the_process())?;
        (limit > 0).then(|| used as f64 / limit as f64)
    }

    fn memory_of_version_2(&self) -> Option<(u64, u64)> {
        let directory = self.directory(None)?;
        let limit = self.read_file(directory.join("memory.max"))?;
        let limit = limit.trim().parse().ok()?;
        let used = self.read_file(directory.join("memory.current"))?;
        let used: u64 = used.trim().parse().ok()?;
        let statistics = self.read_file(directory.join("memory.stat"));
        let inactive = statistics.and_then(|text| named(&text, "inactive_file"));
        Some((used.saturating_sub(inactive.unwrap_or(0)), limit))
    }

    fn memory_of_version_1(&self) -> Option<(u64, u64)> {
        let directory = self.directory(Some("memory"))?;
        let limit = self.read_file(directory.join("memory.limit_in_bytes"))?;
        let limit = limit
            .trim()
            .parse()
            .ok()
            .filter(|limit| *limit < NO_LIMIT)?;
        let used = self.read_file(directory.join("memory.usage_in_bytes"))?;
        let used: u64 = used.trim().parse().ok()?;
        let statistics = self.read_file(directory.join("memory.stat"));
        let inactive = statistics.and_then(|text| named(&text, "total_inactive_file"));
        Some((used.saturating_sub(inactive.unwrap_or(0)), limit))
    }

    fn memory_of_the_process(&self) -> Option<(u64, u64)> {
        let used = named(&self.read_file("proc/self/status")?, "VmRSS:")?;
        let there_is = named(&self.read_file("proc/meminfo")?, "MemTotal:")?;
        Some((used, there_is))
    }
}

impl Default for ProcessUse {
    fn default() -> Self {
        Self::new()
    }
}

impl Source for ProcessUse {
    fn read(&mut self, now: Instant) -> Reading {
        Reading {
            cpu: self.cpu(now),
            memory: self.memory(),
        }
    }
}

/// How many processors' time a cgroup may use, if it has a limit.
fn quota(quota: &str, period: &str) -> Option<f64> {
    // Without a limit it says `max` in version 2 and -1 in version 1.
    let quota: f64 = quota.parse().ok().filter(|quota| *quota > 0.0)?;
    let period: f64 = period.parse().ok().filter(|period| *period > 0.0)?;
    Some(quota / period)
}

/// The number after a name, in lines of names and numbers.
fn named(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == name).then(|| words.next()?.parse().ok())?
    })
}

/// Milliseconds. Linux counts in hundredths of a second there, whatever its own clock does.
const TICK: u64 = 10;

/// Version 1 says "no limit" by a number that no machine has.
const NO_LIMIT: u64 = 1 << 60;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A directory with files, which goes with it.
    struct Files(PathBuf);

    impl Files {
        fn new(files: &[(&str, &str)]) -> Self {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("buttress-cgroup-{}-{number}", std::process::id());
            let root = std::env::temp_dir().join(name);
            let files_at = Self(root);
            files_at.write("proc/self/stat", PROCESS);
            files_at.write("proc/self/status", "Name:\ta\nVmRSS:\t  250 kB\n");
            files_at.write("proc/meminfo", "MemTotal:  1000 kB\nMemFree: 1 kB\n");
            for (path, text) in files {
                files_at.write(path, text);
            }
            files_at
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn source(&self) -> ProcessUse {
            let mut source = ProcessUse::under(self.0.clone());
            source.processors = 4.0;
            source
        }
    }

    impl Drop for Files {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// 3 s in user mode and 1 s in the kernel; the program's name is a trap.
    const PROCESS: &str = "42 (a) b 1 (x) S 1 1 1 0 -1 4194560 1 0 0 0 300 100 0 0 20 0 9 0";

    /// What is read at two times, a second apart, where the second has other files.
    fn a_second_apart(files: &Files, then: &[(&str, &str)]) -> Reading {
        let mut source = files.source();
        let begin = tokio::time::Instant::now().into_std();
        assert_eq!(source.read(begin).cpu, None, "use is a difference");
        for (path, text) in then {
            files.write(path, text);
        }
        source.read(begin + Duration::from_secs(1))
    }

    #[test]
    fn a_cgroup_of_version_2_is_compared_with_its_limits() {
        let group = "sys/fs/cgroup/app/x";
        let files = Files::new(&[
            ("proc/self/cgroup", "0::/app/x\n"),
            (&format!("{group}/cpu.max"), "200000 100000\n"),
            (
                &format!("{group}/cpu.stat"),
                "usage_usec 1000000\nuser_usec 1\n",
            ),
            (&format!("{group}/memory.max"), "1000\n"),
            (&format!("{group}/memory.current"), "900\n"),
            (
                &format!("{group}/memory.stat"),
                "anon 1\ninactive_file 100\n",
            ),
        ]);
        let later = (&*format!("{group}/cpu.stat"), "usage_usec 2500000\n");
        let reading = a_second_apart(&files, &[later]);
        // 1.5 s of 2 × 1 s, and 800 of 1000 bytes.
        assert_eq!(
            reading,
            Reading {
                cpu: Some(0.75),
                memory: Some(0.8)
            }
        );
    }

    #[test]
    fn a_cgroup_of_version_1_is_compared_with_its_limits() {
        let files = Files::new(&[
            ("proc/self/cgroup", "5:cpu,cpuacct:/app\n4:memory:/app\n"),
            ("sys/fs/cgroup/cpu/app/cpu.cfs_quota_us", "50000\n"),
            ("sys/fs/cgroup/cpu/app/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/cpuacct/app/cpuacct.usage", "1000000000\n"),
            ("sys/fs/cgroup/memory/app/memory.limit_in_bytes", "1000\n"),
            ("sys/fs/cgroup/memory/app/memory.usage_in_bytes", "600\n"),
            (
                "sys/fs/cgroup/memory/app/memory.stat",
                "total_inactive_file 100\n",
            ),
        ]);
        let later = ("sys/fs/cgroup/cpuacct/app/cpuacct.usage", "1250000000\n");
        let reading = a_second_apart(&files, &[later]);
        assert_eq!(
            reading,
            Reading {
                cpu: Some(0.5),
                memory: Some(0.5)
            }
        );
    }

    #[test]
    fn a_cgroup_that_is_mounted_as_the_root_is_found() {
        let files = Files::new(&[
            ("proc/self/cgroup", "0::/kubepods/pod/abc\n"),
            ("sys/fs/cgroup/memory.max", "1000\n"),
            ("sys/fs/cgroup/memory.current", "300\n"),
        ]);
        assert_eq!(files.source().memory(), Some(0.3));
    }

    #[test]
    fn without_a_limit_the_process_is_compared_with_the_machine() {
        let unlimited = [
            ("proc/self/cgroup", "0::/\n5:memory:/\n"),
            ("sys/fs/cgroup/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/cpu.stat", "usage_usec 1\n"),
            ("sys/fs/cgroup/memory.max", "max\n"),
            ("sys/fs/cgroup/memory.current", "1\n"),
            (
                "sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "1\n"),
        ];
        for files in [Files::new(&unlimited), Files::new(&[])] {
            let later = PROCESS.replace("300 100", "400 200");
            let reading = a_second_apart(&files, &[("proc/self/stat", &later)]);
            // 2 s of 4 × 1 s, and 250 of 1000 kB.
            assert_eq!(
                reading,
                Reading {
                    cpu: Some(0.5),
                    memory: Some(0.25)
                }
            );
        }
    }

    #[test]
    fn where_there_are_no_files_nothing_is_known() {
        let mut source = ProcessUse::under(PathBuf::from("/nowhere"));
        let now = tokio::time::Instant::now().into_std();
        assert_eq!(source.read(now), Reading::default());
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(text in "[ -~\n]{0,80}", cgroup in "[0-9:a-z/,\n]{0,40}") {
            let files = Files::new(&[
                ("proc/self/cgroup", &cgroup),
                ("sys/fs/cgroup/cpu.max", &text),
                ("sys/fs/cgroup/memory.max", &text),
                ("proc/self/stat", &text),
                ("proc/meminfo", &text),
            ]);
            let now = tokio::time::Instant::now().into_std();
            let mut source = files.source();
            let _ = source.read(now);
            let later = source.read(now + Duration::from_secs(1));
            for used in [later.cpu, later.memory].into_iter().flatten() {
                prop_assert!(used >= 0.0);
            }
        }
    }
}
