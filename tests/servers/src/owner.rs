//! Who owns a file, and who runs this process. Only Unix has such users; elsewhere the servers that need them are not
//! installed, and the tests are skipped.

pub(crate) use self::system::{give, hide, is_root};

#[cfg(unix)]
mod system {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    use std::path::Path;

    pub(crate) fn is_root() -> bool {
        fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
    }

    /// Makes a user and a group the owners of a file.
    pub(crate) fn give(path: &Path, user: u32, group: u32) {
        chown(path, Some(user), Some(group)).unwrap();
    }

    /// Lets only its owner read a file.
    pub(crate) fn hide(path: &Path) {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[cfg(not(unix))]
mod system {
    use std::path::Path;

    pub(crate) fn is_root() -> bool {
        false
    }

    pub(crate) fn give(_: &Path, _: u32, _: u32) {}

    pub(crate) fn hide(_: &Path) {}
}
