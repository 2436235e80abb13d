// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! DEVICE_GET_INFO, DEVICE_GET_REGION_INFO and DEVICE_GET_IRQ_INFO.

use rustix::fs::{fcntl_get_seals, fstat, SealFlags};
use vfio_bindings::bindings::vfio::{
    VFIO_PCI_ERR_IRQ_INDEX, VFIO_PCI_REQ_IRQ_INDEX, VFIO_REGION_INFO_CAP_SPARSE_MMAP,
    VFIO_REGION_INFO_FLAG_CAPS as CAPS, VFIO_REGION_INFO_FLAG_MMAP as MMAP,
    VFIO_REGION_INFO_FLAG_READ as READ, VFIO_REGION_INFO_FLAG_WRITE as WRITE,
};

use crate::case::Basis::{Qemu, Spec, Strict};
use crate::case::{session, Case};
use crate::client::Client;
use crate::outcome::{ensure, fail, local, skip, Outcome};
use crate::requests::{
    get_info, get_irq_info, get_region_info, INFO_SIZE, IRQ_INFO_SIZE, REGION_INFO_SIZE,
};
use crate::survey::Region;
use crate::wire::{command, Message, Request, PAGE};

pub(super) const CASES: &[Case] = &[
    session("device-reply-has-16-bytes-and-says-so", Spec, |c| {
        let reply = c.accepted(get_info())?;
        size_and_argsz(&reply, INFO_SIZE)
    }),
    session("device-is-pci", Spec, |c| {
        ensure(c.survey().is_pci(), || {
            format!("flags {:#x}", c.survey().flags)
        })
    }),
    session(
        "device-has-regions-and-interrupts-as-qemu-needs",
        Qemu,
        |c| {
            let (regions, irqs) = (c.survey().region_count(), c.survey().irq_count());
            ensure((8..=100).contains(&regions), || {
                format!("{regions} regions")
            })?;
            ensure((3..=50).contains(&irqs), || {
                format!("{irqs} interrupt types")
            })
        },
    ),
    session("device-with-argsz-0-is-refused", Strict, |c| {
        c.refused(get_info().with_u32(0, 0)).map(drop)
    }),
    session("device-with-argsz-15-is-refused", Strict, |c| {
        c.refused(get_info().with_u32(0, 15)).map(drop)
    }),
    session("device-with-large-argsz-is-accepted", Spec, |c| {
        let reply = c.accepted(get_info().with_u32(0, 4096))?;
        size_and_argsz(&reply, INFO_SIZE)
    }),
    session("device-without-payload-is-refused", Strict, |c| {
        c.refused(Request::new(command::GET_INFO)).map(drop)
    }),
    session("device-cut-short-by-a-byte-is-refused", Strict, |c| {
        c.refused(get_info().length(15)).map(drop)
    }),
    session("device-with-8-bytes-too-many-stays-in-step", Strict, |c| {
        c.answered(get_info().length(24)).map(drop)
    }),
    session("device-with-no-reply-is-silent", Spec, |c| {
        c.silent(get_info().no_reply())
    }),
    session("every-region-is-answered-with-its-index", Spec, |c| {
        (0..c.survey().region_count()).try_for_each(|index| {
            let reply = c.accepted(get_region_info(index, REGION_INFO_SIZE))?;
            ensure(reply.payload.len() == 32, || {
                format!("region {index}: {} bytes", reply.payload.len())
            })?;
            ensure(reply.u32(8) == index, || {
                format!("the reply about region {index} has index {}", reply.u32(8))
            })?;
            ensure(reply.u32(0) >= REGION_INFO_SIZE, || {
                format!("region {index}: argsz {}", reply.u32(0))
            })
        })
    }),
    session("region-behind-the-last-is-refused", Spec, |c| {
        let index = c.survey().region_count();
        c.refused(get_region_info(index, 4096)).map(drop)
    }),
    session("region-4294967295-is-refused", Spec, |c| {
        c.refused(get_region_info(u32::MAX, 4096)).map(drop)
    }),
    session("region-with-argsz-31-is-refused", Strict, |c| {
        c.refused(get_region_info(0, 31)).map(drop)
    }),
    session("region-with-argsz-0-is-refused", Strict, |c| {
        c.refused(get_region_info(0, 0)).map(drop)
    }),
    session("region-without-payload-is-refused", Strict, |c| {
        c.refused(Request::new(command::GET_REGION_INFO)).map(drop)
    }),
    session("region-cut-short-by-a-byte-is-refused", Strict, |c| {
        c.refused(get_region_info(0, 4096).length(31)).map(drop)
    }),
    session("region-with-8-bytes-too-many-stays-in-step", Strict, |c| {
        c.answered(get_region_info(0, 4096).length(40)).map(drop)
    }),
    session("region-with-no-reply-is-silent", Spec, |c| {
        c.silent(get_region_info(0, 4096).no_reply())
    }),
    session("region-reply-is-as-long-as-its-argsz", Spec, |c| {
        each_region(c, |region| {
            let length = region.payload.len();
            ensure(region.argsz as usize == length, || {
                format!("argsz {} in {length} bytes", region.argsz)
            })
        })
    }),
    session(
        "region-with-the-largest-argsz-gets-no-more-than-it-has",
        Strict,
        |c| {
            let survey = c.survey();
            survey.regions.iter().try_for_each(|region| {
                let reply = c.accepted(get_region_info(region.index, u32::MAX))?;
                ensure(reply.payload == region.payload, || {
                    format!("region {}: {} bytes", region.index, reply.payload.len())
                })
            })
        },
    ),
    session(
        "region-capabilities-are-left-out-if-there-is-no-room",
        Spec,
        |c| {
            with_capabilities(c, |c, region| {
                for argsz in [REGION_INFO_SIZE, region.argsz.saturating_sub(1)] {
                    let reply = c.accepted(get_region_info(region.index, argsz))?;
                    ensure(reply.payload.len() == 32, || {
                        format!("{} bytes for an argsz of {argsz}", reply.payload.len())
                    })?;
                    ensure(reply.u32(0) == region.argsz, || {
                        format!("argsz {} instead of {}", reply.u32(0), region.argsz)
                    })?;
                }
                Ok(())
            })
        },
    ),
    session(
        "region-capabilities-come-if-there-is-just-room",
        Spec,
        |c| {
            with_capabilities(c, |c, region| {
                let reply = c.accepted(get_region_info(region.index, region.argsz))?;
                ensure(reply.payload == region.payload, || {
                    format!(
                        "{} bytes for an argsz of {}",
                        reply.payload.len(),
                        region.argsz
                    )
                })
            })
        },
    ),
    session(
        "region-capabilities-are-a-list-inside-the-reply",
        Spec,
        |c| with_capabilities(c, |_, region| capabilities(region).map(drop)),
    ),
    session(
        "region-sparse-areas-are-pages-inside-the-region",
        Spec,
        |c| {
            with_capabilities(c, |_, region| {
                let mut end_before = 0;
                for (offset, size) in areas(region)?.unwrap_or_default() {
                    let end = offset.checked_add(size);
                    ensure(offset % PAGE == 0 && size % PAGE == 0 && size > 0, || {
                        format!("area of {size:#x} bytes at {offset:#x}")
                    })?;
                    ensure(end.is_some_and(|end| end <= region.size), || {
                        format!("area up to {end:x?} in {:#x} bytes", region.size)
                    })?;
                    ensure(offset >= end_before, || {
                        format!("area at {offset:#x} overlaps")
                    })?;
                    end_before = end.unwrap_or(u64::MAX);
                }
                Ok(())
            })
        },
    ),
    session("region-that-may-be-mapped-comes-with-one-file", Spec, |c| {
        c.survey().mappable()?;
        each_region(c, |region| {
            let wanted = usize::from(region.flags & MMAP != 0);
            ensure(region.files.len() == wanted, || {
                format!("{} files, {wanted} wanted", region.files.len())
            })
        })
    }),
    session(
        "region-that-may-be-mapped-comes-with-its-file-at-the-first-question",
        Spec,
        |c| {
            // QEMU maps the file of the last reply. Other clients ask once.
            let index = c.survey().mappable()?.index;
            let reply = c.accepted(get_region_info(index, 65_536))?;
            ensure(reply.fds.len() == 1, || {
                format!("{} files", reply.fds.len())
            })
        },
    ),
    session("region-file-covers-the-mappable-areas", Qemu, |c| {
        c.survey().mappable()?;
        each_file(c, |region, size| {
            let areas = areas(region)?.unwrap_or_else(|| vec![(0, region.size)]);
            areas.into_iter().try_for_each(|(offset, length)| {
                let end = [region.offset, offset, length]
                    .into_iter()
                    .try_fold(0_u64, u64::checked_add);
                ensure(end.is_some_and(|end| end <= size), || {
                    format!("area up to {end:x?} in a file of {size:#x} bytes")
                })
            })
        })
    }),
    session("region-file-cannot-shrink-under-the-client", Strict, |c| {
        c.survey().mappable()?;
        each_region(c, |region| {
            region.files.iter().try_for_each(|file| {
                let seals = local(fcntl_get_seals(file), "seals of the file")?;
                ensure(seals.contains(SealFlags::SHRINK), || {
                    format!("seals {seals:?}")
                })
            })
        })
    }),
    session("region-flags-are-known-ones", Spec, |c| {
        each_region(c, |region| {
            let unknown = region.flags & !(READ | WRITE | MMAP | CAPS);
            ensure(unknown == 0, || format!("flags {:#x}", region.flags))
        })
    }),
    session("region-of-size-0-has-no-rights", Strict, |c| {
        each_region(c, |region| {
            ensure(region.size > 0 || region.flags == 0, || {
                format!("flags {:#x} of an empty region", region.flags)
            })
        })
    }),
    session("region-info-is-the-same-every-time", Strict, |c| {
        let survey = c.survey();
        survey.regions.iter().try_for_each(|region| {
            let reply = c.accepted(get_region_info(region.index, 65_536))?;
            ensure(reply.payload == region.payload, || {
                format!("region {}", region.index)
            })
        })
    }),
    session(
        "config-space-has-256-or-4096-bytes-to-read-and-write",
        Qemu,
        |c| {
            let survey = c.survey();
            let config = survey.config()?;
            ensure([256, 4096].contains(&config.size), || {
                format!("{} bytes", config.size)
            })?;
            ensure(config.flags & (READ | WRITE) == READ | WRITE, || {
                format!("flags {:#x}", config.flags)
            })
        },
    ),
    session("every-irq-is-answered-with-its-index", Spec, |c| {
        (0..c.survey().irq_count()).try_for_each(|index| {
            let reply = c.answered(get_irq_info(index))?;
            if reply.is_error() {
                return Ok(());
            }
            size_and_argsz(&reply, IRQ_INFO_SIZE)?;
            ensure(reply.u32(8) == index, || {
                format!("the reply about type {index} has index {}", reply.u32(8))
            })
        })
    }),
    session("irq-flags-are-known-ones", Spec, |c| {
        let survey = c.survey();
        survey.irqs.iter().try_for_each(|irq| {
            ensure(irq.flags & !0xf == 0, || {
                format!("type {}: flags {:#x}", irq.index, irq.flags)
            })
        })
    }),
    session("irq-behind-the-last-is-refused", Spec, |c| {
        let index = c.survey().irq_count();
        c.refused(get_irq_info(index)).map(drop)
    }),
    session("irq-4294967295-is-refused", Spec, |c| {
        c.refused(get_irq_info(u32::MAX)).map(drop)
    }),
    session("irq-with-argsz-15-is-refused", Strict, |c| {
        c.refused(get_irq_info(0).with_u32(0, 15)).map(drop)
    }),
    session("irq-with-argsz-0-is-refused", Strict, |c| {
        c.refused(get_irq_info(0).with_u32(0, 0)).map(drop)
    }),
    session("irq-without-payload-is-refused", Strict, |c| {
        c.refused(Request::new(command::GET_IRQ_INFO)).map(drop)
    }),
    session("irq-cut-short-by-a-byte-is-refused", Strict, |c| {
        c.refused(get_irq_info(0).length(15)).map(drop)
    }),
    session("irq-with-8-bytes-too-many-stays-in-step", Strict, |c| {
        c.answered(get_irq_info(0).length(24)).map(drop)
    }),
    session("irq-with-no-reply-is-silent", Spec, |c| {
        c.silent(get_irq_info(0).no_reply())
    }),
    session("irq-for-errors-is-refused-or-a-single-one", Qemu, |c| {
        let survey = c.survey();
        for index in [VFIO_PCI_ERR_IRQ_INDEX, VFIO_PCI_REQ_IRQ_INDEX] {
            let Some(irq) = survey.irqs.get(index as usize) else {
                continue;
            };
            let reply = c.answered(get_irq_info(irq.index))?;
            // QEMU warns about another count. It takes an error for "the device has none".
            ensure(reply.is_error() || reply.u32(12) <= 1, || {
                format!("type {index} has {} interrupts", reply.u32(12))
            })?;
        }
        Ok(())
    }),
];

