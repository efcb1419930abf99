//! A disk of its own for a node: an image with ext4 on it, mounted by whoever may.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;

use super::node::Node;

/// A file system of its own that loses its power.
pub(crate) struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    /// `None`, and a word, where this process may not make one.
    #[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
    pub(crate) fn make() -> Option<Self> {
        let disk = Self { folder: tempfile::tempdir().unwrap() };
        let image = disk.folder.path().join("image");
        std::fs::create_dir(disk.mounted()).unwrap();
        let file = std::fs::File::create(&image).unwrap();
        file.set_len(256 << 20).unwrap();
        let made = quiet("mkfs.ext4", &["-q", "-F", image.to_str().unwrap()]);
        let is_there = made && disk.mount();
        if !is_there {
            println!("skipped: this process may not mount a file system");
        }
        is_there.then_some(disk)
    }

    pub(crate) fn mounted(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    pub(crate) fn mount(&self) -> bool {
        let image = self.folder.path().join("image");
        let at = self.mounted();
        quiet("mount", &["-o", "loop", image.to_str().unwrap(), at.to_str().unwrap()])
    }

    /// From now on nothing reaches the disk, not even what the journal has in memory.
    pub(crate) fn cut(&self) -> bool {
        // EXT4_IOC_SHUTDOWN, without flushing the log.
        let script = "open(F, '<', $ARGV[0]) or exit 1; my $how = pack('L', 2); \
                      exit(defined(ioctl(F, 0x8004587D, $how)) ? 0 : 1)";
        quiet("perl", &["-e", script, self.mounted().to_str().unwrap()])
    }

    /// As after an error that the file system met: nothing is written any more. Whether it is so now.
    pub(crate) fn becomes_read_only(&self) -> bool {
        let at = self.mounted();
        let aborted = quiet("mount", &["-o", "remount,abort", at.to_str().unwrap()]);
        aborted && std::fs::write(at.join("probe"), "no").is_err()
    }

    pub(crate) fn unmount(&self) {
        quiet("umount", &["-l", self.mounted().to_str().unwrap()]);
    }
}

/// The disk of a running node, on which every sync takes 50 ms; as it was when this value is gone.
pub(crate) struct SlowDisk {
    tracer: Child,
    log: PathBuf,
    _folder: tempfile::TempDir,
}

impl SlowDisk {
    /// `None` where nobody may look into another process.
    pub(crate) fn of(node: &Node) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let pid = node.child.as_ref().unwrap().id().to_string();
        let slow = "inject=fdatasync,fsync:delay_enter=50000";
        let mut tracer = Command::new("strace")
            .args(["-f", "-e", "trace=fdatasync,fsync", "-e", slow, "-p", &pid, "-o"])
            .arg(&log)
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        let mut said = BufReader::new(tracer.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("attached") {
            line.clear();
            if said.read_line(&mut line).unwrap() == 0 {
                return None;
            }
        }
        Some(Self { tracer, log, _folder: folder })
    }

    /// How many syncs there were meanwhile.
    pub(crate) fn end(mut self) -> usize {
        super::tell(&self.tracer, Signal::INT);
        self.tracer.wait().unwrap();
        let log = std::fs::read_to_string(&self.log).unwrap();
        log.lines().filter(|line| line.contains("sync(") && !line.contains("resumed")).count()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.unmount();
    }
}

fn quiet(program: &str, arguments: &[&str]) -> bool {
    let status =
        Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
