// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Conditional jumps (Jcc, LOOP and JRCXZ, in Intel's manual, volume 2).

/// Returns the target of a conditional jump at `pc` if the bytes are one, and the address behind
/// it.
pub(crate) fn decode(pc: u64, bytes: &[u8]) -> Option<(u64, u64)> {
    // Prefixes of these jumps are hints, or bounds of memory protection.
    let opcode = bytes
        .iter()
        .position(|byte| !matches!(byte, 0x2e | 0x3e | 0xf2))?;
    let distance = match bytes.get(opcode..)? {
        [0x70..=0x7f | 0xe0..=0xe3, distance] => i64::from(distance.cast_signed()),
        [0x0f, 0x80..=0x8f, a, b, c, d] => i32::from_le_bytes([*a, *b, *c, *d]).into(),
        _ => return None,
    };
    let behind = pc.wrapping_add(bytes.len() as u64);
    Some((behind.wrapping_add_signed(distance), behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_jumps_are_known_by_their_bytes() {
        assert_eq!(decode(0x100, &[0x75, 0xfe]), Some((0x100, 0x102)));
        assert_eq!(
            decode(0x100, &[0x0f, 0x84, 0x00, 0x01, 0, 0]),
            Some((0x206, 0x106))
        );
        assert_eq!(decode(0x100, &[0x3e, 0x74, 1]), Some((0x104, 0x103)));
    }

    #[test]
    fn other_instructions_are_none() {
        for bytes in [
            &[0xeb, 0xfe][..],
            &[0xe8, 0, 0, 0, 0],
            &[0x90],
            &[0x2e],
            &[],
        ] {
            assert_eq!(decode(0x100, bytes), None, "{bytes:x?}");
        }
    }
}
