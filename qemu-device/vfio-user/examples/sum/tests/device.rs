// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The device over a real socket, with the client of the crate `vfio_user` in QEMU's place.

use std::os::unix::net::UnixListener;
use std::thread;

use ringbar_endpoint::Connection;
use ringbar_example_sum::Sum;
use vfio_bindings::bindings::vfio::VFIO_PCI_CONFIG_REGION_INDEX;
use vfio_user::Client;

/// Vendor and device. The table of the driver has the same: change both.
const IDENTITY: (u16, u16) = (0x1af4, 0x10f1);

/// Serves a device of its own to a new client.
fn client() -> Client {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        Connection::new(socket).serve(&mut Sum::endpoint().unwrap())
    });
    Client::new(&path).unwrap()
}

#[test]
fn device_has_its_identity() {
    let mut client = client();
    let mut words = [0; 4];
    client
        .region_read(VFIO_PCI_CONFIG_REGION_INDEX, 0, &mut words)
        .unwrap();

    let [vendor_low, vendor_high, device_low, device_high] = words;
    assert_eq!(
        (
            u16::from_le_bytes([vendor_low, vendor_high]),
            u16::from_le_bytes([device_low, device_high])
        ),
        IDENTITY
    );
}
