// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Serial ports of the guest by their use. The kernel's console is the first one.
//!
//! On x86-64 the ports have fixed numbers. The machine of arm64 has two on its board. The others are
//! PCI functions, which the kernel numbers in the order in which it finds them. So their addresses
//! tell them apart (`ci/vm-runner/src/architecture.rs`).

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::Path;

/// The kernel's list of terminals.
const TERMINALS: &str = "/sys/class/tty";

/// A serial port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// Results for the runner, or the line to the runner of a shell.
    Results,
    /// Requests to the runner.
    Requests,
    /// The line between init and the runner, or the terminal of a shell.
    Control,
}

/// Place of a port.
enum Place {
    /// The kernel's name for it.
    Name(&'static str),
    /// Address of the PCI function.
    Function(&'static str),
}

impl Port {
    fn place(self) -> Place {
        let arm64 = cfg!(target_arch = "aarch64");
        match self {
            Self::Results if arm64 => Place::Name("ttyAMA1"),
            Self::Requests if arm64 => Place::Function("0000:00:02.0"),
            Self::Control if arm64 => Place::Function("0000:00:03.0"),
            Self::Results => Place::Name("ttyS1"),
            Self::Requests => Place::Name("ttyS2"),
            Self::Control => Place::Name("ttyS3"),
        }
    }

    /// Returns the kernel's name for the port, or `None` if the machine lacks it. There may be a node
    /// without a port behind it.
    pub fn name(self) -> Option<String> {
        match self.place() {
            Place::Name(name) => Some(name.to_owned()),
            Place::Function(address) => name_of(address, Path::new(TERMINALS)),
        }
    }

    /// Returns the path of the port's node, as for [`Port::name`].
    pub fn node(self) -> Option<String> {
        self.name().map(|name| format!("/dev/{name}"))
    }
}

/// Shows the node, or the place where the port would be.
impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.node(), self.place()) {
            (Some(node), _) => f.write_str(&node),
            (None, Place::Name(place) | Place::Function(place)) => {
                write!(f, "the serial port {place}")
            }
        }
    }
}

/// Returns the name of the terminal below the PCI function with this address.
fn name_of(address: &str, terminals: &Path) -> Option<String> {
    let entries = fs::read_dir(terminals).ok()?;
    entries.flatten().find_map(|entry| {
        let device = fs::canonicalize(entry.path()).ok()?;
        let below = device
            .components()
            .any(|part| part.as_os_str() == OsStr::new(address));
        below.then(|| entry.file_name().into_string().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn terminal_below_a_function_is_found_by_its_address() {
        let folder = tempfile::tempdir().expect("a folder");
        let terminals = folder.path().join("class");
        fs::create_dir(&terminals).expect("made");
        for (name, device) in [
            ("ttyS0", "serial8250"),
            ("ttyS1", "0000:00:02.0/0000:00:02.0:0.0"),
        ] {
            let device = folder.path().join(device).join("tty").join(name);
            fs::create_dir_all(&device).expect("made");
            symlink(&device, terminals.join(name)).expect("made");
        }

        assert_eq!(
            name_of("0000:00:02.0", &terminals).as_deref(),
            Some("ttyS1")
        );
        assert_eq!(name_of("0000:00:03.0", &terminals), None);
    }
}
