// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Host twin of the kernel's `register!` (Linux 7.3, `rust/kernel/io/register.rs`).
//!
//! It takes the part of that grammar that `regs.rs` uses: registers at a literal offset, arrays
//! with a stride, and fields that are plain or `=> bool`. It makes a typed value for each register,
//! and the closed list of all registers, which the kernel's macro does not make.

/// A field of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name, in snake case.
    pub name: &'static str,
    /// Highest bit.
    pub high: u32,
    /// Lowest bit.
    pub low: u32,
}

impl Field {
    /// Returns the field's bits in the register.
    pub const fn mask(&self) -> u64 {
        (u64::MAX >> (63 - (self.high - self.low))) << self.low
    }
}

/// Position and shape of a register, an array of registers, or a field of a shared page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterInfo {
    /// Name in the data sheet: in capitals, but for a field of a page.
    pub name: &'static str,
    /// Offset of the first one in BAR 0, in bytes.
    pub offset: usize,
    /// Width in bytes.
    pub width: usize,
    /// Number of registers: 1 unless it is an array.
    pub count: usize,
    /// Bytes from one register of an array to the next. The width if it is no array.
    pub stride: usize,
    /// Bit fields, as written. A field of a page has none.
    pub fields: &'static [Field],
}

impl RegisterInfo {
    /// Returns all bits that belong to a field.
    pub const fn field_mask(&self) -> u64 {
        let mut mask = 0;
        let mut i = 0;
        while i < self.fields.len() {
            mask |= self.fields[i].mask();
            i += 1;
        }
        mask
    }

    /// Returns the offset of register `index` of the array in BAR 0; `None` beyond the array's end.
    pub const fn offset_of(&self, index: usize) -> Option<usize> {
        if index < self.count {
            Some(self.offset + index * self.stride)
        } else {
            None
        }
    }

    /// Returns the index of the register that holds the byte at `offset`, and the byte's number in
    /// it. `None` if the byte lies before, behind or between the registers.
    pub const fn locate(&self, offset: usize) -> Option<(usize, usize)> {
        if offset < self.offset {
            return None;
        }
        let index = (offset - self.offset) / self.stride;
        let byte = (offset - self.offset) % self.stride;
        if index < self.count && byte < self.width {
            Some((index, byte))
        } else {
            None
        }
    }
}

macro_rules! register {
    ($(
        $(#[$meta:meta])* $vis:vis $name:ident ($storage:ty)
            $([ $count:expr, stride = $stride:expr ])? @ $offset:literal
        { $($(#[$field_meta:meta])* $high:literal : $low:literal $field:ident $(=> $kind:ident)?;)* }
    )*) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
            $vis struct $name($storage);

            impl $name {
                /// Position and shape of the register.
                pub const INFO: $crate::RegisterInfo = {
                    let width = ::core::mem::size_of::<$storage>();
                    let (count, stride) = register!(@shape width $(, $count, $stride)?);
                    $crate::RegisterInfo {
                        name: stringify!($name),
                        offset: $offset,
                        width,
                        count,
                        stride,
                        fields: &[$($crate::Field {
                            name: stringify!($field),
                            high: $high,
                            low: $low,
                        }),*],
                    }
                };

                /// Returns the register with every bit 0.
                pub const fn zeroed() -> Self {
                    Self(0)
                }

                /// Returns the register with these bits.
                pub const fn from_raw(raw: $storage) -> Self {
                    Self(raw)
                }

                /// Returns the register's bits.
                pub const fn into_raw(self) -> $storage {
                    self.0
                }

                $(register!(@field $(#[$field_meta])* $storage, $high, $low, $field $(, $kind)?);)*
            }
        )*

        /// All registers of the device.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Register {
            $($(#[$meta])* $name,)*
        }

        impl Register {
            /// All registers, by offset.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Returns position and shape of the register.
            pub const fn info(self) -> &'static $crate::RegisterInfo {
                match self {
                    $(Self::$name => &$name::INFO,)*
                }
            }
        }
    };

    (@shape $width:ident) => {
        (1, $width)
    };

    (@shape $width:ident, $count:expr, $stride:expr) => {
        ($count, $stride)
    };

    (@field $(#[$meta:meta])* $storage:ty, $high:literal, $low:literal, $field:ident, bool) => {
        ::pastey::paste! {
            $(#[$meta])*
            #[doc = concat!("\n\nBit ", stringify!($low), ".")]
            pub const fn $field(self) -> bool {
                self.0 >> $low & 1 != 0
            }

            #[doc = concat!("The register with `", stringify!($field), "` set to `value`.")]
            #[must_use]
            pub const fn [<with_ $field>](self, value: bool) -> Self {
                Self(self.0 & !(1 << $low) | (value as $storage) << $low)
            }
        }
    };

    (@field $(#[$meta:meta])* $storage:ty, $high:literal, $low:literal, $field:ident) => {
        ::pastey::paste! {
            $(#[$meta])*
            #[doc = concat!("\n\nBits ", stringify!($high), " to ", stringify!($low), ".")]
            pub const fn $field(self) -> $storage {
                self.0 >> $low & (<$storage>::MAX >> (<$storage>::BITS - 1 - ($high - $low)))
            }

            #[doc = concat!("The register with `", stringify!($field), "` set to `value`.")]
            ///
            /// Bits of `value` that the field has no room for are dropped.
            #[must_use]
            pub const fn [<with_ $field>](self, value: $storage) -> Self {
                let mask = <$storage>::MAX >> (<$storage>::BITS - 1 - ($high - $low));
                Self(self.0 & !(mask << $low) | (value & mask) << $low)
            }
        }
    };
}
pub(crate) use register;
