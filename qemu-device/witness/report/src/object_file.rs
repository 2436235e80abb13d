// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! ELF files with DWARF, among them object files such as a kernel module.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use gimli::{Dwarf, EndianRcSlice, RunTimeEndian};
use object::{Object, ObjectSection, ObjectSymbol, RelocationTarget, SectionIndex};

/// Distance between the module's sections in this layout. In an object file all of them are at 0.
pub(crate) const PART: u64 = 1 << 32;

/// A section of debug information.
pub(crate) type Reader = EndianRcSlice<RunTimeEndian>;

/// Reads the debug information of a file.
pub(crate) fn dwarf(file: &object::File<'_>, layout: &Layout) -> Result<Dwarf<Reader>, String> {
    Dwarf::load(|id: gimli::SectionId| {
        let data = section_data(file, layout, id.name())?;
        Ok(EndianRcSlice::new(Rc::from(data), RunTimeEndian::Little))
    })
}

/// Places of sections with code. They differ from each other, in an object file too.
pub(crate) struct Layout(HashMap<SectionIndex, u64>);

impl Layout {
    /// Places the sections of a file.
    pub(crate) fn of(file: &object::File<'_>) -> Self {
        let apart = file.kind() == object::ObjectKind::Relocatable;
        let code = file
            .sections()
            .filter(|section| section.kind() == object::SectionKind::Text);
        let places = (1..).zip(code).map(|(number, section)| {
            let place = if apart {
                number * PART
            } else {
                section.address()
            };
            (section.index(), place)
        });
        Self(places.collect())
    }

    /// Returns the sections with code: name, place and size.
    pub(crate) fn parts(&self, file: &object::File<'_>) -> BTreeMap<String, (u64, u64)> {
        let part = |section: object::Section<'_, '_>| {
            let place = self.0.get(&section.index())?;
            let name = section.name().unwrap_or_default().to_owned();
            Some((name, (*place, section.size())))
        };
        file.sections().filter_map(part).collect()
    }

    /// Returns the place of a symbol. In an object file its address counts from its section.
    pub(crate) fn place(&self, section: Option<SectionIndex>, address: u64) -> u64 {
        let place = section.and_then(|section| self.0.get(&section));
        match place {
            Some(place) if *place >= PART && address < PART => place + address,
            _ => address,
        }
    }
}

/// Returns the bytes of a section, with an object file's relocations applied.
fn section_data(file: &object::File<'_>, layout: &Layout, name: &str) -> Result<Vec<u8>, String> {
    let Some(section) = file.section_by_name(name) else {
        return Ok(Vec::new());
    };
    let data = section.uncompressed_data();
    let mut data = data
        .map_err(|error| format!("{name}: {error}"))?
        .into_owned();
    for (offset, relocation) in section.relocations() {
        let RelocationTarget::Symbol(index) = relocation.target() else {
            continue;
        };
        let symbol = file.symbol_by_index(index);
        let symbol = symbol.map_err(|error| format!("{name}: {error}"))?;
        let place = layout.place(symbol.section_index(), symbol.address());
        let value = place.wrapping_add_signed(relocation.addend()).to_le_bytes();
        let bytes = usize::from(relocation.size() / 8);
        let target = usize::try_from(offset)
            .ok()
            .and_then(|offset| data.get_mut(offset..offset.checked_add(bytes)?));
        if let Some((target, value)) = target.zip(value.get(..bytes)) {
            target.copy_from_slice(value);
        }
    }
    Ok(data)
}