fn size_and_argsz(reply: &Message, size: u32) -> Outcome {
    ensure(reply.payload.len() == size as usize, || {
        format!("{} bytes of payload", reply.payload.len())
    })?;
    ensure(reply.u32(0) == size, || format!("argsz {}", reply.u32(0)))
}

fn each_region(client: &Client, check: impl Fn(&Region) -> Outcome) -> Outcome {
    client.survey().regions.iter().try_for_each(|region| {
        check(region).map_err(|stop| stop.at(format_args!("region {}", region.index)))
    })
}

/// Calls `check` with each region that came with a file, and the size of the file.
fn each_file(client: &Client, check: impl Fn(&Region, u64) -> Outcome) -> Outcome {
    each_region(client, |region| {
        region.files.iter().try_for_each(|file| {
            let size = local(fstat(file), "fstat")?.st_size;
            check(region, u64::try_from(size).unwrap_or(0))
        })
    })
}

fn with_capabilities(
    client: &mut Client,
    check: impl Fn(&mut Client, &Region) -> Outcome,
) -> Outcome {
    let survey = client.survey();
    let mut some = false;
    for region in survey
        .regions
        .iter()
        .filter(|region| region.flags & CAPS != 0)
    {
        some = true;
        check(client, region)?;
    }
    if some {
        Ok(())
    } else {
        skip("no region has capabilities")
    }
}

