//! Reading files, and no more of them than is allowed.

use super::LONGEST_FILE;
use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// Reads a little more than is allowed at most, so that what is too long is found to be so.
pub(crate) fn read(path: &Path) -> Result<String> {
    read_from(File::open(path)?)
}

/// The same of a regular file only. Others are not opened, since that does something with many a
/// device; and one that has just taken the file's place keeps nobody.
pub(crate) fn read_regular(path: &Path) -> Result<String> {
    must_be_file(&std::fs::metadata(path)?)?;
    read_from(open_regular(path)?)
}

fn read_from(file: File) -> Result<String> {
    let mut bytes = Vec::new();
    file.take(LONGEST_FILE as u64 + 1).read_to_end(&mut bytes)?;
    // Before it is looked at as text, which may be cut off inside of a character.
    if bytes.len() > LONGEST_FILE {
        let what = format!("it has more than {LONGEST_FILE} bytes, which is the most");
        return Err(Error::new(ErrorKind::FileTooLarge, what));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let what = format!("it is not UTF-8: byte {} begins no character", valid + 1);
        Error::new(ErrorKind::InvalidData, what)
    })
}

/// Looks at what was opened, and not at what had that name before.
fn open_regular(path: &Path) -> Result<File> {
    let mut how = OpenOptions::new();
    how.read(true);
    dont_wait(&mut how);
    let file = how.open(path)?;
    must_be_file(&file.metadata()?)?;
    Ok(file)
}

/// A pipe that nobody writes to would keep the one who opens it for ever. For a regular file it
/// changes nothing.
#[cfg(unix)]
fn dont_wait(how: &mut OpenOptions) {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;

    how.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
}

#[cfg(not(unix))]
fn dont_wait(_: &mut OpenOptions) {}

fn must_be_file(found: &std::fs::Metadata) -> Result<()> {
    if found.is_file() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, "it is no regular file"))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// As it is when somebody exchanges the file between the look and the opening. Nobody writes to
    /// the pipe: who waited would wait for ever.
    #[test]
    fn a_pipe_that_took_the_files_place_keeps_nobody() {
        let path = std::env::temp_dir().join(format!("buttress-pipe-{}", std::process::id()));
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let (done, finished) = std::sync::mpsc::channel();
        let name = path.clone();
        std::thread::spawn(move || done.send(open_regular(&name).map(|_| ())));
        let answer = finished.recv_timeout(std::time::Duration::from_secs(60));
        std::fs::remove_file(&path).unwrap();
        let error = answer.unwrap().unwrap_err().to_string();
        assert_eq!(error, "it is no regular file");
        assert!(open_regular(&std::env::temp_dir()).is_err());
    }
}
