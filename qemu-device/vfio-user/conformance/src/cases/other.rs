// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Commands that a server may do without, and DEVICE_RESET.

use vfio_bindings::bindings::vfio::{
    VFIO_DEVICE_FEATURE_GET as GET, VFIO_DEVICE_FEATURE_MIGRATION as MIGRATION,
    VFIO_DEVICE_FEATURE_PROBE as PROBE, VFIO_DEVICE_FEATURE_SET as SET,
};

use crate::case::Basis::{Qemu, Spec, Strict};
use crate::case::{session, Case};
use crate::cases::dma::reaches_mapped;
use crate::client::Client;
use crate::outcome::{ensure, skip, Outcome};
use crate::requests::{dma_map, feature, get_region_info, region_io_fds, reset};
use crate::wire::{command, Request, PAGE};

/// A feature that no device has.
const NO_FEATURE: u32 = 0xfff0;

pub(super) const CASES: &[Case] = &[
    session("reset-is-accepted", Spec, |c| {
        resets(c)?;
        c.accepted(reset()).map(drop)
    }),
    session("reset-reply-has-no-payload", Spec, |c| {
        resets(c)?;
        let reply = c.accepted(reset())?;
        ensure(reply.payload.is_empty(), || {
            format!("{} bytes", reply.payload.len())
        })
    }),
    session("reset-of-a-device-without-reset-is-refused", Spec, |c| {
        if c.survey().resets() {
            return skip("the device can be reset");
        }
        c.refused(reset()).map(drop)
    }),
    session("reset-keeps-dma-mappings", Qemu, |c| {
        resets(c)?;
        c.accepted(dma_map(0, PAGE))?;
        c.accepted(reset())?;
        reaches_mapped(c, 0, 2 * PAGE)
    }),
    session("reset-keeps-regions-as-they-are", Qemu, |c| {
        resets(c)?;
        c.accepted(reset())?;
        let survey = c.survey();
        survey.regions.iter().try_for_each(|region| {
            let reply = c.accepted(get_region_info(region.index, 65_536))?;
            ensure(reply.payload == region.payload, || {
                format!("region {}", region.index)
            })
        })
    }),
    session("reset-with-payload-stays-in-step", Strict, |c| {
        c.answered(reset().length(8)).map(drop)
    }),
    session("reset-with-no-reply-is-silent", Spec, |c| {
        c.silent(reset().no_reply())
    }),
    session("reset-100-times-is-accepted", Strict, |c| {
        resets(c)?;
        (0..100).try_for_each(|_| c.accepted(reset()).map(drop))
    }),
    session("dma-read-from-a-client-is-refused", Spec, |c| {
        c.refused(Request::new(command::DMA_READ).u64(0).u64(64))
            .map(drop)
    }),
    session(
        "dma-write-from-a-client-is-refused-and-drained",
        Spec,
        |c| {
            let request = Request::new(command::DMA_WRITE).u64(0).u64(64);
            c.refused(request.length(80)).map(drop)
        },
    ),
    session(
        "dma-write-of-the-most-bytes-is-refused-and-drained",
        Strict,
        |c| {
            let most = c.survey().transfer();
            let request = Request::new(command::DMA_WRITE).u64(0).u64(most.into());
            c.refused(request.length(most as usize + 16)).map(drop)
        },
    ),
    session("dma-write-with-no-reply-is-drained-silently", Strict, |c| {
        c.silent(
            Request::new(command::DMA_WRITE)
                .u64(0)
                .u64(64)
                .length(80)
                .no_reply(),
        )
    }),
    session("region-io-fds-stays-in-step", Spec, |c| {
        c.answered(region_io_fds(0)).map(drop)
    }),
    session("region-io-fds-of-an-unknown-region-is-refused", Spec, |c| {
        c.refused(region_io_fds(u32::MAX)).map(drop)
    }),
    session("region-io-fds-cut-short-is-refused", Strict, |c| {
        c.refused(region_io_fds(0).length(15)).map(drop)
    }),
    session("region-io-fds-without-payload-is-refused", Strict, |c| {
        c.refused(Request::new(command::GET_REGION_IO_FDS))
            .map(drop)
    }),
    session("region-io-fds-with-no-reply-is-silent", Spec, |c| {
        c.silent(region_io_fds(0).no_reply())
    }),
    session("feature-probe-stays-in-step", Qemu, |c| {
        c.answered(feature(PROBE | GET | MIGRATION)).map(drop)
    }),
    session("unknown-feature-is-refused", Spec, |c| {
        c.refused(feature(PROBE | GET | NO_FEATURE))?;
        c.refused(feature(GET | NO_FEATURE))?;
        c.refused(feature(SET | NO_FEATURE).length(64)).map(drop)
    }),
    session("feature-with-get-and-set-is-refused", Spec, |c| {
        c.refused(feature(GET | SET | MIGRATION)).map(drop)
    }),
    session("feature-without-any-action-is-refused", Strict, |c| {
        c.refused(feature(MIGRATION)).map(drop)
    }),
    session("feature-cut-short-is-refused", Strict, |c| {
        c.refused(feature(GET | MIGRATION).length(7)).map(drop)
    }),
    session("feature-without-payload-is-refused", Strict, |c| {
        c.refused(Request::new(command::FEATURE)).map(drop)
    }),
    session("feature-with-no-reply-is-silent", Spec, |c| {
        c.silent(feature(GET | NO_FEATURE).no_reply())
    }),
    session(
        "migration-data-read-outside-migration-is-refused",
        Spec,
        |c| {
            c.refused(Request::new(command::MIG_DATA_READ).u32(4096).u32(4096))
                .map(drop)
        },
    ),
    session(
        "migration-data-write-outside-migration-is-refused-and-drained",
        Spec,
        |c| {
            let request = Request::new(command::MIG_DATA_WRITE).u32(4104).u32(4096);
            c.refused(request.length(4104)).map(drop)
        },
    ),
];

fn resets(client: &Client) -> Outcome {
    match client.survey().resets() {
        true => Ok(()),
        false => skip("the device cannot be reset"),
    }
}