/// Returns offset and id of each capability.
fn capabilities(region: &Region) -> Outcome<Vec<(usize, u16)>> {
    let info = payload(region);
    let mut list = Vec::new();
    let mut next = info.u32(12) as usize;
    let mut least = REGION_INFO_SIZE as usize;
    while next != 0 {
        ensure(
            next >= least && next.saturating_add(8) <= region.payload.len(),
            || format!("capability at {next} in {} bytes", region.payload.len()),
        )?;
        list.push((next, info.u16(next)));
        least = next.saturating_add(8);
        next = info.u32(next.saturating_add(4)) as usize;
    }
    ensure(!list.is_empty(), || {
        "the flags promise capabilities, and there are none".into()
    })?;
    Ok(list)
}

/// Returns offset and size of each area that may be mapped. `None` if the region lists no areas.
fn areas(region: &Region) -> Outcome<Option<Vec<(u64, u64)>>> {
    if region.flags & CAPS == 0 {
        return Ok(None);
    }
    let sparse = capabilities(region)?
        .into_iter()
        .find(|(_, id)| u32::from(*id) == VFIO_REGION_INFO_CAP_SPARSE_MMAP);
    let Some((at, _)) = sparse else {
        return Ok(None);
    };
    let info = payload(region);
    let count = info.u32(at.saturating_add(8)) as usize;
    let first = at.saturating_add(16);
    let end = count
        .checked_mul(16)
        .and_then(|size| first.checked_add(size));
    if end.is_none_or(|end| end > region.payload.len()) {
        return fail(format!("{count} areas do not fit into the reply"));
    }
    Ok(Some(
        (0..count)
            .map(|n| first.saturating_add(n.saturating_mul(16)))
            .map(|at| (info.u64(at), info.u64(at.saturating_add(8))))
            .collect(),
    ))
}

/// Returns the survey's reply, to read its fields.
fn payload(region: &Region) -> Message {
    Message {
        id: 0,
        command: command::GET_REGION_INFO,
        flags: 0,
        error: 0,
        payload: region.payload.clone(),
        fds: Vec::new(),
    }
}
