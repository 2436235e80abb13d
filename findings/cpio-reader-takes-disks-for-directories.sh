#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# cpio_reader 0.1.2 (crates.io): the type of a file is four bits of its mode that are one number (Linux,
# early-userspace/buffer-format.rst and inode(7)). The crate has a flag of `Mode` for each type, and some
# have the bits of others. `contains` says of a block device that it is a directory as well, and of a
# symbolic link that it is a regular file. Who unpacks an initramfs by asking for directories and files
# first makes a folder of /dev/vda, and a file with the target's name of each link. Expected: one type.
#
# What it means for a reader: compare `mode().bits() & 0o170000` with the bits of a type.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

found=$(rust_program $'cpio = "=0.4.2"\ncpio_reader = "=0.1.2"' <<'END'
use cpio::newc::{trailer, Builder, ModeFileType};
use cpio_reader::{iter_files, Mode};
use std::io::Write;

fn main() -> std::io::Result<()> {
    let files = [
        ("dev", ModeFileType::Directory, ""),
        ("dev/console", ModeFileType::Char, ""),
        ("dev/vda", ModeFileType::Block, ""),
        ("bin/sh", ModeFileType::Symlink, "busybox"),
        ("init", ModeFileType::Regular, "#!/bin/sh\n"),
    ];
    let mut archive = Vec::new();
    for (name, kind, content) in files {
        let entry = Builder::new(name).mode(0o755).set_mode_file_type(kind);
        let mut entry = entry.write(&mut archive, content.len() as u32);
        entry.write_all(content.as_bytes())?;
        entry.finish()?;
    }
    trailer(&mut archive)?;

    let kinds = [
        ("directory", Mode::DIRECTORY),
        ("character device", Mode::CHARACTER_SPECIAL_DEVICE),
        ("block device", Mode::BLOCK_SPECIAL_DEVICE),
        ("link", Mode::SYMBOLIK_LINK),
        ("regular file", Mode::REGULAR_FILE),
    ];
    for entry in iter_files(&archive) {
        let found = kinds.iter().filter(|(_, kind)| entry.mode().contains(*kind));
        println!("{}: {}", entry.name(), found.map(|(name, _)| *name).collect::<Vec<_>>().join(", "));
    }
    Ok(())
}
END
)
seen 'types' 'dev: directory' "$(sed -n 1p <<<"$found")"
seen 'types' 'dev/console: character device' "$(sed -n 2p <<<"$found")"
seen 'types' 'dev/vda: directory, character device, block device' "$(sed -n 3p <<<"$found")"
seen 'types' 'bin/sh: character device, link, regular file' "$(sed -n 4p <<<"$found")"
seen 'types' 'init: regular file' "$(sed -n 5p <<<"$found")"
finish
